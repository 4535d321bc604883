"""The note that goes with a saved learner."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from metabench.saved.config import CONFIG, REFERENCE, SavedConfig, SavedScore

if TYPE_CHECKING:
    from metabench.saved.check import Agreement

README = "README.md"
NO_WEIGHTS = hashlib.sha256().hexdigest()
"""The weights digest of an encoder without any."""

_USE = """\
```python
import metabench

learner = metabench.load("{folder}")
support = {support}  # labelled examples of your own
labels = {labels}  # one for each of them
adapted = learner.adapt(support, labels)
items = {items}
print(adapted.predict(items))
print(adapted.scores(items))  # {scores}
```
"""


def describe(config: SavedConfig, folder: str, agreement: Agreement, item: str) -> str:
    """Write the note.

    Args:
        config: What the learner is.
        folder: The name of its folder.
        agreement: How its answers compare with the record's.
        item: What an item looks like in Python, with ``{}`` where its name or content stands.
    """
    encoder, regression = config.encoder, config.task_kind == "regression"
    support, query = (
        ", ".join(item.format(word) for word in words) for words in (("first", "second"), ("new",))
    )
    snippet = _USE.format(
        folder=folder,
        support=f"[{support}]",
        labels="[0.5, 1.5]" if regression else '["this", "that"]',
        items=f"[{query}]",
        scores="the values again" if regression else "one column per class of adapted.classes",
    )
    new = "quantities" if regression else "classes"
    parts = [part for part in (encoder, config.algorithm) if part is not None]
    needed = dict.fromkeys(["metabench", *(part.distribution for part in parts)])
    return f"""\
# {config.algorithm.name}{f" with {encoder.name}" if encoder else ""}

A few-shot learner for {config.task_kind} of items of the modality `{config.modality}`, trained and
tested by metabench on `{config.source}`. It adapts to a few labelled examples of new {new} and is
not trained again for that.

{snippet}
{"".join(f"- {fact}{chr(10)}" for fact in _facts(config, agreement))}
It needs `pip install {" ".join(needed)}`. `{CONFIG}` says all of how it came about.
"""


def _facts(config: SavedConfig, agreement: Agreement) -> list[str]:
    facts = []
    if (score := config.score) is not None:
        facts.append(_expected(config, score))
    encoder, learner = config.encoder, config.algorithm
    if not learner.inductive:
        facts.append(
            "It is transductive: it adapts to all items of one call of `predict` together, so give "
            "it all of them at once; alone, an item is predicted otherwise."
        )
    if learner.adapts_encoder:
        facts.append("Adapting changes a copy of the encoder's weights: it takes longer than most.")
    if config.task_kind == "regression":
        facts.append(f"Labels are {config.way} number(s) for each item.")
    elif config.task_kind == "binary":
        facts.append(
            "There are two classes; the second in sorted order is the positive one, or "
            "`adapt(..., classes=[negative, positive])`."
        )
    else:
        facts.append(
            f"Any labels do. Heads of fixed size, where the learner has one, were built for "
            f"{config.way} classes: it says so if there are more."
        )
    if encoder is not None and encoder.weights not in {"", NO_WEIGHTS}:
        facts.append(
            f"The weights of {encoder.name} are not in this folder: `{encoder.distribution}` gets "
            f"them, and their digest must be {encoder.weights[:12]}."
        )
    if config.reference_items:
        facts.append(
            f"`{REFERENCE}` holds the {config.reference_items:,} items that it was trained on: the "
            "encoder standardises new ones by them. Mind that if they are not to be passed on."
        )
    facts.append(
        f"Before it was saved, {agreement.same} of {agreement.queries} queries of "
        f"{agreement.episodes} test tasks were answered as in the record."
    )
    return facts


def _expected(config: SavedConfig, score: SavedScore) -> str:
    text = f"Expect {score.metric} {score.mean:.4g}"
    if score.ci95_low is not None and score.ci95_high is not None:
        text += f" (95 % interval {score.ci95_low:.4g} to {score.ci95_high:.4g})"
    seeds = f", {score.seeds} seeds" if score.seeds > 1 else ""
    shape = f"support of {score.shot} labelled examples"
    if config.task_kind == "classification":
        shape = f"{score.way} classes of {score.shot} labelled examples each"
    same = config.task_kind == "classification" and "tasks" not in (score.ci_over or "")
    like = f"{score.episodes} test tasks{seeds} ({shape})"
    text += f" on tasks {'drawn as' if same else 'like'} its {like}"
    if same:
        text += f", all from the same test classes of `{config.source}`; other classes may be "
        text += "easier or harder by more than the interval says"
    return f"{text}; chance is {score.chance:.4g}."
