"""Adapting to and predicting what users have."""

import numpy as np
import pandas as pd
import pytest
import torch

from metabench.errors import MetabenchError, UnavailableError, UsageError


def points(*centres, each=3, seed=0):
    rng = np.random.default_rng(seed)
    found = np.concatenate([c + 0.1 * rng.normal(size=(each, 8)) for c in centres])
    return torch.tensor(found, dtype=torch.float32)


FAR = np.eye(8) * 5


@pytest.mark.parametrize(
    ("names", "classes"),
    [
        (["b", "a", "c"], ["a", "b", "c"]),
        ([3, 1, 2], [1, 2, 3]),
        ([0.5, -1.0, 7.5], [-1.0, 0.5, 7.5]),
        ([True, False, 2], [False, True, 2]),
        (["x", 1, ("t", 0)], [1, "x", ("t", 0)]),
    ],
)
def test_labels_may_be_anything(learner, names, classes):
    labels = [name for name in names for _ in range(3)]
    adapted = learner("frozen").adapt(points(*FAR[:3]), labels)
    assert adapted.classes == classes
    found = adapted.predict(points(*FAR[:3], seed=1))
    assert found.tolist() == labels
    assert adapted.scores(points(*FAR[:3])).shape == (9, 3)


@pytest.mark.parametrize("name", ["frozen", "protonet", "logistic", "fitted", "maps", "seeing"])
@pytest.mark.parametrize("way", [2, 3, 7])
def test_any_number_of_classes_and_uneven_shots(learner, name, way):
    items = torch.cat([points(FAR[c], each=1 + c % 3, seed=c) for c in range(way)])
    labels = [c for c in range(way) for _ in range(1 + c % 3)]
    order = np.random.default_rng(0).permutation(len(labels))
    adapted = learner(name).adapt(items[order], np.array(labels)[order])
    query = points(*FAR[:way], each=2, seed=9)
    assert adapted.scores(query).shape == (2 * way, way)
    if name == "frozen":
        assert adapted.predict(query).tolist() == [c for c in range(way) for _ in range(2)]


def test_a_head_of_fixed_size_says_how_many_classes_it_takes(learner):
    maml = learner("maml")
    few = maml.adapt(points(*FAR[:2]), list("aaabbb"))
    assert few.scores(points(FAR[0])).shape == (3, 2)
    labels = [c for c in "abcdefgh" for _ in range(3)]
    with pytest.raises(UsageError, match="up to 5 classes, and the labels name 8"):
        maml.adapt(points(*FAR), labels)


def test_a_transductive_learner_sees_the_items_of_a_call_together(learner):
    seeing = learner("seeing")
    assert not seeing.inductive
    adapted = seeing.adapt(points(*FAR[:2] / 10), list("aaabbb"))
    query = points(FAR[0] / 10, FAR[1] / 10 + 0.5, each=5, seed=2)
    together = adapted.scores(query)
    alone = np.concatenate([adapted.scores(query[i : i + 1]) for i in range(len(query))])
    assert not np.allclose(together, alone)
    inductive = learner("frozen").adapt(points(*FAR[:2]), list("aaabbb"))
    alone = np.concatenate([inductive.scores(query[i : i + 1]) for i in range(len(query))])
    np.testing.assert_allclose(inductive.scores(query), alone, atol=1e-5)


def test_no_items_no_predictions(learner):
    adapted = learner("frozen").adapt(points(*FAR[:2]), list("aaabbb"))
    assert adapted.predict([]).shape == (0,)
    assert adapted.scores({"points": torch.empty(0, 8)}).shape == (0, 2)


def test_prepared_inputs_in_each_form(learner):
    frozen, items = learner("frozen"), points(*FAR[:2])
    adapted = frozen.adapt({"points": items}, list("aaabbb"))
    expected = adapted.scores(items)
    np.testing.assert_array_equal(adapted.scores(items.numpy()), expected)
    np.testing.assert_array_equal(adapted.scores({"points": items.numpy()}), expected)


def test_the_same_every_time_and_the_users_random_numbers_are_left_alone(learner):
    first, second = (
        learner("maml").adapt(points(*FAR[:3]), list("aaabbbccc")).scores(points(*FAR[:3]))
        for _ in range(2)
    )
    np.testing.assert_array_equal(first, second)
    torch.manual_seed(3)
    expected = torch.rand(4)
    loaded = learner("logistic")
    torch.manual_seed(3)
    loaded.adapt(points(*FAR[:2]), list("aaabbb")).predict(points(FAR[0]))
    assert torch.equal(torch.rand(4), expected)


