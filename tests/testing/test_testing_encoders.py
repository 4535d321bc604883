"""Each check of an encoder catches what it is for, and honest encoders pass them all."""

import pytest
import torch
from torch import nn

from metabench.errors import UnavailableError, UsageError
from metabench.learners.contracts import Encoder
from metabench.testing import check_encoder
from metabench.testing.names import ENCODER_CHECKS

INPUTS = {
    "pixels": torch.randint(
        0, 255, (30, 1, 6, 6), dtype=torch.uint8, generator=torch.Generator().manual_seed(0)
    )
}


class Honest(Encoder):
    """A linear layer."""

    def __init__(self, spec, width=8):
        super().__init__()
        self.width = width
        self.map_shape = (2, 2, 2)
        self.layer = nn.Linear(torch.Size(spec.shapes["pixels"]).numel(), width)

    def forward(self, inputs):
        return self.layer(inputs["pixels"].flatten(1).float() / 255)

    def forward_map(self, inputs):
        return self(inputs).unflatten(1, self.map_shape)

    def forward_copies(self, weights, inputs):
        x = inputs["pixels"].flatten(2).float() / 255
        return x @ weights["layer.weight"].mT + weights["layer.bias"].unsqueeze(1)


class Frozen(Honest):
    """The same with weights of a fixed seed, standardised by meta-train statistics."""

    def __init__(self, spec):
        with torch.random.fork_rng():
            torch.manual_seed(0)
            super().__init__(spec)

    def prepare(self, inputs, meta_train):
        pixels = inputs["pixels"].float()
        if len(meta_train):
            pixels = pixels - pixels[meta_train].mean(0)
        return {"pixels": pixels}


class NoWidth(Honest):
    def __init__(self, spec):
        super().__init__(spec)
        self.width = None


class NotAnEncoder(nn.Linear):
    def __init__(self, _):
        super().__init__(4, 4)


class ChangesInputs(Honest):
    def prepare(self, inputs, _):
        inputs["pixels"][0] = 0
        return inputs


class LosesRows(Honest):
    def prepare(self, inputs, _):
        return {"pixels": inputs["pixels"][1:]}


class NeedsMetaTrain(Honest):
    def prepare(self, inputs, meta_train):
        if not len(meta_train):
            raise ValueError("nothing to fit on")
        return inputs


class FitsOnAll(Honest):
    def prepare(self, inputs, _):
        return {"pixels": inputs["pixels"].float() - inputs["pixels"].float().mean(0)}


class Narrow(Honest):
    def forward(self, inputs):
        return super().forward(inputs)[:, 1:]


class Double(Honest):
    def forward(self, inputs):
        return super().forward(inputs).double()


class NotFinite(Honest):
    def forward(self, inputs):
        return super().forward(inputs) / 0


class Blind(Honest):
    def forward(self, inputs):
        return super().forward(inputs)[:1].expand(len(inputs["pixels"]), -1)


class BatchStatistics(Honest):
    def forward(self, inputs):
        found = super().forward(inputs)
        return found - found.mean(0)


class AlwaysDropout(Honest):
    def forward(self, inputs):
        return nn.functional.dropout(super().forward(inputs), 0.5)


class Counts(Honest):
    def __init__(self, spec):
        super().__init__(spec)
        self.register_buffer("calls", torch.zeros(()))

    def forward(self, inputs):
        self.calls += 1
        return super().forward(inputs)


class Detached(Honest):
    def forward(self, inputs):
        return super().forward(inputs).detach()


class WrongMap(Honest):
    def forward_map(self, inputs):
        return self(inputs).unflatten(1, (4, 2))


class WrongCopies(Honest):
    def forward_copies(self, weights, inputs):
        return super().forward_copies(weights, inputs) + 1


class KeepsObjects(Honest):
    def get_extra_state(self):
        return {"vocabulary": ["a", "b"]}

    def set_extra_state(self, state):
        pass


class ReadsPickles(Honest):
    files = ("weights/model.pt",)


