"""DN4 against a search for each descriptor."""

import numpy as np
import pytest
import torch
from alg_cases import build, episodes
from sklearn.neighbors import NearestNeighbors

from metabench.learners.contracts import Support
from metabench_algorithms.metric import dn4


def maps(shape=(6, 3, 2), **more):
    size = torch.Size(shape).numel()
    support, query = episodes(width=size, dtype=torch.float64, **more)
    x, q = support.x.unflatten(2, shape), query.x.unflatten(2, shape)
    return Support(x, support.y, support.way), type(query)(q, query.y)


def searched(query, support, b, k):
    """Sum the ``k`` smallest cosine distances of scikit-learn's search, position by position."""
    scores = np.empty((query.x.shape[1], support.way))
    for c in range(support.way):
        own = support.x[b][support.y[b] == c]
        memory = own.flatten(2).permute(0, 2, 1).reshape(-1, own.shape[1]).numpy()
        index = NearestNeighbors(n_neighbors=min(k, len(memory)), metric="cosine").fit(memory)
        for i, one in enumerate(query.x[b]):
            distances, _ = index.kneighbors(one.flatten(1).T.numpy())
            scores[i, c] = k * (1 - distances).mean(1).sum()
    return torch.from_numpy(scores)


@pytest.mark.parametrize("shape", [(6, 3, 2), (6, 5), (6, 1)], ids=str)
@pytest.mark.parametrize("neighbours", [1, 3])
def test_logits_are_sums_over_nearest_descriptors(shape, neighbours):
    support, query = maps(shape, shots=(1, 4, 2), way=3, batch=2)
    scores = build("dn4", way=3, neighbours=neighbours).adapt(support)(query.x)
    for b in range(2):
        torch.testing.assert_close(scores[b], searched(query, support, b, neighbours))


def test_parts_give_the_same_as_the_whole(monkeypatch):
    support, query = maps()
    algorithm = build("dn4")
    whole = algorithm.adapt(support)(query.x)
    monkeypatch.setattr(dn4, "ELEMENTS", 200)
    torch.testing.assert_close(algorithm.adapt(support)(query.x), whole)


def test_class_without_examples_is_furthest():
    support, query = maps(way=2, shots=(0, 4))
    scores = build("dn4", way=2, kind="binary").adapt(support)(query.x)
    assert (scores[..., 0] == -3 * 6).all()
    assert (scores[..., 1] > scores[..., 0]).all()


def test_dead_maps_have_finite_gradients():
    support, query = maps()
    x = torch.zeros_like(support.x, requires_grad=True)
    loss = build("dn4").loss(Support(x, support.y, 5), query)
    loss.backward()
    assert loss.isfinite()
    assert x.grad.isfinite().all()


def test_dn4_learns():
    torch.manual_seed(0)
    layer = torch.nn.Conv2d(6, 6, 1).double()
    algorithm = build("dn4")
    optimiser = torch.optim.Adam(layer.parameters(), 5e-3)
    losses = []
    loud = torch.tensor([1.0] * 3 + [4.0] * 3, dtype=torch.float64)[:, None, None]
    for seed in range(40):  # three channels say little and are large
        support, query = maps((6, 2, 2), seed=seed, spread=0.3)
        noise = torch.randn(2, 3, 20, 6, 2, 2, generator=torch.Generator().manual_seed(seed))
        x = support.x + (loud - 1) * noise[0, :, :15]
        q = query.x + (loud - 1) * noise[1]
        x, q = (layer(t.flatten(0, 1)).view_as(t) for t in (x, q))
        loss = algorithm.loss(Support(x, support.y, 5), type(query)(q, query.y))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert sum(losses[-10:]) < 0.9 * sum(losses[:10])


def test_something_has_to_be_compared():
    with pytest.raises(ValueError, match="neighbours=0 must be at least 1"):
        dn4.DN4Hyperparameters(neighbours=0)
