"""``wikiqa``: which sentence of a Wikipedia summary answers a search query (Yang et al., 2015).

Yang, Yih & Meek, "WikiQA: a challenge dataset for open-domain question answering", EMNLP 2015. The
loader reads the three files of upstream's release and any others of their layout: tab-separated,
without quoting, with a header. The corpus comes under Microsoft's research licence, so it has to be
obtained by hand.

As usual in the literature on answer selection (Yang et al., section 4.1), questions without any
answer are left out; so are those without a wrong candidate, which no ranking can get wrong.

The tasks and their splits are ours: upstream has neither. Upstream's files are merged. A task is a
kind of question, told by its first two words (``who wrote``, ``how many``); kinds with fewer than
ten questions form one task per question word (``who``). Whole question words are held out: *who*
and *when* are test, *where* is val, everything else train. So scores are not comparable with the
mean average precision that is published for upstream's own test questions.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from metabench.errors import UnavailableError
from metabench.tasks.data import TaskData
from metabench.tasks.files import SourceContext
from metabench_nlp.files_by_hand import WIKIQA
from metabench_nlp.pairs import Candidate, pair_data
from metabench_nlp.reading import REMEDY, Upstream, broken, read

COLUMNS = (
    "QuestionID", "Question", "DocumentID", "DocumentTitle", "SentenceID", "Sentence", "Label",
)  # fmt: skip
MIN_QUESTIONS = 10
QUESTION_WORDS = ("who", "when", "where", "what", "which", "how", "why")
_HELD_OUT = {"who": "test", "when": "test", "where": "val"}
_WORD = re.compile(r"\w+")


@dataclass(frozen=True)
class Row:
    """One row of a file: a question and a candidate sentence."""

    question_id: str
    question: str
    sentence: str
    answers: bool


def wikiqa(context: SourceContext) -> TaskData:
    """Load the questions, one task per kind.

    Args:
        context: Where the upstream files are.

    Returns:
        Binary tasks named by the first words of their questions.

    Raises:
        UnavailableError: If a file is missing or broken, with file, line and column; or if no
            question of a split is left.
    """
    rows: list[Row] = []
    notes = ["upstream train, dev and test merged; tasks are kinds of question"]
    for declared in WIKIQA:
        file = read(context, declared)
        notes += file.notes
        rows += parse(file)
    questions = _by_question(rows)
    clean = {key: own for key, own in questions.items() if len({row.answers for row in own}) > 1}
    silent = sum(not any(row.answers for row in own) for own in questions.values())
    notes.append(f"{silent} questions without an answer left out")
    if trivial := len(questions) - len(clean) - silent:
        notes.append(f"{trivial} questions without a wrong candidate left out")
    tasks = kinds({key: own[0].question for key, own in clean.items()})
    splits: dict[str, list[str]] = {"train": [], "val": [], "test": []}
    for name in sorted(set(tasks.values())):
        splits[_HELD_OUT.get(name.split()[0], "train")].append(name)
    if empty := [split for split, names in splits.items() if not names]:
        raise UnavailableError(
            f"{context.source}: no question with an answer is left for {', '.join(empty)}", REMEDY
        )
    candidates = (
        Candidate(tasks[key], row.question, key, row.sentence, row.answers)
        for key, own in clean.items()
        for row in own
    )
    return pair_data(context.source, candidates, splits, notes)


def parse(file: Upstream) -> Iterator[Row]:
    """Parse a file of the release.

    Args:
        file: What was read.

    Yields:
        Its rows.

    Raises:
        UnavailableError: If a column is missing from the header, a row has too few or too many
            fields or an empty one, or a label is neither 0 nor 1.
    """
    lines = file.text.split("\n")
    header = lines[0].rstrip("\r").split("\t")
    if missing := [name for name in COLUMNS if name not in header]:
        what = f"no column {missing[0]!r}; found {', '.join(header) if any(header) else 'nothing'}"
        raise broken(file.path, "line 1", what)
    for number, line in enumerate(lines[1:], start=2):
        if not line.strip():
            continue
        place = f"line {number}"
        fields = line.rstrip("\r").split("\t")
        if len(fields) != len(header):
            what = f"{len(fields)} fields for {len(header)} columns"
            if len(fields) < len(header):
                what += f", column {header[len(fields)]!r} is missing"
            raise broken(file.path, place, what)
        value = dict(zip(header, fields, strict=True))
        for name in ("QuestionID", "Question", "Sentence"):
            if not value[name].strip():
                raise broken(file.path, f"{place}, column {name!r}", "empty")
        if value["Label"] not in ("0", "1"):
            what = f"{value['Label']!r} is neither 0 nor 1"
            raise broken(file.path, f"{place}, column 'Label'", what)
        yield Row(value["QuestionID"], value["Question"], value["Sentence"], value["Label"] == "1")


def kinds(questions: dict[str, str]) -> dict[str, str]:
    """Sort questions into tasks by their first words.

    Args:
        questions: Their texts by identifier.

    Returns:
        The name of the task by identifier: the first two words from the question word on, the
        question word alone where fewer than `MIN_QUESTIONS` share both, or ``other`` where a
        question has no question word.
    """
    pairs = {key: _first_words(text) for key, text in questions.items()}
    count = Counter(pairs.values())
    return {
        key: " ".join(pair) if count[pair] >= MIN_QUESTIONS else pair[0]
        for key, pair in pairs.items()
    }


def _first_words(text: str) -> tuple[str, ...]:
    words = _WORD.findall(text.lower())
    for position, word in enumerate(words):
        if word in QUESTION_WORDS:
            return tuple(words[position : position + 2])
    return ("other",)


def _by_question(rows: list[Row]) -> dict[str, list[Row]]:
    """Collect the candidates of each question, each sentence once; an answer stays an answer."""
    found: dict[str, dict[str, Row]] = {}
    for row in rows:
        own = found.setdefault(row.question_id, {})
        if row.sentence not in own or row.answers:
            own[row.sentence] = row
    return {key: list(own.values()) for key, own in found.items()}
