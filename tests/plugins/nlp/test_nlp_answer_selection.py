"""The sources of questions: the embedded corpus, and WikiQA's layout, good and bad."""

from __future__ import annotations

import math
import re
from collections import Counter

import numpy as np
import pytest

from metabench.errors import UnavailableError
from metabench.tasks.files import SourceContext
from metabench.tasks.sampler import EpisodeSampler
from metabench.tasks.sampling import Sampling
from metabench_nlp.files_by_hand import WIKIQA
from metabench_nlp.pairs import unpack_pairs
from metabench_nlp.plugin import metabench_task_sources
from metabench_nlp.sources.answer_selection import answer_selection, corpus
from metabench_nlp.sources.wikiqa import COLUMNS, kinds, wikiqa
from metabench_nlp.text import identity, tidy

WORDS = re.compile(r"\w+")
SPLITS = ("train", "val", "test")


@pytest.fixture(scope="module")
def data():
    return answer_selection(SourceContext("answer-selection"))


def tasks(data):
    return [task for split in SPLITS for task in data.splits[split].tasks]


def test_counts():
    topics = corpus()
    assert len(topics) == 24
    for topic, passages in topics.items():
        questions = [q for p in passages for q in p.questions]
        assert len(questions) >= 15, topic
        assert all(len(p.sentences) == 6 for p in passages), topic


def test_every_question_has_answers_and_hard_negatives():
    for topic, passages in corpus().items():
        for passage in passages:
            for question in passage.questions:
                assert 1 <= len(set(question.answers)) <= 2, question.text
                assert set(question.answers) <= set(range(len(passage.sentences))), question.text
                assert len(passage.sentences) - len(question.answers) >= 4, topic


def test_texts_are_tidy_and_questions_are_questions():
    texts = [
        text
        for passages in corpus().values()
        for passage in passages
        for text in (*passage.sentences, *(q.text for q in passage.questions))
    ]
    assert [text for text in texts if text != tidy(text) or text[0].islower()] == []
    for passages in corpus().values():
        for passage in passages:
            assert all(q.text.endswith("?") for q in passage.questions)
            assert [s for s in passage.sentences if not s.endswith((".", '".'))] == []


def test_no_text_twice():
    sentences = Counter(identity(s) for ps in corpus().values() for p in ps for s in p.sentences)
    assert [text for text, count in sentences.items() if count > 1] == []
    questions = Counter(
        identity(q.text) for ps in corpus().values() for p in ps for q in p.questions
    )
    assert [text for text, count in questions.items() if count > 1] == []


def test_a_sentence_answers_one_question_of_its_passage():
    for passages in corpus().values():
        for passage in passages:
            answers = [a for q in passage.questions for a in q.answers]
            assert len(answers) == len(set(answers)), passage.questions


def test_task_data(data):
    assert data.modality == "text-pair"
    assert {split: len(data.splits[split].tasks) for split in SPLITS} == {
        "train": 14,
        "val": 4,
        "test": 6,
    }
    names = [set(data.splits[split].names) for split in SPLITS]
    assert set.union(*names) == set(corpus())
    assert sum(map(len, names)) == len(corpus())
    questions, sentences = unpack_pairs(data.inputs)
    for task in tasks(data):
        passages = corpus()[task.name]
        assert len(task.items) == 6 * sum(len(p.questions) for p in passages)
        told = {
            (q.text, s): int(position in q.answers)
            for p in passages
            for q in p.questions
            for position, s in enumerate(p.sentences)
        }
        pairs = [(questions[item], sentences[item]) for item in task.items]
        assert dict(zip(pairs, task.targets.tolist(), strict=True)) == told
    of_list = {}
    for question, number in zip(questions, data.lists.tolist(), strict=True):
        assert of_list.setdefault(number, question) == question
    assert len(of_list) == len(set(of_list.values()))
    of_sentence = {}
    for sentence, group in zip(sentences, data.groups.tolist(), strict=True):
        assert of_sentence.setdefault(sentence, group) == group  # no sentence is in two passages
    assert len(set(data.groups.tolist())) == 120
    assert data.digest == answer_selection(SourceContext("answer-selection")).digest


