"""Transductive fine-tuning against a plain loop, and what the queries do."""

import copy

import torch
from alg_cases import TinyEncoder, episodes, raw
from torch import nn
from torch.nn import functional as F

from metabench.learners.contracts import TaskSpec
from metabench_algorithms.transductive.transductive_fine_tuning import TransductiveFineTuning
from metabench_algorithms.transfer.fine_tune import FineTune
from metabench_algorithms.transfer.tuning import TuningHyperparameters

F64 = torch.float64


def setting(cls=TransductiveFineTuning, **options):
    encoder = TinyEncoder().double()
    encoder({"x": torch.randn(50, 8, dtype=F64)})
    hyper = TuningHyperparameters(**{"tuning_steps": 5, "tuning_rate": 1e-2, **options})
    algorithm = cls(TaskSpec("classification", 5, 6, encoder.eval()), hyper).eval()
    return algorithm, encoder, *raw(*episodes(shots=2, query=3, spread=1.0, dtype=F64))


def entropy(scores):
    p = scores.softmax(-1)
    return -(p * p.log()).sum(-1).mean()


def reference(encoder, x, y, query):
    model = copy.deepcopy(encoder).eval()
    features = model({"x": x}).detach()
    head = nn.Linear(6, 5).double()
    with torch.no_grad():
        means = torch.stack([features[y == c].mean(0) for c in range(5)])
        head.weight.copy_(F.normalize(means, dim=-1))
        head.bias.zero_()
    weights = [*model.parameters(), *head.parameters()]
    optimiser = torch.optim.Adam(weights, lr=1e-2)

    def scores(inputs):
        return head(F.normalize(model({"x": inputs}), dim=-1))

    for _ in range(5):
        for loss in (lambda: F.cross_entropy(scores(x), y), lambda: entropy(scores(query))):
            optimiser.zero_grad()
            loss().backward()
            for w in weights:
                w.grad[w.grad.abs() <= 1e-6] = 0
            optimiser.step()
    return scores(query).detach()


def test_alternates_steps_on_support_and_queries():
    algorithm, encoder, support, query = setting()
    with torch.no_grad():
        found = algorithm.adapt_transductive(support, query.x)(query.x)
    for b in range(3):
        expected = reference(encoder, support.x["x"][b], support.y[b], query.x["x"][b])
        torch.testing.assert_close(found[b], expected)


def test_predictions_on_the_queries_get_peaked():
    algorithm, _, support, query = setting(tuning_steps=10)
    inductive = entropy(algorithm.adapt(support)(query.x))
    assert entropy(algorithm.adapt_transductive(support, query.x)(query.x)) < inductive - 0.01


def test_other_queries_matter_only_with_the_queries_at_hand():
    algorithm, _, support, query = setting()
    half = {"x": query.x["x"][:, :8]}
    whole = algorithm.adapt_transductive(support, query.x)(half)
    assert not torch.allclose(algorithm.adapt_transductive(support, half)(half), whole, atol=1e-4)
    plain, _, _, _ = setting(FineTune)
    assert torch.equal(algorithm.adapt(support)(half), plain.adapt(support)(half))


def test_weights_episodes_and_order():
    algorithm, encoder, support, query = setting()
    before = copy.deepcopy(encoder.state_dict())
    together = algorithm.adapt_transductive(support, query.x)(query.x)
    assert all(torch.equal(before[k], v) for k, v in encoder.state_dict().items())
    one = type(support)({"x": support.x["x"][1:2]}, support.y[1:2], 5)
    asked = {"x": query.x["x"][1:2]}
    assert torch.equal(algorithm.adapt_transductive(one, asked)(asked)[0], together[1])
    order = torch.randperm(15, generator=torch.Generator().manual_seed(0))
    turned = {"x": query.x["x"][:, order]}
    again = algorithm.adapt_transductive(support, turned)(turned)
    torch.testing.assert_close(again, together[:, order], atol=1e-5, rtol=1e-5)
