"""``clinc150``: 150 intents in 10 domains (Larson et al., 2019).

Larson et al., "An evaluation dataset for intent classification and out-of-scope prediction",
EMNLP-IJCNLP 2019. Upstream's train, val and test are merged (they share all classes) and the
out-of-scope queries are left out. The split is ours, by domain: domains with like intents (banking
and credit cards; auto and travel; small talk and meta) stay on one side.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from metabench.tasks.data import TaskData
from metabench.tasks.files import SourceContext
from metabench_nlp.files import CLINC_DATA, CLINC_DOMAINS
from metabench_nlp.hub import hub_utterances
from metabench_nlp.pools import Utterance, committed_split, task_data
from metabench_nlp.reading import Upstream, broken, parse_json, read

_OUT_OF_SCOPE = "oos"


def clinc150(
    context: SourceContext, *, hub: str = "", revision: str = "", config: str = "plus"
) -> TaskData:
    """Load the 22,500 in-scope utterances, split by domain into 75, 30 and 45 intents.

    Args:
        context: Where the upstream files are.
        hub: Instead of ``data_full.json``, a hub id such as ``clinc/clinc_oos``, or a folder that
            ``datasets`` can load, with the columns ``text`` and ``intent``.
        revision: The commit of the hub id.
        config: The configuration of the hub id.

    Returns:
        Classes named ``domain/intent``.
    """
    listing = read(context, CLINC_DOMAINS)
    domain_of = _domains(listing)
    splits = {
        split: [f"{d}/{intent}" for intent, d in domain_of.items() if d in names]
        for split, names in committed_split("clinc150").items()
    }
    notes = [*listing.notes, "upstream train, val and test merged; out-of-scope left out"]
    if hub:
        found = hub_utterances(hub, revision=revision, config=config, label="intent")
        notes.append(f"read from {hub} {revision}".rstrip())
    else:
        file = read(context, CLINC_DATA)
        notes += file.notes
        found = _utterances(file)
    named = (
        Utterance(u.text, f"{domain_of.get(u.label, '?')}/{u.label}", u.place)
        for u in found
        if u.label != _OUT_OF_SCOPE
    )
    return task_data(context.source, named, splits, notes)


def _domains(file: Upstream) -> dict[str, str]:
    content = parse_json(file, dict)
    known = {name for names in committed_split("clinc150").values() for name in names}
    if set(content) != known:
        odd = sorted(set(content) ^ known)
        raise broken(file.path, "line 1", f"domains missing or unknown: {', '.join(odd)}")
    domain_of: dict[str, str] = {}
    for domain in sorted(content):
        if not isinstance(content[domain], list):
            raise broken(file.path, f"domain {domain!r}", "expected a list of intents")
        domain_of |= {str(intent): domain for intent in content[domain]}
    return domain_of


def _utterances(file: Upstream) -> Iterator[Utterance]:
    content: dict[str, Any] = parse_json(file, dict)
    for part in ("train", "val", "test"):
        rows = content.get(part)
        if not isinstance(rows, list):
            raise broken(file.path, f"key {part!r}", "expected a list of [text, intent] pairs")
        for number, row in enumerate(rows):
            place = f"{part}[{number}]"
            match row:
                case [str(text), str(intent)] if text.strip():
                    yield Utterance(text, intent, f"{file.path}: {place}")
                case _:
                    raise broken(file.path, place, "expected a [text, intent] pair")
