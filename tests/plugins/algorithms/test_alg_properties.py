"""What holds for every learner: order, labels, independence, extremes, determinism."""

import pytest
import torch
from alg_cases import (
    INFOS,
    LABELLED,
    ON_EMBEDDINGS,
    ORDERED,
    REGRESSION,
    TinyEncoder,
    build,
    curves,
    episodes,
    raw,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from metabench.learners.contracts import Support

# They know nothing before meta-training.
UNTRAINED = LABELLED | {"chance", "cnp", "relationnet", "relationnet-bn"}
# They know no scale of the targets before meta-training.
SCALELESS = LABELLED | {"cnp", "dkt", "in-context"}
# Bags have means of their own, and a tube of least error has no mean.
OTHER_CENTRE = {"random-forest", "linear-svm", "rbf-svm"}
# Long inner loops that make a disturbance grow; double precision keeps it small.
ROUNDING = {"imaml", "tim", "alpha-tim"}
# With few queries TIM's updates oscillate instead of converging, whatever the precision.
FEWER = {"tim": {"iterations": 30}, "alpha-tim": {"iterations": 100}}
CLOSE = {"atol": 2e-4, "rtol": 2e-4}

shapes = st.fixed_dictionaries(
    {
        "seed": st.integers(0, 10_000),
        "batch": st.integers(1, 4),
        "way": st.integers(2, 6),
        "shots": st.integers(1, 4),
        "query": st.integers(1, 3),
        "width": st.sampled_from([2, 8, 33]),
    }
)


def prepared(name, support, query, kind):
    """Build a learner, and give support and queries the form that it takes."""
    if name in ROUNDING:
        support = Support(support.x.double(), doubled(support.y), support.way)
        query = type(query)(query.x.double(), doubled(query.y))
    width, dtype, encoder = support.x.shape[-1], support.x.dtype, None
    if INFOS[name].adapts_encoder:
        encoder, width = TinyEncoder(width).to(dtype).eval(), 6
        support, query = raw(support, query)
    algorithm = build(
        name, kind=kind, way=support.way, width=width, encoder=encoder, dtype=dtype,
        **FEWER.get(name, {}),
    )  # fmt: skip
    return algorithm, support, query


def generator(shape):
    return torch.Generator().manual_seed(shape["seed"] + 1)


def doubled(y):
    return y.double() if y.is_floating_point() else y


def scores_of(name, support, query, kind="classification"):
    algorithm, support, query = prepared(name, support, query, kind)
    with torch.no_grad():
        if INFOS[name].inductive:
            return algorithm.adapt(support)(query.x).float()
        return algorithm.adapt_transductive(support, query.x)(query.x).float()


def together_and_alone(name, support, query, kind="classification"):
    algorithm, support, query = prepared(name, support, query, kind)
    with torch.no_grad():
        predict = algorithm.adapt(support)
        if not isinstance(query.x, dict):
            return predict(query.x), torch.cat([predict(q) for q in query.x.split(1, dim=1)], 1)
        parts = [{"x": q} for q in query.x["x"].split(1, dim=1)]
        return predict(query.x), torch.cat([predict(q) for q in parts], 1)


@pytest.mark.parametrize("name", sorted(INFOS))
@settings(max_examples=12)
@given(shape=shapes)
def test_support_order_does_not_matter(name, shape):
    support, query = episodes(**shape)
    order = torch.randperm(support.y.shape[1], generator=generator(shape))
    shuffled = Support(support.x[:, order], support.y[:, order], support.way)
    before, after = scores_of(name, support, query), scores_of(name, shuffled, query)
    assert before.shape == (shape["batch"], shape["way"] * shape["query"], shape["way"])
    if name not in ORDERED:
        torch.testing.assert_close(after, before, **CLOSE)


@pytest.mark.parametrize("name", sorted(ORDERED))
def test_declared_exceptions_do_depend_on_support_order(name):
    support, query = episodes()
    reversed_ = Support(support.x.flip(1), support.y.flip(1), support.way)
    before, after = scores_of(name, support, query), scores_of(name, reversed_, query)
    assert not torch.allclose(before, after, atol=1e-6)


@pytest.mark.parametrize("name", sorted(INFOS.keys() - LABELLED))
@settings(max_examples=12)
@given(shape=shapes)
def test_relabelling_permutes_the_scores(name, shape):
    support, query = episodes(**shape)
    new = torch.randperm(support.way, generator=generator(shape))
    renamed = Support(support.x, new[support.y], support.way)
    before, after = scores_of(name, support, query), scores_of(name, renamed, query)
    torch.testing.assert_close(after[..., new], before, **CLOSE)


@pytest.mark.parametrize("name", sorted(LABELLED))
def test_declared_exceptions_do_depend_on_labels(name):
    support, query = episodes()
    new = torch.tensor([1, 2, 3, 4, 0])
    renamed = Support(support.x, new[support.y], support.way)
    before, after = scores_of(name, support, query), scores_of(name, renamed, query)
    assert not torch.allclose(after[..., new], before, atol=1e-6)


@pytest.mark.parametrize("name", [n for n in sorted(INFOS) if INFOS[n].inductive])
@settings(max_examples=10)
@given(shape=shapes)
def test_inductive_learner_predicts_each_query_by_itself(name, shape):
    together, alone = together_and_alone(name, *episodes(**shape))
    torch.testing.assert_close(alone, together, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("name", [n for n in sorted(INFOS) if not INFOS[n].inductive])
def test_transductive_learner_needs_its_declaration(name):
    support, query = episodes(spread=1.0)
    few = type(query)(query.x[:, :10], query.y[:, :10])
    assert not torch.allclose(
        scores_of(name, support, few), scores_of(name, support, query)[:, :10], atol=1e-4
    )


@pytest.mark.parametrize("name", sorted(INFOS))
def test_episodes_of_a_batch_do_not_touch_each_other(name):
    support, query = episodes(batch=4, spread=1.5)
    together = scores_of(name, support, query)
    for i in range(4):
        some = slice(i, i + 1)
        one = Support(support.x[some], support.y[some], support.way)
        alone = scores_of(name, one, type(query)(query.x[some], query.y[some]))
        torch.testing.assert_close(alone, together[some], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("name", sorted(INFOS))
def test_same_input_same_bits(name):
    support, query = episodes()
    assert torch.equal(scores_of(name, support, query), scores_of(name, support, query))


@pytest.mark.parametrize("shots", [1, (1, 7, 2, 1, 4)], ids=["one shot", "uneven"])
@pytest.mark.parametrize("name", sorted(INFOS))
def test_shots_may_be_one_or_uneven(name, shots):
    support, query = episodes(shots=shots, query=1, spread=0.01, width=32)
    scores = scores_of(name, support, query)
    assert scores.shape == (3, 5, 5)
    assert scores.isfinite().all()
    # Heads with a prior of the classes favour the larger ones, and rightly so.
    metric = {"nearest-neighbour", "simpleshot", "protonet", "ridge-probe"}
    if name in metric or (shots == 1 and name not in UNTRAINED):
        assert (scores.argmax(-1) == query.y).float().mean() > 0.9


@pytest.mark.parametrize("value", [0.0, 1.0, -1e4])
@pytest.mark.parametrize("name", sorted(INFOS))
def test_constant_features_stay_finite(name, value):
    support, query = episodes()
    flat = Support(torch.full_like(support.x, value), support.y, support.way)
    queries = type(query)(torch.full_like(query.x, value), query.y)
    scores = scores_of(name, flat, queries)
    assert scores.isfinite().all()
    if name not in LABELLED | ORDERED:
        assert float((scores - scores.mean(-1, keepdim=True)).abs().max()) < 1e-3


@pytest.mark.parametrize("shots", [(6, 0), (0, 6), (2, 0)], ids=str)
@pytest.mark.parametrize("name", sorted(INFOS))
def test_binary_task_with_one_class_missing_stays_finite(name, shots):
    support, query = episodes(way=2, shots=shots)
    scores = scores_of(name, support, query, "binary")
    assert scores.shape == (3, 8, 2)
    assert scores.isfinite().all()


@pytest.mark.parametrize("shots", [(15, 1), (1, 15), (12, 4)], ids=str)
@pytest.mark.parametrize("name", sorted(INFOS.keys() - UNTRAINED))
def test_binary_task_with_rare_class_is_ranked(name, shots):
    support, query = episodes(batch=30, way=2, shots=shots, query=10, spread=0.3, width=16)
    scores = scores_of(name, support, query, "binary")
    lead = scores[..., 1] - scores[..., 0]
    pairs = lead.unsqueeze(2) - lead.unsqueeze(1)
    mixed = (query.y.unsqueeze(2) == 1) & (query.y.unsqueeze(1) == 0)
    auroc = ((pairs > 0) + 0.5 * (pairs == 0))[mixed].mean()
    # One-shot neighbourhoods and bags often miss the only example of a class.
    assert auroc > (0.8 if name in {"knn", "random-forest"} else 0.95)


@pytest.mark.parametrize("outputs", [1, 3])
@pytest.mark.parametrize("name", REGRESSION)
def test_regression_has_one_column_per_output(name, outputs):
    support, query = curves(outputs=outputs)
    values = scores_of(name, support, query, "regression")
    assert values.shape == (3, 6, outputs)
    assert values.isfinite().all()
    order = torch.randperm(12, generator=torch.Generator().manual_seed(1))
    shuffled = Support(support.x[:, order], support.y[:, order], outputs)
    torch.testing.assert_close(scores_of(name, shuffled, query, "regression"), values, **CLOSE)
    one = Support(support.x[1:2], support.y[1:2], outputs)
    alone = scores_of(name, one, type(query)(query.x[1:2], query.y[1:2]), "regression")
    torch.testing.assert_close(alone, values[1:2], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("name", [n for n in REGRESSION if INFOS[n].inductive])
def test_inductive_regression_predicts_each_query_by_itself(name):
    together, alone = together_and_alone(name, *curves(outputs=2), kind="regression")
    torch.testing.assert_close(alone, together, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("name", sorted(set(REGRESSION) - SCALELESS))
def test_regression_of_shifted_and_scaled_targets(name):
    support, query = curves(width=3, outputs=2)
    before = scores_of(name, support, query, "regression")
    moved = Support(support.x, 64 * support.y.flip(-1) + 512, 2)
    after = scores_of(name, moved, query, "regression")
    torch.testing.assert_close(after, 64 * before.flip(-1) + 512, rtol=1e-4, atol=1e-3)


CASES = ["constant inputs", "constant targets", "large targets", "one"]


# MAML knows no scale of the targets before meta-training, and batch norm needs two examples.
@pytest.mark.parametrize(
    ("name", "case"),
    [
        (name, case)
        for name in REGRESSION
        for case in CASES
        if not INFOS[name].adapts_encoder or case.startswith("constant")
    ],
)
def test_degenerate_regression_stays_finite(name, case):
    support, query = curves(outputs=2, size=1 if case == "one" else 12)
    x, y, q = support.x, support.y, query.x
    if case == "constant inputs":
        x, q = torch.full_like(x, 3.0), torch.full_like(q, 3.0)
    if case == "constant targets":
        y = torch.full_like(y, 7.0)
    if case == "large targets":
        y = 1e4 * y
    values = scores_of(name, Support(x, y, 2), type(query)(q, query.y), "regression")
    assert values.isfinite().all()
    if name not in SCALELESS:
        if case in {"constant targets", "one"}:
            torch.testing.assert_close(values, y[:, :1].expand_as(values))
        if case == "constant inputs" and name not in OTHER_CENTRE:
            torch.testing.assert_close(values, y.mean(1, keepdim=True).expand_as(values))


@pytest.mark.parametrize("name", ON_EMBEDDINGS)
def test_inference_mode_and_dtype_are_supported(name):
    support, query = episodes(dtype=torch.float64)
    algorithm = build(name, dtype=torch.float64)
    with torch.inference_mode():
        scores = algorithm.adapt(Support(support.x.clone(), support.y.clone(), 5))(query.x.clone())
    assert scores.isfinite().all()


def test_chance_scores():
    support, query = episodes(way=2, shots=(3, 1))
    assert (build("chance", way=2).adapt(support)(query.x) == 0).all()
    binary = build("chance", way=2, kind="binary").adapt(support)(query.x)
    torch.testing.assert_close(binary, torch.tensor([0.75, 0.25]).expand_as(binary))
    y = torch.tensor([[1.0, 2.0, 3.0, 6.0], [0.0, 0.0, 4.0, 0.0]]).T.expand(3, -1, -1)
    predicted = build("chance", way=2, kind="regression").adapt(Support(support.x, y, 2))(query.x)
    assert torch.equal(predicted, torch.tensor([3.0, 1.0]).expand(3, 8, 2))
