"""``fewrel`` and ``fewrel-pubmed``: which relation holds between two marked entities.

Han et al., "FewRel: a large-scale supervised few-shot relation classification dataset with
state-of-the-art evaluation", EMNLP 2018, and, for PubMed, Gao et al., "FewRel 2.0: towards more
challenging few-shot relation classification", EMNLP 2019. The meta-test relations are upstream's
public validation relations (16 of Wikipedia, 10 of PubMed), as upstream's hidden test is not
public. Upstream's 64 training relations are divided by us into 50 train and 14 val: relations in
ascending order of the SHA-256 of their identifier, cut in this order.

The published training file is lower-cased and partial (137 to 406 of 700 instances per relation),
hence everything is lower-cased and scores are not comparable with runs on the full file; the option
``train`` names that file for those who have it. Entities are marked in the surface text, as in
Baldini Soares et al., "Matching the blanks", ACL 2019: ``[E1] head [/E1] ... [E2] tail [/E2]``.

One sentence can carry several entity pairs, so the sentence is the group of each example, and the
standard protocols keep it on one side of an episode. A training sentence that also occurs in the
test file is dropped.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from metabench.hookspecs import DataFile
from metabench.tasks.data import TaskData
from metabench.tasks.files import SourceContext
from metabench_nlp.files import FEWREL_PUBMED, FEWREL_TRAIN, FEWREL_WIKI
from metabench_nlp.pools import Utterance, committed_split, task_data
from metabench_nlp.reading import Upstream, broken, parse_json, read
from metabench_nlp.text import identity

_TEST = {"wiki": FEWREL_WIKI, "pubmed": FEWREL_PUBMED}


def fewrel(
    context: SourceContext, *, test: str = "wiki", train: str = "train_wiki_partial.json"
) -> TaskData:
    """Load the relations.

    Args:
        context: Where the upstream files are.
        test: ``wiki`` (16 relations) or ``pubmed`` (10 relations, another domain).
        train: The file of the 64 training relations, below ``nlp/fewrel``.

    Returns:
        Classes named as upstream names the relations; the sentences are groups.
    """
    test_file = read(context, _TEST[test])
    train_path = f"nlp/fewrel/{train}"
    declared = FEWREL_TRAIN if train_path == FEWREL_TRAIN.path else DataFile(path=train_path)
    train_file = read(context, declared)
    tested = list(_utterances(test_file))
    sentences = {utterance.group for utterance in tested}
    trained = list(_utterances(train_file))
    apart = [utterance for utterance in trained if utterance.group not in sentences]
    notes = [*test_file.notes, *train_file.notes, "lower-cased, as the training file is"]
    if dropped := len(trained) - len(apart):
        notes.append(f"{dropped} training instances dropped whose sentence is in the test file")
    splits = dict(committed_split("fewrel"))
    splits["test"] = tuple(sorted({utterance.label for utterance in tested}))
    return task_data(context.source, [*tested, *apart], splits, notes)


def _utterances(file: Upstream) -> Iterator[Utterance]:
    content: dict[str, Any] = parse_json(file, dict)
    for relation in sorted(content):
        if not isinstance(content[relation], list):
            raise broken(file.path, f"relation {relation!r}", "expected a list of instances")
        for number, instance in enumerate(content[relation]):
            place = f"{relation}[{number}]"
            try:
                tokens = [str(token).lower() for token in instance["tokens"]]
                marked = mark(tokens, instance["h"][2][0], instance["t"][2][0])
            except (KeyError, IndexError, TypeError, ValueError) as error:
                raise broken(file.path, place, f"not a FewRel instance ({error!r})") from error
            yield Utterance(marked, relation, f"{file.path}: {place}", identity(" ".join(tokens)))


def mark(tokens: list[str], head: list[int], tail: list[int]) -> str:
    """Mark the first mention of two entities in a sentence.

    Args:
        tokens: The sentence.
        head: The positions of the head's tokens.
        tail: The positions of the tail's tokens.

    Returns:
        The sentence with markers, words separated by single spaces.

    Raises:
        ValueError: If a mention is empty, overlaps the other or lies outside the sentence.
    """
    for positions in (head, tail):
        if not positions or min(positions) < 0 or max(positions) >= len(tokens):
            raise ValueError(f"mention {positions} outside 0..{len(tokens) - 1}")
    if not (max(head) < min(tail) or max(tail) < min(head)):
        raise ValueError(f"mentions {head} and {tail} overlap")
    marked = list(tokens)
    for name, positions in (("E1", head), ("E2", tail)):
        marked[min(positions)] = f"[{name}] {marked[min(positions)]}"
        marked[max(positions)] = f"{marked[max(positions)]} [/{name}]"
    return " ".join(" ".join(marked).split())