@pytest.mark.parametrize("suite", ["quick", "standard", "full"])
def test_episodes_keep_whole_questions_for_the_query(data, suite):
    [info] = [i for i in metabench_task_sources() if i.name == "answer-selection"]
    settings = info.suites[suite]
    assert (settings["query"], info.protocol["group_disjoint"]) == ("rest", True)
    for shot in settings["shots"]:
        sampling = Sampling(
            way=2, shot=shot, query=None, support=settings["support"], draws=settings["draws"],
            group_disjoint=True,
        )  # fmt: skip
        sampler = EpisodeSampler(
            data.splits["test"], sampling, source_digest=data.digest, split="test", seed=0,
            groups=data.groups,
        )  # fmt: skip
        count = sampler.test_episodes(1)
        assert count == 60
        for batch in sampler.batches(0, count, 1):
            support, query = data.groups[batch.support[0]], data.groups[batch.query[0]]
            assert not set(support) & set(query)
            asked, sizes = np.unique(data.lists[batch.query[0]], return_counts=True)
            assert len(asked) >= 8
            assert set(sizes) == {6}
            assert 0 < batch.support_targets.sum() < shot == len(support)


def average_precision(scores, targets):
    """Mean over positives of the precision at their rank; scores have no ties."""
    hits = targets[np.argsort(-scores)]
    return (np.cumsum(hits) / np.arange(1, len(hits) + 1))[hits == 1].mean()


def test_shared_words_help_but_do_not_solve_it(data):
    """A ranker by shared words, weighted by rarity, is between chance and the answer."""
    questions, sentences = unpack_pairs(data.inputs)
    said = [set(WORDS.findall(text.lower())) for text in sentences]
    frequency = Counter(word for text in set(sentences) for word in WORDS.findall(text.lower()))
    total = len(set(sentences))
    noise = 1e-6 * np.random.default_rng(0).random((2, len(data)))
    overlap, length = noise[0].copy(), noise[1].copy()
    for row, question in enumerate(questions):
        shared = set(WORDS.findall(question.lower())) & said[row]
        overlap[row] += sum(math.log(total / frequency[word]) for word in shared)
        length[row] += len(sentences[row])
    found = {
        name: np.mean([average_precision(s[t.items], t.targets) for t in tasks(data)])
        for name, s in (("overlap", overlap), ("length", length), ("chance", noise[0]))
    }
    assert found["chance"] < 0.24
    assert found["length"] < 0.28
    assert 0.3 < found["overlap"] < 0.5


def tsv(rows):
    return "\n".join("\t".join(row) for row in [COLUMNS, *rows]) + "\n"


def question_rows(number, text, answer=0, candidates=3):
    return [
        [f"Q{number}", text, f"D{number}", f"Title {number}", f"D{number}-{i}",
         f'Sentence {i} of "document" {number} .', str(int(i == answer))]
        for i in range(candidates)
    ]  # fmt: skip


@pytest.fixture
def upstream(tmp_path):
    starts = ["who wrote it", "when was it", "where is it", "how many are", "what is that"]
    texts = [f"{start} {n}" for start in starts for n in range(12)]
    texts += ["who sang it", "name the author", "in which town is it", "How"]
    files = {declared.path: [] for declared in WIKIQA}
    for number, text in enumerate(texts):
        files[WIKIQA[number % 3].path] += question_rows(number, text)
    files[WIKIQA[0].path] += question_rows(900, "who never answers", answer=-1)
    files[WIKIQA[1].path] += question_rows(901, "who always answers", candidates=1)
    (tmp_path / "nlp/wikiqa").mkdir(parents=True)
    for path, rows in files.items():
        (tmp_path / path).write_text(tsv(rows), encoding="utf-8")
    return tmp_path


