"""Fine-tuning of a part of the encoder: against plain loops, and what must hold for all of it."""

import copy

import pytest
import torch
from alg_cases import TinyEncoder, build, episodes, raw
from torch import nn
from torch.nn import functional as F

from metabench.learners.contracts import Query, Support, TaskSpec, build_hyperparameters
from metabench_algorithms.transfer.bitfit import BitFit
from metabench_algorithms.transfer.fine_tune import FineTune
from metabench_algorithms.transfer.lora import LoRA

F64 = torch.float64
NAMES = ["bitfit", "fine-tune", "lora"]
FAST = {"tuning_steps": 4, "tuning_rate": 1e-2}


class ConvEncoder(TinyEncoder):
    """The same behind a convolution."""

    def __init__(self, width=8, out=6):
        super().__init__(width, out)
        self.convolution = nn.Conv1d(1, 1, 3, padding=1)

    def forward(self, inputs):
        return super().forward({"x": self.convolution(inputs["x"].unsqueeze(1)).squeeze(1)})


def warm(encoder=None):
    """An encoder in float64 whose batch norm has statistics of its own."""
    encoder = (encoder or TinyEncoder()).double()
    encoder({"x": 1.5 * torch.randn(50, 8, dtype=F64) + 0.4})
    return encoder.eval()


def setting(name, encoder=None, **options):
    encoder = encoder or warm()
    algorithm = build(name, way=5, width=6, encoder=encoder, **{**FAST, **options})
    support, query = episodes(shots=2, query=2, dtype=F64)
    return algorithm, encoder, *raw(support, query)


class Adapter(nn.Module):
    """LoRA as a module around a layer."""

    def __init__(self, layer, down, alpha_over_rank):
        super().__init__()
        self.layer = layer.requires_grad_(requires_grad=False)
        self.down = nn.Parameter(down.clone())
        self.up = nn.Parameter(down.new_zeros(layer.out_features, len(down)))
        self.share = alpha_over_rank

    def forward(self, x):
        return self.layer(x) + self.share * F.linear(F.linear(x, self.down), self.up)


def reference(name, algorithm, episode):
    """Tune a deep copy of the encoder with torch's modules, for one episode."""
    x, y, query = episode
    model = copy.deepcopy(algorithm.task.encoder).eval().requires_grad_(requires_grad=False)
    if name == "fine-tune":
        model.requires_grad_(requires_grad=True)
    elif name == "bitfit":
        for part in (model.first, model.norm, model.second):
            part.bias.requires_grad_(requires_grad=True)
    else:
        start = algorithm.start()
        for layer in ("first", "second"):
            adapter = Adapter(getattr(model, layer), start[f"@down.{layer}.weight"], 8.0 / 8)
            setattr(model, layer, adapter)
    features = model({"x": x}).detach()
    head = nn.Linear(6, 5).double()
    with torch.no_grad():
        means = torch.stack([features[y == c].mean(0) for c in range(5)])
        head.weight.copy_(means / means.norm(dim=1, keepdim=True))
        head.bias.zero_()

    def scores(inputs):
        return head(F.normalize(model({"x": inputs}), dim=-1))

    weights = [p for p in [*model.parameters(), *head.parameters()] if p.requires_grad]
    optimiser = torch.optim.Adam(weights, lr=1e-2)
    for _ in range(4):
        optimiser.zero_grad()
        F.cross_entropy(scores(x), y).backward()
        for w in weights:
            w.grad[w.grad.abs() <= 1e-6] = 0
        optimiser.step()
    return scores(query).detach()


@pytest.mark.parametrize("name", NAMES)
def test_is_adam_on_a_copy_of_the_encoder(name):
    algorithm, _, support, query = setting(name)
    found = algorithm.adapt(support)(query.x)
    for b in range(3):
        episode = support.x["x"][b], support.y[b], query.x["x"][b]
        torch.testing.assert_close(found[b], reference(name, algorithm, episode))


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("name", NAMES)
def test_encoder_is_left_alone(name, training):
    algorithm, encoder, support, query = setting(name)
    encoder.train(training)
    before = copy.deepcopy(encoder.state_dict())
    with torch.no_grad():
        scores = algorithm.adapt(support)(query.x)
    assert all(torch.equal(before[k], v) for k, v in encoder.state_dict().items())
    assert all(m.training is training for m in encoder.modules())
    assert all(p.grad is None for p in encoder.parameters())
    assert not scores.requires_grad
    encoder.eval()
    assert torch.equal(algorithm.adapt(support)(query.x), scores)


