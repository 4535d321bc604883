"""``banking77``: 77 fine-grained intents of one domain (Casanueva et al., 2020).

Casanueva et al., "Efficient intent detection with dual sentence encoders", NLP4ConvAI 2020.
Upstream's train and test are merged (they share all classes). The split is ours, by intent, in the
sizes that ProtAugment uses (Dopierre et al., ACL 2021; 25 train, 25 val, 27 test): the intents in
ascending order of the SHA-256 of their name, cut in this order.
"""

from __future__ import annotations

from collections.abc import Iterator

from metabench.hookspecs import DataFile
from metabench.tasks.data import TaskData
from metabench.tasks.files import SourceContext
from metabench_nlp.files import BANKING_TEST, BANKING_TRAIN
from metabench_nlp.hub import hub_utterances
from metabench_nlp.pools import Utterance, committed_split, task_data
from metabench_nlp.reading import parse_csv, read


def banking77(context: SourceContext, *, hub: str = "", revision: str = "") -> TaskData:
    """Load the 13,083 utterances, split by intent into 25, 25 and 27.

    Args:
        context: Where the upstream files are.
        hub: Instead of the CSV files, a hub id such as ``PolyAI/banking77``, or a folder that
            ``datasets`` can load, with the columns ``text`` and ``label``.
        revision: The commit of the hub id.

    Returns:
        Classes named as upstream names them.
    """
    notes = ["upstream train and test merged"]
    if hub:
        found = list(hub_utterances(hub, revision=revision))
        notes.append(f"read from {hub} {revision}".rstrip())
    else:
        found = list(_utterances(context, (BANKING_TRAIN, BANKING_TEST), notes))
    return task_data(context.source, found, committed_split("banking77"), notes)


def _utterances(
    context: SourceContext, files: tuple[DataFile, ...], notes: list[str]
) -> Iterator[Utterance]:
    for declared in files:
        file = read(context, declared)
        notes += file.notes
        for line, (text, category) in parse_csv(file, ("text", "category")):
            yield Utterance(text, category, f"{file.path}: line {line}")
