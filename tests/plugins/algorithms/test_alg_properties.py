"""What holds for every learner: order, labels, independence, extremes, determinism."""

import pytest
import torch
from alg_cases import INFOS, ON_EMBEDDINGS, TinyEncoder, build, episodes, raw
from hypothesis import given, settings
from hypothesis import strategies as st

from metabench.learners.contracts import Support

# The papers' own exceptions; the README names them.
ORDERED = {"matchingnet-fce", "baseline"}
LABELLED = {"anil", "maml", "fomaml"}
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


def scores_of(name, support, query):
    if INFOS[name].adapts_encoder:
        width = support.x.shape[-1]
        algorithm = build(name, way=support.way, width=6, encoder=TinyEncoder(width).eval())
        support, query = raw(support, query)
    else:
        algorithm = build(name, way=support.way, width=support.x.shape[-1])
    with torch.no_grad():
        return algorithm.adapt(support)(query.x)


@pytest.mark.parametrize("name", sorted(INFOS))
@settings(max_examples=12, deadline=None)
@given(shape=shapes)
def test_support_order_does_not_matter(name, shape):
    support, query = episodes(**shape)
    order = torch.randperm(support.y.shape[1])
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
@settings(max_examples=12, deadline=None)
@given(shape=shapes)
def test_relabelling_permutes_the_scores(name, shape):
    support, query = episodes(**shape)
    new = torch.randperm(support.way)
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
@settings(max_examples=10, deadline=None)
@given(shape=shapes)
def test_inductive_learner_predicts_each_query_by_itself(name, shape):
    support, query = episodes(**shape)
    algorithm = build(name, way=support.way, width=support.x.shape[-1])
    with torch.no_grad():
        predict = algorithm.adapt(support)
        together = predict(query.x)
        alone = torch.cat([predict(q) for q in query.x.split(1, dim=1)], 1)
    torch.testing.assert_close(alone, together, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("name", [n for n in sorted(INFOS) if not INFOS[n].inductive])
def test_transductive_learner_needs_its_declaration(name):
    support, query = episodes()
    inputs, queries = raw(support, query)
    predict = build(name, width=6, encoder=TinyEncoder().eval()).adapt(inputs)
    half = predict({"x": queries.x["x"][:, :10]})
    assert not torch.allclose(half, predict(queries.x)[:, :10], atol=1e-4)


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
    if name in metric or (shots == 1 and name not in LABELLED | {"chance"}):
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


@pytest.mark.parametrize("name", sorted(INFOS))
def test_binary_task_with_one_class_missing_stays_finite(name):
    support, query = episodes(way=2, shots=(6, 0))
    assert scores_of(name, support, query).isfinite().all()


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
    values = Support(support.x, torch.tensor([[1.0, 2.0, 3.0, 6.0]] * 3), 1)
    predicted = build("chance", way=1, kind="regression").adapt(values)(query.x)
    assert torch.equal(predicted, torch.full((3, 8), 3.0))
