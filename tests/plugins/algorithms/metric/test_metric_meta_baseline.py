"""Meta-Baseline against its equations."""

import torch
from alg_cases import build, episodes
from torch.nn import functional as F

from metabench.learners.contracts import Support


def test_logits_are_scaled_cosines_to_class_means():
    support, query = episodes(shots=(1, 4, 2), way=3, dtype=torch.float64)
    scores = build("meta-baseline", way=3, dtype=torch.float64).adapt(support)(query.x)
    for b in range(3):
        for c in range(3):
            mean = support.x[b][support.y[b] == c].mean(0)
            expected = 10 * F.cosine_similarity(query.x[b], mean[None])
            torch.testing.assert_close(scores[b, :, c], expected)


def test_meta_baseline_learns_embedding_and_temperature():
    torch.manual_seed(0)
    layer = torch.nn.Linear(8, 8)
    algorithm = build("meta-baseline")
    optimiser = torch.optim.SGD([*layer.parameters(), *algorithm.parameters()], 0.05, momentum=0.9)
    losses = []
    for seed in range(60):
        support, query = episodes(seed, spread=1.0)
        mapped = Support(layer(support.x), support.y, 5)
        loss = algorithm.loss(mapped, type(query)(layer(query.x), query.y))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert sum(losses[-10:]) < 0.9 * sum(losses[:10])
    assert algorithm.temperature.item() != 10
