"""``intents``: an embedded corpus of requests to assistants, written for metabench.

Ten domains of seven intents, 26 utterances each, in ``data/intents/<domain>.json``. Whole domains
are held out. Kitchen and media are the test domains because their intents are unlike those of the
other eight: the mean, over a pair's intents, of the largest cosine between intent means in MiniLM's
space was 0.44 (0.44 to 0.70 over all 45 pairs; health and kitchen were as low, but pill reminders
and doctor's visits are close to the calendar). The corpus stands in for no other data set, and no
published number exists for it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from importlib import resources

from metabench.errors import UnavailableError
from metabench.tasks.data import TaskData
from metabench.tasks.files import SourceContext
from metabench_nlp.pools import Utterance, committed_split, task_data


def corpus() -> dict[str, dict[str, list[str]]]:
    """Read the corpus.

    Returns:
        Utterances by domain and intent; domains in alphabetical order.

    Raises:
        UnavailableError: If the installed corpus is damaged.
    """
    folder = resources.files("metabench_nlp") / "data" / "intents"
    found: dict[str, dict[str, list[str]]] = {}
    for file in sorted(folder.iterdir(), key=lambda entry: entry.name):
        if not file.name.endswith(".json"):
            continue
        try:
            content = json.loads(file.read_text(encoding="utf-8"))
            found[content["domain"]] = content["intents"]
        except (ValueError, KeyError, TypeError) as error:
            raise UnavailableError(
                f"{file} is damaged ({error!r})", "install metabench-nlp again"
            ) from error
    return found


def intents(context: SourceContext) -> TaskData:
    """Load the corpus, split by domain.

    Args:
        context: Names the source; the corpus is embedded.

    Returns:
        Classes named ``domain/intent``.
    """
    domains = corpus()
    splits = {
        split: [f"{domain}/{intent}" for domain in names for intent in domains.get(domain, ())]
        for split, names in committed_split("intents").items()
    }
    return task_data(context.source, _utterances(domains), splits)


def _utterances(domains: dict[str, dict[str, list[str]]]) -> Iterator[Utterance]:
    for domain, classes in domains.items():
        for intent, texts in classes.items():
            for row, text in enumerate(texts):
                yield Utterance(text, f"{domain}/{intent}", f"intents/{domain}.json, row {row}")