FAULTS = {
    NoWidth: "builds",
    ChangesInputs: "prepare",
    LosesRows: "prepare",
    NeedsMetaTrain: "prepare",
    FitsOnAll: "meta-train-only",
    Narrow: "embedding",
    Double: "embedding",
    NotFinite: "embedding",
    Blind: "embedding",
    BatchStatistics: "item-independence",
    AlwaysDropout: "determinism",
    Counts: "unchanged-weights",
    Detached: "gradients",
    WrongMap: "feature-map",
    WrongCopies: "copies",
    KeepsObjects: "weights",
    ReadsPickles: "weights",
}


def check(encoder, **options):
    inputs = {name: tensor.clone() for name, tensor in INPUTS.items()}
    return check_encoder(encoder, inputs=inputs, modality="image", **options)


@pytest.mark.parametrize(("fault", "name"), FAULTS.items(), ids=lambda x: getattr(x, "__name__", x))
def test_fault_is_caught(fault, name):
    declared = {"feature_map": True} if fault is WrongMap else {}
    with pytest.raises(AssertionError, match=f"{fault.__name__} violates\n  (.|\n)*{name}: "):
        check(fault, **declared)
    with pytest.raises(AssertionError):
        check(fault, checks=[name], **declared)


def test_what_is_no_encoder_is_refused():
    with pytest.raises(UsageError, match=r"NotAnEncoder is no subclass of .*Encoder; derive"):
        check(NotAnEncoder)


@pytest.mark.parametrize("fault", [FitsOnAll, Counts, WrongCopies, KeepsObjects, ReadsPickles])
def test_nothing_else_is_blamed(fault):
    allowed = {FAULTS[fault]} | ({"prepare"} if fault is FitsOnAll else set())
    check(fault, checks=[name for name in ENCODER_CHECKS if name not in allowed])


def test_a_frozen_encoder_with_weights_of_chance_is_caught():
    with pytest.raises(AssertionError, match="its weights differ each time it is built"):
        check(Honest, trainable=False, checks=["gradients"])


def outcomes(findings):
    return {finding.check: finding.outcome for finding in findings}


def test_honest_encoders_pass():
    devices = "passed" if torch.cuda.is_available() else "inapplicable"
    expected = dict.fromkeys(ENCODER_CHECKS, "passed") | {"devices": devices}
    assert outcomes(check(Honest, feature_map=True)) == expected
    frozen = outcomes(check(Frozen, trainable=False))
    assert frozen == expected | {"feature-map": "inapplicable"}


@pytest.mark.parametrize("name", ["conv4", "pixels", "hashed-ngrams"])
def test_installed_encoders_pass(name):
    assert "violated" not in outcomes(check_encoder(name)).values()


def test_examples_come_from_an_installed_source_or_its_data():
    found = {f.check: f for f in check_encoder("pixels", checks=["builds"])}
    assert found["builds"].detail == "width 64 on source digits of metabench-vision"
    from metabench.tasks.files import SourceContext
    from metabench_vision.sources.digits import digits

    (found,) = check_encoder("pixels", inputs=digits(SourceContext("digits")), checks=["embedding"])
    assert found.detail.startswith("[36, 64]")


def test_misuse_is_told():
    with pytest.raises(UnavailableError, match="no installed source has smell data"):
        check_encoder(Honest, modality="smell")
    with pytest.raises(UsageError, match="unknown check 'embeding'; did you mean embedding"):
        check(Honest, checks=["embeding"])
    with pytest.raises(UsageError, match=r"^object is no subclass of metabench\..*\.Encoder; "):
        check_encoder(object)
    with pytest.raises(UsageError, match="3 is no encoder; give the name of an installed encoder"):
        check_encoder(3)
    with pytest.raises(UsageError, match="unknown encoder 'pixls'; did you mean pixels"):
        check_encoder("pixls")
    with pytest.raises(UsageError, match="trainable: the descriptor of an encoder says this"):
        check_encoder("pixels", trainable=True)
    with pytest.raises(UsageError, match="are not two or more examples of one number"):
        check_encoder(Honest, inputs={"pixels": INPUTS["pixels"][:1]}, modality="image")