def load(root):
    return wikiqa(SourceContext("wikiqa", root))


def test_wikiqa_tasks(upstream):
    data = load(upstream)
    assert {split: data.splits[split].names for split in SPLITS} == {
        "train": ("how", "how many", "other", "what is", "which"),
        "val": ("where is",),
        "test": ("when was", "who", "who wrote"),
    }
    sizes = {task.name: (len(task.items), int(task.targets.sum())) for task in tasks(data)}
    assert sizes["who wrote"] == (36, 12)
    assert sizes["who"] == (3, 1)
    assert len(np.unique(data.groups)) == 64
    assert len(data) == 3 * 64
    assert any(note.startswith("1 questions without an answer") for note in data.notes)
    assert any(note.startswith("1 questions without a wrong") for note in data.notes)
    questions, sentences = unpack_pairs(data.inputs)
    assert 'Sentence 2 of "document" 0 .' in sentences
    assert "who never answers" not in questions


def test_wikiqa_kinds_need_enough_questions():
    few = {f"a{n}": "who wrote it" for n in range(9)} | {"b": "who sang it"}
    assert set(kinds(few).values()) == {"who"}
    assert set(kinds({**few, "a9": "By WHO? wrote"}).values()) == {"who", "who wrote"}


def test_wikiqa_repeated_sentences_stay_once(upstream):
    path = upstream / WIKIQA[2].path
    rows = question_rows(5, "who wrote it 5")
    rows[0][-1], rows[1][-1] = "0", "1"
    with path.open("a", encoding="utf-8") as stream:
        stream.writelines("\t".join(row) + "\n" for row in rows)
    data = load(upstream)
    assert len(data) == 3 * 64
    [task] = [task for task in tasks(data) if task.name == "who wrote"]
    assert task.targets.sum() == 13


def test_wikiqa_windows_line_ends_change_nothing(upstream):
    digest = load(upstream).digest
    for declared in WIKIQA:
        path = upstream / declared.path
        path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n"))
    assert load(upstream).digest == digest


def replaced(old, new):
    return lambda text: text.replace(old, new, 1)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda _: "", r"WikiQA-train\.tsv: line 1: no column 'QuestionID'; found nothing"),
        (replaced("Label", "label"), "line 1: no column 'Label'"),
        (replaced("\t1\n", "\n"), "line 2: 6 fields for 7 columns, column 'Label' is missing"),
        (replaced("\t1\n", "\t1\t\n"), "line 2: 8 fields for 7 columns"),
        (replaced("\t1\n", "\tyes\n"), "line 2, column 'Label': 'yes' is neither 0 nor 1"),
        (replaced("who wrote it 0", " "), "line 2, column 'Question': empty"),
        (replaced('Sentence 1 of "document" 0 .', ""), "line 3, column 'Sentence': empty"),
    ],
)
def test_wikiqa_names_the_place_of_a_fault(upstream, change, message):
    path = upstream / WIKIQA[0].path
    path.write_text(change(path.read_text(encoding="utf-8")), encoding="utf-8")
    with pytest.raises(UnavailableError, match=message):
        load(upstream)


def test_wikiqa_says_what_is_missing(upstream):
    with pytest.raises(UnavailableError, match="none is set"):
        wikiqa(SourceContext("wikiqa"))
    (upstream / WIKIQA[1].path).unlink()
    with pytest.raises(UnavailableError, match=r"WikiQA-dev\.tsv does not exist"):
        load(upstream)


def test_wikiqa_without_a_split(upstream):
    for declared in WIKIQA:
        path = upstream / declared.path
        path.write_text(path.read_text(encoding="utf-8").replace("where", "what"))
    with pytest.raises(UnavailableError, match="no question with an answer is left for val"):
        load(upstream)
