"""SNAIL against a plain causal network over whole sequences, and that it learns."""

import pytest
import torch
from alg_cases import build, episodes
from torch.nn import functional as F

from metabench.errors import UsageError
from metabench.learners.contracts import Query, Support, task_loss
from metabench_algorithms.memory import snail as module
from metabench_algorithms.memory.blocks import AttentionBlock

F64 = torch.float64


@torch.no_grad()
def whole_sequence(snail, steps):
    """Logits of the last step of one sequence ``[T, c]``, block by block."""
    for block in snail.blocks:
        if isinstance(block, AttentionBlock):
            query, key, value = block.maps(steps).split(block.sizes, -1)
            later = torch.ones(len(steps), len(steps)).triu(1).bool()
            weights = (query @ key.T / block.sizes[0] ** 0.5).masked_fill(later, -torch.inf)
            new = weights.softmax(-1) @ value
        else:
            weight = block.convolution.weight.unflatten(-1, (2, -1)).transpose(1, 2)
            padded = F.pad(steps.T, (block.dilation, 0))
            out = F.conv1d(padded, weight, block.convolution.bias, dilation=block.dilation)
            signal, gate = out.T.chunk(2, -1)
            new = signal.tanh() * gate.sigmoid()
        steps = torch.cat([steps, new], -1)
    return snail.head(steps[-1])


@pytest.mark.parametrize(("shots", "width"), [(1, 8), ((2, 0, 9), 8), (3, 400)], ids=str)
def test_each_query_ends_a_sequence_of_its_own(shots, width):
    support, query = episodes(way=3, shots=shots, query=2, width=width, dtype=F64)
    snail = build("snail", way=3, width=width, dtype=F64, filters=16, length=8)
    found = snail.adapt(support)(query.x)
    for b in range(3):
        labels = F.one_hot(support.y[b], 3).double()
        seen = torch.cat([snail.narrow(support.x[b]), labels], -1)
        for i, q in enumerate(query.x[b]):
            last = torch.cat([snail.narrow(q), torch.zeros(3, dtype=F64)])
            expected = whole_sequence(snail, torch.cat([seen, last.unsqueeze(0)]))
            torch.testing.assert_close(found[b, i], expected)


def test_network_has_the_sizes_of_the_paper():
    snail = build("snail", way=5, width=64)
    dense = [b for b in snail.blocks if not isinstance(b, AttentionBlock)]
    assert [b.dilation for b in dense] == [1, 2, 4, 8, 16] * 2
    assert [i for i, b in enumerate(snail.blocks) if isinstance(b, AttentionBlock)] == [0, 6, 12]
    assert snail.head.in_features == 64 + 5 + 32 + 5 * 128 + 128 + 5 * 128 + 256


def test_passes_may_be_small(monkeypatch):
    support, query = episodes(query=5)
    predict = build("snail").adapt(support)
    before = predict(query.x)
    monkeypatch.setattr(module, "AT_ONCE", 6)
    torch.testing.assert_close(predict(query.x), before)


def test_only_classes_without_a_meaning_are_renumbered_in_training():
    support, query = episodes(way=2, shots=2, query=3)
    query = Query(query.x[:, :3], torch.tensor([[0, 0, 1]] * 3))
    losses = {}
    for kind in ("classification", "binary"):
        snail = build("snail", way=2, kind=kind, filters=4)
        with torch.no_grad():
            snail.head.weight.zero_()
            snail.head.bias.copy_(torch.tensor([1.0, -1.0]))
            losses[kind] = {float(snail.loss(support, query)) for _ in range(20)}
            plain = task_loss(snail.adapt(support)(query.x), query.y)
    assert len(losses["classification"]) > 1
    assert max(losses["binary"]) - min(losses["binary"]) < 1e-6
    assert min(losses["binary"]) == pytest.approx(float(plain))


def test_classes_are_learned_whatever_their_numbers():
    snail = build("snail", way=3, width=4, filters=16, length=8).train()
    optimiser = torch.optim.Adam(snail.parameters(), 2e-3)
    for seed in range(150):
        optimiser.zero_grad()
        snail.loss(*episodes(seed, batch=16, way=3, shots=2, width=4, spread=0.2)).backward()
        optimiser.step()
    support, query = episodes(10_000, batch=50, way=3, shots=2, width=4, spread=0.2)
    right = snail.eval().adapt(support)(query.x).argmax(-1) == query.y
    assert right.float().mean() > 0.7
    fewer, asked = episodes(10_001, batch=50, way=2, shots=3, width=4, spread=0.2)
    assert snail.adapt(fewer)(asked.x).shape == (50, 8, 2)


def test_settings_are_checked():
    for name, value in (("filters", 0), ("length", 1), ("widest", 0)):
        with pytest.raises(UsageError, match=f"{name}={value} must be at least"):
            build("snail", **{name: value})
    with pytest.raises(UsageError, match="train_way=20 but the test episodes are 5-way"):
        build("snail", train_way=20)
    support, _ = episodes(way=6)
    with pytest.raises(UsageError, match="6-way episode for 5 outputs"):
        build("snail").adapt(Support(support.x, support.y, 6))
