"""What the tests of the gradient-based learners share: one small problem, in float64."""

import torch
from alg_cases import INFOS, FoldedEncoder, TinyEncoder, build, curves, episodes, raw

from metabench.learners.contracts import Query, Support

F64 = torch.float64
ADAPTING = ("boil", "imaml", "maml++", "meta-sgd", "proto-maml", "reptile")


class Case:
    """A learner in training mode, all its meta-weights by name, and three episodes."""

    def __init__(self, name, *, kind="classification", encoder=TinyEncoder, seed=0, **options):
        self.on_embeddings = not INFOS[name].adapts_encoder
        way = 2 if kind == "regression" else 5
        self.model = encoder().double()
        self.learner = build(
            name,
            way=way,
            width=6,
            kind=kind,
            encoder=None if self.on_embeddings else self.model,
            dtype=F64,
            **options,
        ).train()
        named = [*self.model.named_parameters(), *self.learner.named_parameters()]
        self.weights = {name: w for name, w in named if w.requires_grad}
        if kind == "regression":
            self.support, self.query = curves(seed, size=10, query=10, outputs=2, dtype=F64)
        else:
            self.support, self.query = episodes(seed, batch=3, shots=2, query=2, dtype=F64)

    def jitter(self, size=0.1, seed=3):
        """Move all weights a little, so that no two are equal by construction."""
        g = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            for w in self.weights.values():
                w.add_(size * torch.randn(w.shape, generator=g, dtype=F64))
        return self

    def view(self):
        if not self.on_embeddings:
            return raw(self.support, self.query)
        support = Support(self._embed(self.support.x), self.support.y, self.support.way)
        return support, Query(self._embed(self.query.x), self.query.y)

    def _embed(self, x):
        return self.model({"x": x.flatten(0, 1)}).unflatten(0, x.shape[:2])

    def loss(self):
        return self.learner.loss(*self.view())

    def scores(self):
        with torch.no_grad():
            support, query = self.view()
            return self.learner.adapt(support)(query.x)

    def gradient(self):
        found = torch.autograd.grad(
            self.loss(), list(self.weights.values()), allow_unused=True, materialize_grads=True
        )
        return dict(zip(self.weights, found, strict=True))

    def check_finite_difference(self, rel=1e-6, step=1e-6, directions=5):
        found = self.gradient()
        g = torch.Generator().manual_seed(4)
        for _ in range(directions):
            along = {
                n: torch.randn(w.shape, generator=g, dtype=F64) for n, w in self.weights.items()
            }
            values = [self._moved(along, step), self._moved(along, -step)]
            slope = (values[0] - values[1]) / (2 * step)
            claimed = sum(float((found[n] * d).sum()) for n, d in along.items())
            assert abs(claimed - slope) <= rel * abs(slope) + 1e-7, (claimed, slope)

    def _moved(self, along, size):
        with torch.no_grad():
            for name, w in self.weights.items():
                w.add_(along[name], alpha=size)
        value = self.loss().item()
        with torch.no_grad():
            for name, w in self.weights.items():
                w.sub_(along[name], alpha=size)
        return value


def lines(seed, *, batch=3, size=10):
    """Tasks that differ by one number: a slope along one direction."""
    g = torch.Generator().manual_seed(seed)
    slope = 2 * torch.randn(batch, 1, 1, generator=g, dtype=F64)

    def draw():
        x = torch.randn(batch, size, 8, generator=g, dtype=F64)
        return x, torch.cat([slope * x[..., :1], 1 - slope * x[..., :1]], -1)

    return Support(*draw(), 2), Query(*draw())


def classes(seed, *, batch=3, query=2):
    return episodes(seed, batch=batch, shots=2, query=query, spread=0.3, dtype=F64)


def trained(name, steps, *, kind="classification", rate=1e-2, **options):
    """Meta-train by the learner's own rule."""
    case = Case(name, kind=kind, encoder=FoldedEncoder, **options)
    optimiser = torch.optim.Adam(case.weights.values(), rate)
    for seed in range(steps):
        case.support, case.query = lines(seed) if kind == "regression" else classes(seed)
        optimiser.zero_grad()
        torch.manual_seed(seed)
        case.loss().backward()
        if name != "reptile":
            torch.nn.utils.clip_grad_norm_(case.weights.values(), 10.0)
            optimiser.step()
            continue
        with torch.no_grad():
            for w in case.weights.values():
                w.sub_(w.grad)
    case.learner.eval()
    return case
