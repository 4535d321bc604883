"""Meta-training on episodes of 32 inputs, of which only the first few are of use."""

import torch

from metabench.learners.contracts import Query, Support

WIDTH = 32


def with_distraction(x, seed, noise):
    g = torch.Generator().manual_seed(seed)
    drawn = noise * torch.randn(*x.shape[:-1], WIDTH - x.shape[-1], generator=g)
    return torch.cat([x, drawn.to(x)], -1)


def learn(algorithm, draw, score, *, steps=150, rate=1e-2, noise=2.0, width=4):
    """Train a linear embedding; return the score on new episodes before and after."""
    torch.manual_seed(0)
    embed = torch.nn.Linear(WIDTH, width, bias=False)

    def batch(seed):
        support, query = draw(seed)
        xs = with_distraction(support.x, seed + 1, noise)
        xq = with_distraction(query.x, seed + 2, noise)
        return Support(embed(xs), support.y, support.way), Query(embed(xq), query.y)

    def held_out():
        algorithm.eval()
        with torch.no_grad():
            support, query = batch(10_000)
            return score(algorithm.adapt(support)(query.x), query.y)

    before = held_out()
    optimizer = torch.optim.Adam([*algorithm.parameters(), *embed.parameters()], rate)
    for step in range(steps):
        algorithm.train()
        optimizer.zero_grad()
        algorithm.loss(*batch(10 * step)).backward()
        optimizer.step()
    return before, held_out()


def waves(seed, *, batch=8, size=12, query=8):
    """Sines of one input that differ in their phase."""
    g = torch.Generator().manual_seed(seed)
    x = 2 * torch.randn(batch, size + query, 1, generator=g)
    y = torch.sin(x + 3 * torch.rand(batch, 1, 1, generator=g))
    return Support(x[:, :size], y[:, :size], 1), Query(x[:, size:], y[:, size:])


def accuracy(scores, y):
    return float((scores.argmax(-1) == y).float().mean())


def error(values, y):
    return float((values - y).square().mean() / y.var())