def test_of_two_classes_the_second_is_the_positive_one(learner):
    binary, items = learner("binary"), torch.randn(8, 4, generator=torch.manual_seed(0))
    labels = ["active" if x > 0 else "idle" for x in items[:, 0]]
    named = binary.adapt(items, labels, classes=["idle", "active"])
    assert named.classes == ["idle", "active"]
    np.testing.assert_allclose(
        named.scores(items), binary.adapt(items, labels).scores(items)[:, ::-1], atol=1e-5
    )
    with pytest.raises(UsageError, match="two classes, and the labels name 3"):
        binary.adapt(items[:3], ["a", "b", "c"])


def test_values_are_predicted_as_values(learner):
    values = learner("values")
    x = torch.linspace(-4, 4, 9)[:, None]
    adapted = values.adapt(x, (0.5 * x[:, 0]).tolist())
    found = adapted.predict(torch.tensor([[1.0], [-2.0]]))
    np.testing.assert_allclose(found, [0.5, -1.0], atol=0.1)
    assert adapted.scores(x).shape == (9, 1)
    same = values.adapt(x, (0.5 * x).numpy()).predict(torch.tensor([[1.0], [-2.0]]))
    np.testing.assert_array_equal(found, same)


@pytest.mark.parametrize(
    ("labels", "told"),
    [
        ([1.0, np.nan, 0.0], "label 1 is nan, which is no finite number"),
        (["a", "b", "c"], "takes numbers as labels"),
        ([[1, 2], [3, 4], [5, 6]], "predicts 1 value"),
    ],
)
def test_values_that_are_none(learner, labels, told):
    with pytest.raises(UsageError, match=told):
        learner("values").adapt(torch.zeros(3, 1), labels)


@pytest.mark.parametrize(
    ("labels", "options", "told"),
    [
        (["a"] * 6, {}, r"1 class \('a'\); two at least"),
        (["a", "b"], {}, "6 support items and 2 labels"),
        (["a", "b", None, "a", "b", "a"], {}, "label 2 is None"),
        (["a", "b", np.nan, "a", "b", "a"], {}, "label 2 is nan"),
        (pd.array(["a", "b", None, "a", "b", "a"], "string"), {}, "label 2 is <NA>"),
        (np.zeros((6, 2)), {}, r"label 0 has the shape \(2,\); one value is due"),
        (torch.zeros(6, 1), {}, r"label 0 has the shape \(1,\); one value is due"),
        ([["a"], "b", "a", "b", "a", "b"], {}, r"label 0 is the list \['a'\]; a string or number"),
        ([("a", []), "b", "a", "b", "a", "b"], {}, "label 0 is the tuple"),
        (list("aabbcc"), {"classes": list("abcc")}, "name 'c' twice; once is due"),
        (list("aabbcc"), {"classes": ["a", "b", ["c"]]}, r"class 2 is the list \['c'\]"),
        (list("aabbcc"), {"classes": ["a", "b"]}, "label 'c' is not among the classes"),
        (list("aabbcc"), {"classes": list("abcd")}, "class 'd' has no support item"),
    ],
)
def test_labels_that_cannot_be(learner, labels, options, told):
    with pytest.raises(UsageError, match=told):
        learner("frozen").adapt(points(*FAR[:2]), labels, **options)


@pytest.mark.parametrize(
    ("items", "error", "told"),
    [
        ("photo.png", UsageError, r"a list of items; write \['photo.png'\]"),
        (7, UsageError, "a list of items"),
        ({"pixels": torch.zeros(2, 8)}, UsageError, r"\['points'\] are due"),
        ({"points": torch.zeros(2, 9)}, UsageError, r"\(2, 9\), and torch.float32 \[n, 8\] is due"),
        ({"points": torch.zeros(2, 8).double()}, UsageError, "is torch.float64"),
        (["a.txt", "b.txt"], UnavailableError, "no installed plugin reads items of the modality"),
        ([], UsageError, "0 support items and 2 labels"),
    ],
)
def test_items_that_cannot_be(learner, items, error, told):
    with pytest.raises(error, match=told):
        learner("frozen").adapt(items, ["a", "b"])


def test_scores_that_are_no_numbers_are_an_error(learner):
    adapted = learner("frozen").adapt(points(*FAR[:2]), list("aaabbb"))
    with pytest.raises(MetabenchError, match="not finite"):
        adapted.scores(torch.full((1, 8), torch.nan))


def test_it_says_what_it_is(learner):
    assert repr(learner("maml")) == "<maml with toy-linear, trained on blobs>"
    assert repr(learner("chance")) == "<chance, trained on blobs>"
