"""The in-context transformer against torch's own layers, and that it learns."""

import pytest
import torch
from alg_cases import build, curves, episodes
from torch import nn
from torch.distributions import Normal
from torch.nn import functional as F

from metabench.errors import UsageError
from metabench.learners.contracts import Query, Support
from metabench_algorithms.memory import in_context as module

F64 = torch.float64


def torch_layer(layer):
    """The same weights in torch's encoder layer."""
    width, inner = layer.out.in_features, layer.think[0].out_features
    theirs = nn.TransformerEncoderLayer(
        width, layer.heads, inner, 0.0, "gelu", batch_first=True, norm_first=True, dtype=F64
    )
    state = {
        "self_attn.in_proj_weight": torch.cat([layer.query.weight, layer.read.weight]),
        "self_attn.in_proj_bias": torch.cat([layer.query.bias, layer.read.bias]),
    }
    names = {
        "self_attn.out_proj": layer.out,
        "linear1": layer.think[0],
        "linear2": layer.think[2],
        "norm1": layer.norm,
        "norm2": layer.norm_after,
    }
    for name, part in names.items():
        state |= {f"{name}.weight": part.weight, f"{name}.bias": part.bias}
    theirs.load_state_dict(state)
    return theirs.train()  # the fast path of eval mode knows no mask of this kind


@torch.no_grad()
def read(model, x, y, queries):
    """Final tokens of one sequence: examples ``[S, d]``, targets ``[S, m]``, queries ``[Q, d]``."""
    tokens = model.from_x(torch.cat([x, queries]))
    tokens = model.embed(tokens + model.from_y(F.pad(y, (0, 0, 0, len(queries)))))
    hidden = torch.ones(len(tokens), len(tokens)).bool()
    hidden[:, : len(x)] = False
    tokens = tokens.unsqueeze(0)
    for layer in model.layers:
        tokens = torch_layer(layer)(tokens, src_mask=hidden)
    tokens = model.norm(tokens[0])
    return tokens[: len(x)], tokens[len(x) :]


@pytest.mark.parametrize("shots", [2, (1, 3, 2), (4, 0, 1)], ids=str)
def test_classes_are_shares_of_attention_over_all_streams(shots):
    support, query = episodes(way=3, shots=shots, dtype=F64)
    model = build("in-context", way=3, dtype=F64, hidden=16, heads=2, depth=3)
    found = model.adapt(support)(query.x)
    for b in range(3):
        x, y = support.x[b], support.y[b]
        spread = (x - x.mean(0)).square().mean().sqrt()
        streams = [
            read(
                model,
                (x - x.mean(0)) / spread,
                torch.where(y == c, 1.0, -1.0).double().unsqueeze(-1),
                (query.x[b] - x.mean(0)) / spread,
            )
            for c in range(3)
        ]
        alike = sum(asked @ known.T for known, asked in streams) / (3 * 16) ** 0.5
        shares = alike.softmax(-1) @ F.one_hot(y, 3).double()
        torch.testing.assert_close(found[b].exp(), shares)


@pytest.mark.parametrize("outputs", [1, 3])
def test_values_are_gaussians_of_the_query_tokens(outputs):
    support, query = curves(outputs=outputs, dtype=F64)
    model = build("in-context", kind="regression", way=outputs, dtype=F64, hidden=16)
    nn.init.normal_(model.head[-1].weight)
    found, loss = model.adapt(support)(query.x), model.loss(support, query)
    densities = []
    for b in range(3):
        known, asked = read(model, support.x[b], support.y[b], query.x[b])
        change, raw = model.head(asked).chunk(2, -1)
        mean = (asked @ known.T / 4).softmax(-1) @ support.y[b] + change
        torch.testing.assert_close(found[b], mean)
        densities.append(Normal(mean, 0.05 + 0.95 * F.softplus(raw)).log_prob(query.y[b]))
    torch.testing.assert_close(loss, -torch.stack(densities).mean())


def test_passes_may_be_small(monkeypatch):
    support, query = episodes(query=5)
    predict = build("in-context").adapt(support)
    before = predict(query.x)
    monkeypatch.setattr(module, "AT_ONCE", 1)
    torch.testing.assert_close(predict(query.x), before)


def trained(kind, draw, steps, **shape):
    model = build("in-context", kind=kind, hidden=32, **shape).train()
    optimiser = torch.optim.Adam(model.parameters(), 1e-3)
    for seed in range(steps):
        optimiser.zero_grad()
        model.loss(*draw(seed)).backward()
        optimiser.step()
    return model.eval()


def test_what_tells_classes_apart_is_learned_for_any_way():
    def draw(seed, way=4):
        support, query = episodes(seed, batch=16, way=way, shots=2, width=4, spread=0.3)
        g = torch.Generator().manual_seed(seed)

        def bury(x):  # under features of noise
            return torch.cat([x, 2 * torch.randn(*x.shape[:2], 12, generator=g)], -1)

        return Support(bury(support.x), support.y, way), Query(bury(query.x), query.y)

    fresh = build("in-context", way=4, width=16, hidden=32)
    model = trained("classification", draw, 150, way=4, width=16)
    for way in (2, 4, 6):
        support, query = draw(10_000, way)
        before = (fresh.adapt(support)(query.x).argmax(-1) == query.y).float().mean()
        after = (model.adapt(support)(query.x).argmax(-1) == query.y).float().mean()
        assert after > before + 0.2


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
def test_values_of_any_scale_are_learned(scale):
    def draw(seed):
        g = torch.Generator().manual_seed(seed)
        x = 4 * torch.rand(16, 20, 1, generator=g) - 2
        phase = 3 * torch.rand(16, 1, 1, generator=g)
        y = scale * (5 + torch.sin(x + phase))
        return Support(x[:, :10], y[:, :10], 1), Query(x[:, 10:], y[:, 10:])

    model = trained("regression", draw, 200, way=1, width=1)
    support, query = draw(10_000)
    error = (model.adapt(support)(query.x) - query.y).square().mean()
    plain = (support.y.mean(1, keepdim=True) - query.y).square().mean()
    assert error < 0.3 * plain


def test_settings_are_checked():
    for name in ("hidden", "depth", "heads", "expansion"):
        with pytest.raises(UsageError, match=f"{name}=0 must be at least 1"):
            build("in-context", **{name: 0})
    with pytest.raises(UsageError, match="hidden=30 must be a multiple of heads=4"):
        build("in-context", hidden=30)
