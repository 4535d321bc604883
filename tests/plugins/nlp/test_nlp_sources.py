"""The sources on small files in the upstream layout, good and bad."""

from __future__ import annotations

import json

import pytest

from metabench.errors import UnavailableError, UsageError
from metabench.tasks.files import SourceContext
from metabench_nlp.hub import hub_utterances
from metabench_nlp.pools import committed_split
from metabench_nlp.sources.banking77 import banking77
from metabench_nlp.sources.clinc150 import clinc150
from metabench_nlp.sources.fewrel import fewrel, mark
from metabench_nlp.text import identity, unpack

INTENTS = [name for names in committed_split("banking77").values() for name in names]
DOMAINS = [name for names in committed_split("clinc150").values() for name in names]
RELATIONS = [name for names in committed_split("fewrel").values() for name in names]


def write(root, path, content):
    file = root / path
    file.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(content, bytes):
        file.write_bytes(content)
    else:
        file.write_text(content, encoding="utf-8")
    return file


def banking_csv(tag, intents=INTENTS):
    rows = "".join(f'"{tag}, {name}\n again",{name}\n' for name in intents)
    return "text,category\n" + rows


@pytest.fixture
def banking(tmp_path):
    write(tmp_path, "nlp/banking77/train.csv", banking_csv("one"))
    write(tmp_path, "nlp/banking77/test.csv", banking_csv("two"))
    return tmp_path


@pytest.fixture
def clinc(tmp_path):
    domains = {domain: [f"{domain}_{i}" for i in range(2)] for domain in DOMAINS}
    names = [name for intents in domains.values() for name in intents]
    data = {
        part: [[f"{part} says {name}", name] for name in names] for part in ("train", "val", "test")
    }
    data |= {f"oos_{part}": [[f"odd {part}", "oos"]] for part in ("train", "val", "test")}
    write(tmp_path, "nlp/clinc150/data_full.json", json.dumps(data, indent=1))
    write(tmp_path, "nlp/clinc150/domains.json", json.dumps(domains))
    return tmp_path


def instance(words, head=(0,), tail=(2,)):
    return {"tokens": words.split(), "h": ["h", "Q1", [[*head]]], "t": ["t", "Q2", [[*tail]]]}


@pytest.fixture
def relations(tmp_path):
    train = {r: [instance(f"a{r} of b c{i}") for i in range(3)] for r in RELATIONS}
    test = {f"Q{r}": [instance(f"Some{r} In Town x{i}") for i in range(3)] for r in range(5)}
    train[RELATIONS[0]].append(instance("some1 in town x1"))
    write(tmp_path, "nlp/fewrel/train_wiki_partial.json", json.dumps(train))
    write(tmp_path, "nlp/fewrel/val_wiki.json", json.dumps(test))
    return tmp_path


def assert_no_text_twice(data):
    keys = [identity(text) for text in unpack(data.inputs)]
    assert len(keys) == len(set(keys))


def test_banking77(banking):
    context = SourceContext("banking77", banking)
    data = banking77(context)
    assert [len(data.splits[s].names) for s in ("train", "val", "test")] == [25, 25, 27]
    assert len(data) == 154
    assert [path.name for path in context.used] == ["train.csv", "test.csv"]
    assert unpack(data.inputs)[0] == f"one, {INTENTS[0]} again"
    assert sum("differs from upstream" in note for note in data.notes) == 2
    assert data.digest == banking77(SourceContext("banking77", banking)).digest


def test_clinc150(clinc):
    data = clinc150(SourceContext("clinc150", clinc))
    assert [len(data.splits[s].names) for s in ("train", "val", "test")] == [10, 4, 6]
    assert len(data) == 60
    assert not any("odd" in text for text in unpack(data.inputs))


def test_fewrel(relations):
    data = fewrel(SourceContext("fewrel", relations))
    assert [len(data.splits[s].names) for s in ("train", "val", "test")] == [50, 14, 5]
    texts = unpack(data.inputs)
    assert texts[0] == "[E1] some0 [/E1] in [E2] town [/E2] x0"
    assert any("1 training instances dropped" in note for note in data.notes)
    assert data.groups is not None


def test_one_sentence_with_two_entity_pairs_is_one_group(relations):
    file = relations / "nlp/fewrel/val_wiki.json"
    content = json.loads(file.read_text())
    content["Q0"].append(instance("Some0 In Town x0", head=(3,), tail=(2,)))
    file.write_text(json.dumps(content))
    data = fewrel(SourceContext("fewrel", relations))
    texts = unpack(data.inputs)
    pair = [i for i, text in enumerate(texts) if "some0" in text and "x0" in text]
    assert len(pair) == 2
    assert data.groups[pair[0]] == data.groups[pair[1]]


def test_repeated_texts_are_dropped(banking):
    file = banking / "nlp/banking77/test.csv"
    file.write_text(
        file.read_text()
        + f'"ONE - {INTENTS[0]} again!",{INTENTS[0]}\n"one {INTENTS[0]} again",{INTENTS[-1]}\n'
    )
    data = banking77(SourceContext("banking77", banking))
    assert len(data) == 154
    assert_no_text_twice(data)
    assert "2 repeated texts dropped, the first kept (1 of them had another class)" in data.notes


def test_mark():
    words = ["the", "bridge", "over", "the", "river"]
    assert mark(words, [0, 1], [4]) == "[E1] the bridge [/E1] over the [E2] river [/E2]"
    assert mark(words, [4], [1]) == "the [E2] bridge [/E2] over the [E1] river [/E1]"
    for head, tail in (([5], [0]), ([-1], [0]), ([], [0]), ([0, 1], [1]), ([0, 4], [2])):
        with pytest.raises(ValueError, match="mention"):
            mark(words, head, tail)


