"""What holds for every transductive head when it is handed the queries."""

import pytest
import torch
from alg_cases import episodes
from hypothesis import given, settings
from hypothesis import strategies as st
from transductive_cases import HEADS, accuracy, head, tasks, transduce

from metabench.errors import UsageError
from metabench.learners.contracts import Support

CLOSE = {"atol": 1e-3, "rtol": 1e-3}
shapes = st.fixed_dictionaries(
    {
        "seed": st.integers(0, 9999),
        "batch": st.integers(1, 3),
        "way": st.integers(2, 5),
        "shots": st.integers(1, 3),
        "query": st.integers(1, 4),
        "width": st.sampled_from([2, 8, 40]),
    }
)


def built(name, support, kind="classification", **options):
    algorithm = head(name, way=support.way, width=support.x.shape[-1], kind=kind, **options)
    algorithm.fit_features(torch.randn(50, support.x.shape[-1]) + 0.3)
    return algorithm.to(support.x.dtype)


@pytest.mark.parametrize("name", HEADS)
@settings(max_examples=15)
@given(shape=shapes)
def test_order_of_queries_and_support_and_names_of_classes(name, shape):
    support, query = episodes(**shape, dtype=torch.float64)
    torch.manual_seed(1)
    algorithm = built(name, support)
    before = transduce(algorithm, support, query.x)
    order = torch.randperm(query.y.shape[1])
    torch.testing.assert_close(
        transduce(algorithm, support, query.x[:, order]), before[:, order], **CLOSE
    )
    order = torch.randperm(support.y.shape[1])
    shuffled = Support(support.x[:, order], support.y[:, order], support.way)
    torch.testing.assert_close(transduce(algorithm, shuffled, query.x), before, **CLOSE)
    new = torch.randperm(support.way)
    renamed = Support(support.x, new[support.y], support.way)
    after = transduce(algorithm, renamed, query.x)
    torch.testing.assert_close(after[..., new], before, **CLOSE)


@pytest.mark.parametrize("name", HEADS)
def test_order_of_queries_that_are_equal_or_equally_far(name):
    g = torch.Generator().manual_seed(0)
    bits = torch.randint(0, 2, (2, 40, 6), generator=g).float()  # many ties, many duplicates
    support = Support(bits[:, :8], torch.tensor([0, 1] * 4).expand(2, -1), 2)
    algorithm = built(name, support, "binary")
    query, order = bits[:, 8:], torch.randperm(32, generator=g)
    before = transduce(algorithm, support, query)
    after = transduce(algorithm, support, query[:, order])
    torch.testing.assert_close(after, before[:, order], **CLOSE)


@pytest.mark.parametrize("name", HEADS)
def test_episodes_do_not_touch_each_other_but_queries_do(name):
    support, query, _ = tasks(batch=4, query=20)
    algorithm = built(name, support)
    together = transduce(algorithm, support, query)
    for i in range(4):
        one = Support(support.x[i : i + 1], support.y[i : i + 1], 5)
        alone = transduce(algorithm, one, query[i : i + 1])
        torch.testing.assert_close(alone, together[i : i + 1], atol=1e-4, rtol=1e-4)
    half = transduce(algorithm, support, query[:, :10])
    assert not torch.allclose(half, together[:, :10], atol=1e-3)


@pytest.mark.parametrize("name", HEADS)
def test_nothing_is_remembered_and_bits_repeat(name):
    support, query, _ = tasks(batch=3, query=20)
    algorithm = built(name, support)
    state = {key: value.clone() for key, value in algorithm.state_dict().items()}
    inputs = support.x.clone(), query.clone()
    first = transduce(algorithm, support, query)
    transduce(algorithm, Support(support.x + 1, support.y, 5), query - 1)
    assert torch.equal(transduce(algorithm, support, query), first)
    assert all(torch.equal(value, state[key]) for key, value in algorithm.state_dict().items())
    assert torch.equal(support.x, inputs[0])
    assert torch.equal(query, inputs[1])


@pytest.mark.parametrize("value", [0.0, 1.0, -1e4])
@pytest.mark.parametrize("name", HEADS)
def test_constant_features_give_constant_scores(name, value):
    support, query = episodes()
    flat = Support(torch.full_like(support.x, value), support.y, 5)
    scores = transduce(built(name, flat), flat, torch.full_like(query.x, value))
    assert scores.isfinite().all()
    assert float((scores - scores.mean(-1, keepdim=True)).abs().max()) < 1e-3


@pytest.mark.parametrize("shots", [(6, 0), (0, 6), (1, 0), (15, 1), (1, 1)], ids=str)
@pytest.mark.parametrize("query", [1, 15])
@pytest.mark.parametrize("name", HEADS)
def test_binary_tasks_stay_finite(name, query, shots):
    support, asked = episodes(way=2, shots=shots, query=query)
    for x in (asked.x, asked.x[:, :1], asked.x * 0, asked.x[:, :1].expand(-1, 9, -1).clone()):
        scores = transduce(built(name, support, "binary"), support, x)
        assert scores.shape == (3, x.shape[1], 2)
        assert scores.isfinite().all()


@pytest.mark.parametrize("shots", [(15, 1), (1, 15), (12, 4)], ids=str)
@pytest.mark.parametrize("positives", [10, 2, 0], ids=str)
@pytest.mark.parametrize("name", HEADS)
def test_binary_tasks_with_rare_class_are_ranked(name, shots, positives):
    support, query = episodes(batch=30, way=2, shots=shots, query=20, spread=0.3, width=16)
    kept = [
        torch.cat([(y == 0).nonzero().flatten(), (y == 1).nonzero().flatten()[:positives]])
        for y in query.y
    ]
    x = torch.stack([x[i] for x, i in zip(query.x, kept, strict=True)])
    scores = transduce(built(name, support, "binary"), support, x)
    assert scores.isfinite().all()
    lead = scores[..., 1] - scores[..., 0]
    if positives:
        above = (lead[:, 20:].unsqueeze(2) - lead[:, :20].unsqueeze(1)).sign() / 2 + 0.5
        assert above.mean() > 0.95


@pytest.mark.parametrize("name", HEADS)
def test_wide_float64_and_more_classes(name):
    support, query, labels = tasks(batch=2, way=8, shots=2, query=24, width=300)
    wide = Support(support.x.double(), support.y, 8)
    scores = transduce(built(name, wide), wide, query.double())
    assert scores.dtype == torch.float64
    assert accuracy(scores, labels) > 0.9


@pytest.mark.parametrize("name", ["label-propagation", "laplacianshot", "pt-map"])
def test_other_queries_are_refused(name):
    support, query, _ = tasks(batch=1, query=10)
    predict = built(name, support).adapt_transductive(support, query)
    assert torch.equal(predict(query.clone()), predict(query))
    with pytest.raises(ValueError, match="other queries"):
        predict(query[:, :5])
    with pytest.raises(ValueError, match="other queries"):
        predict(query + 1)


@pytest.mark.parametrize(
    ("name", "option"),
    [
        ("laplacianshot", {"neighbours": 0}),
        ("laplacianshot", {"smoothness": -1.0}),
        ("tim", {"marginal_weight": -1.0}),
        ("tim", {"temperature": 0.0}),
        ("alpha-tim", {"alpha": 1.0}),
        ("pt-map", {"prior": "uneven"}),
        ("label-propagation", {"spread": 1.0}),
        ("label-propagation", {"neighbours": 0}),
    ],
)
def test_settings_out_of_range_are_refused(name, option):
    with pytest.raises(UsageError, match=str(next(iter(option.values())))):
        head(name, **option)
