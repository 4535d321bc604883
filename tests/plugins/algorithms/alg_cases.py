"""What the tests of the algorithms share: learners by name, and episodes of known structure."""

from __future__ import annotations

import importlib

import torch
from torch import nn

from metabench.learners.contracts import Encoder, Query, Support, TaskSpec, build_hyperparameters
from metabench_algorithms import plugin

INFOS = {info.name: info for info in plugin.metabench_algorithms() if not info.argument}
ON_EMBEDDINGS = sorted(name for name, info in INFOS.items() if not info.adapts_encoder)
GRADIENT = ("anil", "fomaml", "maml")
REGRESSION = sorted(name for name, info in INFOS.items() if "regression" in info.task_kinds)


def target(name):
    module, _, attribute = INFOS[name].target.partition(":")
    return getattr(importlib.import_module(module), attribute)


def build(
    name, *, way=5, width=8, kind="classification", encoder=None, dtype=torch.float32, **options
):
    torch.manual_seed(0)
    cls = target(name)
    hyper = build_hyperparameters(cls.Hyperparameters, {**INFOS[name].options, **options}, name)
    algorithm = cls(TaskSpec(kind, way, width, encoder), hyper).to(dtype)
    return algorithm.eval()


def episodes(seed=0, *, batch=3, way=5, shots=3, query=4, width=8, spread=0.7, dtype=torch.float32):
    """Gaussian classes; ``shots`` is a number or one per class; support and query are shuffled."""
    g = torch.Generator().manual_seed(seed)
    centre = torch.randn(batch, way, width, generator=g, dtype=torch.float64)
    counts = [shots] * way if isinstance(shots, int) else list(shots)
    ys = torch.repeat_interleave(torch.arange(way), torch.tensor(counts)).expand(batch, -1)
    yq = torch.arange(way).repeat(query).expand(batch, -1)
    ys = torch.stack([y[torch.randperm(len(y), generator=g)] for y in ys])
    yq = torch.stack([y[torch.randperm(len(y), generator=g)] for y in yq])

    def draw(y):
        noise = torch.randn(*y.shape, width, generator=g, dtype=torch.float64)
        rows = torch.arange(batch).unsqueeze(1)
        return (centre[rows, y] + spread * noise + 0.3).to(dtype)

    return Support(draw(ys), ys, way), Query(draw(yq), yq)


def curves(
    seed=0, *, batch=3, size=12, query=6, width=8, outputs=1, scale=1.0, dtype=torch.float32
):
    """Smooth functions of the inputs, ``outputs`` of them, with a little noise."""
    g = torch.Generator().manual_seed(seed)
    slope = torch.randn(batch, width, outputs, generator=g, dtype=torch.float64)
    slope /= width**0.5

    def draw(n):
        x = torch.randn(batch, n, width, generator=g, dtype=torch.float64)
        noise = torch.randn(batch, n, outputs, generator=g, dtype=torch.float64)
        y = torch.sin(2 * x @ slope) + 0.1 * noise
        return x.to(dtype), (scale * y).to(dtype)

    return Support(*draw(size), outputs), Query(*draw(query))


class TinyEncoder(Encoder):
    """Inputs ``x [n, width]``; smooth, with batch norm, so that finite differences apply."""

    def __init__(self, width=8, out=6):
        super().__init__()
        torch.manual_seed(1)
        self.width = out
        self.first = nn.Linear(width, out)
        self.norm = nn.BatchNorm1d(out)
        self.second = nn.Linear(out, out)

    def forward(self, inputs):
        return self.second(torch.tanh(self.norm(self.first(inputs["x"]))))


class FoldedEncoder(TinyEncoder):
    """The same, embedding many copies at once."""

    calls = 0

    def forward_copies(self, weights, inputs):
        type(self).calls += 1

        def linear(x, name):
            weight, bias = weights[f"{name}.weight"], weights[f"{name}.bias"]
            return torch.baddbmm(bias.unsqueeze(1), x, weight.transpose(1, 2))

        h = linear(inputs["x"], "first")
        h = (h - h.mean(1, keepdim=True)) / (
            h.var(1, unbiased=False, keepdim=True) + self.norm.eps
        ).sqrt()
        h = h * weights["norm.weight"].unsqueeze(1) + weights["norm.bias"].unsqueeze(1)
        return linear(torch.tanh(h), "second")


def raw(support, query):
    """The same episodes as inputs of an encoder."""
    return (
        Support({"x": support.x}, support.y, support.way),
        Query({"x": query.x}, query.y),
    )


def _blank(name):
    adapts = INFOS[name].adapts_encoder
    return build(name, width=6 if adapts else 8, encoder=TinyEncoder() if adapts else None)


ORDERED = {name for name in INFOS if not _blank(name).support_order_free}
LABELLED = {name for name in INFOS if not _blank(name).label_equivariant}


def relative(a, b):
    return float((a - b).norm() / b.norm())
