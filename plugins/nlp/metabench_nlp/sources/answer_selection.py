"""``answer-selection``: which sentence of a passage answers a question; written for metabench.

24 topics in ``data/answer-selection/<topic>.json``, five passages each, six sentences to a passage
and three questions about it: 360 questions, 2,160 pairs. A topic is a task and whole topics are
held out. The wrong candidates of a question are the other sentences of its passage, so they are on
topic and often share its words, whereas an answer rarely repeats the wording of the question: the
task of Yang et al., "WikiQA: a challenge dataset for open-domain question answering", EMNLP 2015,
with less of the bias for shared words that they criticise. The text is English prose about real
things, not generated, but there is little of it, and no published number exists for it.

A sentence answers at most one question, and the questions of one passage share their candidates, so
passages are groups: with ``group_disjoint`` a passage is on one side of an episode.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import resources
from typing import Any

from metabench.errors import UnavailableError
from metabench.tasks.data import TaskData
from metabench.tasks.files import SourceContext
from metabench_nlp.pairs import Candidate, pair_data
from metabench_nlp.pools import committed_split


@dataclass(frozen=True)
class Question:
    """One question about a passage.

    Attributes:
        text: The question.
        answers: The positions, from 0, of the sentences that answer it.
    """

    text: str
    answers: tuple[int, ...]


@dataclass(frozen=True)
class Passage:
    """Sentences in a row, and what is asked about them."""

    sentences: tuple[str, ...]
    questions: tuple[Question, ...]


def corpus() -> dict[str, tuple[Passage, ...]]:
    """Read the corpus.

    Returns:
        Passages by topic; topics in alphabetical order.

    Raises:
        UnavailableError: If the installed corpus is damaged.
    """
    folder = resources.files("metabench_nlp") / "data" / "answer-selection"
    found: dict[str, tuple[Passage, ...]] = {}
    for file in sorted(folder.iterdir(), key=lambda entry: entry.name):
        if not file.name.endswith(".json"):
            continue
        try:
            content = json.loads(file.read_text(encoding="utf-8"))
            found[content["topic"]] = tuple(_passage(one) for one in content["passages"])
        except (ValueError, KeyError, TypeError) as error:
            raise UnavailableError(
                f"{file} is damaged ({error!r})", "install metabench-nlp again"
            ) from error
    return found


def _passage(content: dict[str, Any]) -> Passage:
    questions = (Question(one["question"], tuple(one["answers"])) for one in content["questions"])
    return Passage(tuple(content["sentences"]), tuple(questions))


def answer_selection(context: SourceContext) -> TaskData:
    """Load the corpus, split by topic.

    Args:
        context: Names the source; the corpus is embedded.

    Returns:
        One binary task per topic.
    """
    splits = committed_split("answer-selection")
    return pair_data(context.source, candidates(corpus()), splits)


def candidates(topics: dict[str, tuple[Passage, ...]]) -> Iterator[Candidate]:
    """Pair every question with every sentence of its passage."""
    for topic, passages in topics.items():
        for number, passage in enumerate(passages):
            for asked in passage.questions:
                for position, sentence in enumerate(passage.sentences):
                    yield Candidate(
                        task=topic,
                        question=asked.text,
                        question_id=f"{topic}/{number}/{asked.text}",
                        sentence=sentence,
                        answers=position in asked.answers,
                        passage=f"{topic}/{number}",
                    )
