"""What the tests of the transductive heads share."""

import torch
from alg_cases import build

from metabench.learners.contracts import Support

HEADS = ("alpha-tim", "bd-cspn", "label-propagation", "laplacianshot", "pt-map", "tim")
FEW_STEPS = {"alpha-tim": {"iterations": 50, "step": 2e-3}}


def head(name, **options):
    """A learner; alpha-tim takes fewer, longer steps, for speed."""
    return build(name, **{**FEW_STEPS.get(name, {}), **options})


def transduce(algorithm, support, query):
    with torch.inference_mode():
        return algorithm.adapt_transductive(support, query)(query)


def tasks(seed=0, *, batch=40, way=5, shots=1, query=75, width=64, spread=1.5, dirichlet=None):
    """Gaussian classes; balanced queries, or shares from a Dirichlet distribution as Veilleux's."""
    g = torch.Generator().manual_seed(seed)
    centre = torch.randn(batch, way, width, generator=g)
    ys = torch.arange(way).repeat(shots).expand(batch, -1)
    yq = torch.arange(way).repeat(query // way).expand(batch, -1)
    if dirichlet is not None:
        torch.manual_seed(seed)
        share = torch.distributions.Dirichlet(torch.full((way,), float(dirichlet)))
        yq = torch.multinomial(share.sample((batch,)), query, replacement=True, generator=g)
    rows = torch.arange(batch).unsqueeze(1)
    xs, xq = (
        centre[rows, y] + spread * torch.randn(*y.shape, width, generator=g) for y in (ys, yq)
    )
    return Support(xs, ys, way), xq, yq


def accuracy(scores, labels):
    return float((scores.argmax(-1) == labels).float().mean())
