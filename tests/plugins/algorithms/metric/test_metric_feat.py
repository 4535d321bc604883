"""FEAT against torch's multi-head attention, class by class."""

import pytest
import torch
from alg_cases import build, episodes
from torch import nn
from torch.nn import functional as F

from metabench.learners.contracts import Support
from metabench_algorithms.metric.feat import FEATHyperparameters


def reference(attention):
    """Copy one layer's weights into modules of torch."""
    width = attention.leave.out_features
    heads = nn.MultiheadAttention(width, 1, batch_first=True).double()
    parts = (attention.asked, attention.offered, attention.value)
    with torch.no_grad():
        heads.in_proj_weight.copy_(torch.cat([part.weight for part in parts]))
        heads.in_proj_bias.zero_()
        heads.out_proj.weight.copy_(attention.leave.weight)
        heads.out_proj.bias.copy_(attention.leave.bias)

    def adapt(x):
        read, _ = heads(x[None], x[None], x[None], need_weights=False)
        return F.layer_norm(read[0] + x, (width,), attention.norm.weight, attention.norm.bias)

    return adapt


def prototypes(support, b):
    return torch.stack([support.x[b][support.y[b] == c].mean(0) for c in range(support.way)])


def logits(query, centres, temperature):
    return -((query.unsqueeze(1) - centres) ** 2).sum(-1) / temperature


def test_logits_are_distances_to_adapted_prototypes():
    support, query = episodes(shots=(1, 4, 2), way=3, dtype=torch.float64)
    algorithm = build("feat", way=3, dtype=torch.float64, temperature=2.0)
    scores = algorithm.adapt(support)(query.x)
    adapt = reference(algorithm.attention)
    for b in range(3):
        expected = logits(query.x[b], adapt(prototypes(support, b)), 2.0)
        torch.testing.assert_close(scores[b], expected)


def test_loss_has_the_contrastive_regulariser():
    support, query = episodes(shots=(1, 4, 2), way=3, dtype=torch.float64)
    algorithm = build("feat", way=3, dtype=torch.float64, balance=0.7, regularizer_temperature=3.0)
    adapt, expected = reference(algorithm.attention), 0.0
    for b in range(3):
        plain = logits(query.x[b], adapt(prototypes(support, b)), 64.0)
        x = torch.cat([support.x[b], query.x[b]])
        y = torch.cat([support.y[b], query.y[b]])
        centres = torch.stack([adapt(x[y == c]).mean(0) for c in range(3)])
        regulariser = F.cross_entropy(logits(x, centres, 3.0), y)
        expected += (F.cross_entropy(plain, query.y[b]) + 0.7 * regulariser) / 3
    torch.testing.assert_close(algorithm.loss(support, query), expected)
    only = build("feat", way=3, dtype=torch.float64, balance=0.0)
    assert only.loss(support, query) < algorithm.loss(support, query)


def test_missing_class_does_not_move_the_others():
    support, query = episodes(way=2, shots=(0, 4), dtype=torch.float64)
    three = Support(support.x, support.y, 3)
    algorithm = build("feat", way=3, kind="binary", dtype=torch.float64)
    two = algorithm.adapt(support)(query.x)
    torch.testing.assert_close(algorithm.adapt(three)(query.x)[..., :2], two)


def test_attention_learns_at_a_rate_of_its_own():
    """As if it were in a parameter group of Adam with ten times the rate."""
    fast = build("feat", dtype=torch.float64, attention_width=4)
    plain = build("feat", dtype=torch.float64, attention_width=4, rate_multiplier=1.0)
    support, query = episodes(dtype=torch.float64)
    for algorithm, rate in ((fast, 1e-3), (plain, 1e-2)):
        optimiser = torch.optim.Adam(algorithm.parameters(), rate, eps=1e-30)
        for _ in range(5):
            optimiser.zero_grad()
            algorithm.loss(support, query).backward()
            optimiser.step()
    scores = [algorithm.adapt(support)(query.x) for algorithm in (fast, plain)]
    torch.testing.assert_close(*scores, rtol=1e-6, atol=1e-9)


def test_dropout_is_for_training_alone():
    support, query = episodes()
    algorithm = build("feat")
    still = algorithm.adapt(support)(query.x)
    assert torch.equal(algorithm.adapt(support)(query.x), still)
    algorithm.train()
    assert not torch.equal(algorithm.adapt(support)(query.x), still)


def test_feat_learns():
    algorithm = build("feat", width=16, temperature=1.0, regularizer_temperature=1.0)
    optimiser = torch.optim.Adam(algorithm.parameters(), 1e-3)
    losses = []
    algorithm.train()
    for seed in range(80):
        support, query = episodes(seed, width=16, spread=1.0)
        optimiser.zero_grad()
        loss = algorithm.loss(support, query)
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert sum(losses[-10:]) < 0.8 * sum(losses[:10])


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"temperature": 0.0}, "temperature=0.0 must be above 0"),
        ({"rate_multiplier": -1.0}, "rate_multiplier=-1.0 must be above 0"),
        ({"attention_width": 0}, "attention_width=0 must be at least 1"),
        ({"dropout": 1.0}, "dropout=1.0 must be at least 0 and below 1"),
    ],
    ids=str,
)
def test_settings_are_checked(option, message):
    with pytest.raises(ValueError, match=message):
        FEATHyperparameters(**option)