def test_committed_splits_follow_the_rule():
    from hashlib import sha256

    for name in ("banking77", "fewrel"):
        names = [label for labels in committed_split(name).values() for label in labels]
        assert names == sorted(names, key=lambda label: sha256(label.encode()).hexdigest())
        assert len(set(names)) == len(names)
    assert len(INTENTS) == 77
    assert len(RELATIONS) == 64


def breaks(load, name, root, *places):
    with pytest.raises(UnavailableError) as caught:
        load(SourceContext(name, root))
    for place in places:
        assert place in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "places"),
    [
        ("text,label\na,b\n", ("line 1", "no column 'category'", "text, label")),
        ("", ("line 1", "no column 'text'", "found nothing")),
        ("text,category\nhello there\n", ("line 2", "column 'category' is missing")),
        (f"text,category\nx,{INTENTS[0]},z\n", ("line 2", "3 fields for 2 columns")),
        ('text,category\n"cut in the mid', ("line 2", "not CSV")),
        ("text,category\na,card_arr", ("line 2", "'card_arr'", "no split")),
        (f"text,category\n ,{INTENTS[0]}\n", ("line 2, column 'text'", "empty")),
        (b"text,category\nok,ok\nab\xff,x\n", ("line 3, byte 3", "not UTF-8")),
    ],
)
def test_a_broken_csv_names_file_and_place(banking, content, places):
    write(banking, "nlp/banking77/test.csv", content)
    breaks(banking77, "banking77", banking, "test.csv", *places)


def test_a_csv_cut_at_a_line_is_noticed(banking):
    write(banking, "nlp/banking77/train.csv", banking_csv("one", INTENTS[:70]))
    write(banking, "nlp/banking77/test.csv", banking_csv("two", INTENTS[:70]))
    breaks(banking77, "banking77", banking, "no text for 7 of 77 classes")


@pytest.mark.parametrize(
    ("change", "places"),
    [
        (lambda text: text[: len(text) // 2], ("line ", "column ", "not JSON")),
        (lambda text: text.replace('"val"', '"valid"'), ("key 'val'",)),
        (lambda _: "[]", ("line 1", "expected a dict, found a list")),
        (lambda _: "[" * 100_000, ("nested too deeply",)),
        (lambda text: text.replace('"test says work_1",', ""), ("test[9]", "pair")),
        (lambda text: text.replace('"work_1"', '"work_9"'), ("train[9]", "no split")),
    ],
)
def test_a_broken_json_names_file_and_place(clinc, change, places):
    file = clinc / "nlp/clinc150/data_full.json"
    file.write_text(change(file.read_text()))
    breaks(clinc150, "clinc150", clinc, "data_full.json", *places)


def test_other_domains_are_refused(clinc):
    write(clinc, "nlp/clinc150/domains.json", json.dumps({"banking": ["x"]}))
    breaks(clinc150, "clinc150", clinc, "domains.json", "travel")


@pytest.mark.parametrize(
    "fault",
    [
        {"tokens": ["a"]},
        "text",
        instance("a b c", head=(7,)),
        instance("a b c", head=(2,)),
        {"tokens": ["a", "b"], "h": ["a", "Q", []], "t": ["b", "Q", [[1]]]},
    ],
)
def test_a_broken_relation_names_its_place(relations, fault):
    file = relations / "nlp/fewrel/val_wiki.json"
    content = json.loads(file.read_text())
    content["Q3"][1] = fault
    file.write_text(json.dumps(content))
    breaks(fewrel, "fewrel", relations, "val_wiki.json", "Q3[1]", "not a FewRel instance")


def test_missing_files_are_unavailable(tmp_path):
    breaks(banking77, "banking77", tmp_path, "train.csv", "metabench data fetch banking77")
    breaks(clinc150, "clinc150", None, "METABENCH_DATA")


def test_a_hub_copy_loads_through_datasets(banking, tmp_path, monkeypatch):
    datasets = pytest.importorskip("datasets")
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    folder = tmp_path / "copy"
    write(folder, "train.csv", banking_csv("one").replace("category", "label"))
    write(folder, "test.csv", banking_csv("two").replace("category", "label"))
    data = banking77(SourceContext("banking77"), hub=str(folder))
    assert data.digest == banking77(SourceContext("banking77", banking)).digest
    with pytest.raises(UnavailableError, match="no column 'intent'"):
        list(hub_utterances(str(folder), label="intent"))


def test_class_labels_are_decoded(tmp_path, monkeypatch):
    datasets = pytest.importorskip("datasets")
    features = datasets.Features(
        text=datasets.Value("string"), label=datasets.ClassLabel(names=["no", "yes"])
    )
    table = datasets.Dataset.from_dict({"text": ["a", "b"], "label": [1, 0]}, features=features)
    monkeypatch.setattr(datasets, "load_dataset", lambda *_, **__: {"train": table})
    found = list(hub_utterances("some/where", revision="0" * 40))
    assert [(u.text, u.label) for u in found] == [("a", "yes"), ("b", "no")]


@pytest.mark.parametrize("revision", ["", "main", "c9745ed"])
def test_a_hub_id_needs_a_commit(revision):
    with pytest.raises(UsageError, match="40 digits"):
        banking77(SourceContext("banking77"), hub="PolyAI/banking77", revision=revision)


def test_an_unreachable_hub_is_unavailable(monkeypatch):
    datasets = pytest.importorskip("datasets")

    def refuse(*args, **kwargs):
        assert kwargs["revision"] == "0" * 40
        raise ConnectionError("no network")

    monkeypatch.setattr(datasets, "load_dataset", refuse)
    with pytest.raises(UnavailableError, match=r"no network.*hf download"):
        list(hub_utterances("PolyAI/banking77", revision="0" * 40))
