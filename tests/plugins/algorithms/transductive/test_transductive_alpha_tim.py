"""alpha-TIM against autograd and torch's Adam."""

import pytest
import torch
from alg_cases import build, episodes
from torch.nn import functional as F
from transductive_cases import transduce


def objective(w, episode, alpha, weights):
    """Summed over the episodes, as the paper writes it."""
    x, target, q = episode

    def logits(z):
        return -7.5 * (z.unsqueeze(2) - w.unsqueeze(1)).square().sum(-1)

    p = logits(q).softmax(-1)
    ce = -(target * logits(x).log_softmax(-1)).sum(-1).mean(1).sum()
    marginal = ((1 - p.mean(1).pow(alpha).sum(-1)) / (alpha - 1)).sum()
    conditional = ((1 - p.pow(alpha).sum(-1)) / (alpha - 1)).mean(1).sum()
    return weights[0] * ce - weights[1] * marginal + weights[2] * conditional


@pytest.mark.parametrize(("shots", "alpha"), [(1, 2.0), (3, 5.0), (5, 7.0)])
@pytest.mark.parametrize("weights", [(1.0, 1.0, 1.0), (0.5, 0.0, 2.0)])
def test_follows_adam_on_the_papers_objective(shots, alpha, weights):
    support, query = episodes(shots=shots, spread=1.2, dtype=torch.float64)
    options = dict(
        zip(("support_weight", "marginal_weight", "conditional_weight"), weights, strict=True)
    )
    options |= {"iterations": 30, "step": 1e-2}
    found = transduce(build("alpha-tim", dtype=torch.float64, **options), support, query.x)
    x, q = F.normalize(support.x, dim=-1), F.normalize(query.x, dim=-1)
    target = F.one_hot(support.y, 5).double()
    w = (target.mT @ x / shots).requires_grad_()
    optimiser = torch.optim.Adam([w], lr=1e-2)
    for _ in range(30):
        optimiser.zero_grad()
        objective(w, (x, target, q), alpha, weights).backward()
        optimiser.step()
    expected = -7.5 * (q.unsqueeze(2) - w.detach().unsqueeze(1)).square().sum(-1)
    torch.testing.assert_close(found.softmax(-1), expected.softmax(-1), atol=1e-7, rtol=1e-6)


def test_alpha_can_be_chosen():
    support, query = episodes(shots=1)
    two, chosen, three = (
        transduce(build("alpha-tim", iterations=20, alpha=a), support, query.x)
        for a in (2.0, None, 3.0)
    )
    assert torch.equal(two, chosen)
    assert not torch.equal(two, three)


def test_without_queries_it_is_tim():
    support, query = episodes(shots=3)
    found = build("alpha-tim").adapt(support)(query.x)
    torch.testing.assert_close(found, build("tim").adapt(support)(query.x))