@pytest.mark.parametrize("name", NAMES)
def test_each_query_is_predicted_by_itself(name):
    algorithm, _, support, query = setting(name)
    predict = algorithm.adapt(support)
    alone = [predict({"x": part}) for part in query.x["x"].split(1, dim=1)]
    torch.testing.assert_close(torch.cat(alone, 1), predict(query.x), atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_adapts_in_inference_mode(name):
    algorithm, _, support, query = setting(name)
    expected = algorithm.adapt(support)(query.x)
    with torch.inference_mode():
        copied = Support({"x": support.x["x"].clone()}, support.y.clone(), 5)
        found = algorithm.adapt(copied)({"x": query.x["x"].clone()})
    assert torch.equal(found.clone(), expected)


@pytest.mark.parametrize("name", NAMES)
def test_tuning_separates_better(name):
    margins = []
    for steps in (0, 3, 12):
        algorithm, _, support, _ = setting(name, tuning_steps=steps)
        scores = algorithm.adapt(support)(support.x)
        margins.append(F.cross_entropy(scores.flatten(0, 1), support.y.flatten()))
    assert margins[0] > margins[1] > margins[2]


def test_what_is_tuned():
    encoder = ConvEncoder()
    task = TaskSpec("classification", 5, 6, encoder)
    assert FineTune(task).start().keys() == dict(encoder.named_parameters()).keys()
    layers = {"first", "second", "convolution"}
    assert BitFit(task).start().keys() == {f"{layer}.bias" for layer in layers | {"norm"}}
    factors = LoRA(task).start()
    assert factors.keys() == {
        f"{side}.{layer}.weight" for side in ("@down", "@up") for layer in layers
    }
    assert factors["@down.convolution.weight"].shape == (8, 3)
    assert factors["@up.convolution.weight"].shape == (1, 8)


def test_lora_starts_at_the_encoder_and_moves_by_its_rank():
    algorithm, encoder, _, _ = setting("lora", encoder=warm(ConvEncoder()), rank=2, alpha=6.0)
    start = algorithm.start()
    merged = algorithm.merge(start)
    weights = dict(encoder.named_parameters())
    assert all(torch.equal(merged[name], weights[name]) for name in merged)
    moved = {k: torch.ones_like(w) if k.startswith("@up") else w for k, w in start.items()}
    change = algorithm.merge(moved)["first.weight"] - weights["first.weight"]
    assert torch.linalg.matrix_rank(change) <= 2
    expected = 3.0 * start["@down.first.weight"].sum(0)
    torch.testing.assert_close(change, expected.expand(6, -1))


def test_an_encoder_without_such_weights_still_gets_a_head():
    class Nothing(TinyEncoder):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.eye(8)[:6])
            del self.first, self.norm, self.second

        def forward(self, inputs):
            return inputs["x"] @ self.weight.T

    support, query = raw(*episodes(batch=10, spread=0.1))
    for name in ("bitfit", "lora"):
        algorithm = build(name, width=6, encoder=Nothing())
        scores = algorithm.adapt(support)(query.x)
        assert (scores.argmax(-1) == query.y).float().mean() > 0.8


@pytest.mark.parametrize("name", NAMES)
def test_smaller_way_and_missing_encoder(name):
    encoder = TinyEncoder().eval()
    support, query = raw(*episodes(way=3))
    assert build(name, way=5, width=6, encoder=encoder).adapt(support)(query.x).shape == (3, 12, 3)
    with pytest.raises(TypeError, match=r"needs TaskSpec\.encoder"):
        build(name)


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"tuning_steps": -1}, "tuning_steps=-1 must be at least 0"),
        ({"tuning_rate": 0.0}, r"tuning_rate=0\.0 must be above 0"),
        ({"rank": 0}, "rank=0 must be at least 1"),
    ],
)
def test_settings_are_checked(option, message):
    with pytest.raises(Exception, match=message):
        build_hyperparameters(LoRA.Hyperparameters, option, "lora")


def test_loss_is_that_of_the_adapted_predictor():
    algorithm, _, support, query = setting("fine-tune")
    expected = F.cross_entropy(algorithm.adapt(support)(query.x).flatten(0, 1), query.y.flatten())
    torch.testing.assert_close(algorithm.loss(support, Query(query.x, query.y)), expected)
