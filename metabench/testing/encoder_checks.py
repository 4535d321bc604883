"""Examining one encoder on a few examples of its modality."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from metabench.errors import UnavailableError
from metabench.hookspecs import EncoderInfo
from metabench.leaderboard.audits import Finding
from metabench.learners.contracts import Encoder, Inputs, InputSpec
from metabench.learners.device import seed_torch, take
from metabench.learners.files import read_tensors, write_tensors
from metabench.learners.model import KEPT_DTYPES
from metabench.testing.checks import raised
from metabench.testing.contract_checks import accelerator, inapplicable, passed, violated
from metabench.testing.inputs import Sample
from metabench.testing.names import ENCODER_CHECKS
from metabench.testing.subject import TOLERANCE, difference

PICKLES = (".bin", ".ckpt", ".joblib", ".pickle", ".pkl", ".pt", ".pth")
"""Endings of files that are read by unpickling."""
COPIES = 3


@dataclass(frozen=True, eq=False)
class EncoderSubject:
    """An encoder and the examples that it is examined on.

    Attributes:
        info: What it declares.
        made: Its class, or the function that builds it.
        sample: The examples.
    """

    info: EncoderInfo
    made: Callable[..., Any]
    sample: Sample

    def build(self, seed: int = 0) -> Encoder:
        """Build it, with torch seeded.

        Raises:
            TypeError: If what is built is no encoder with a width.
        """
        seed_torch("examined", seed)
        spec = InputSpec.of(self.sample.modality, self.sample.inputs)
        built = self.made(spec, **self.info.options)
        if not isinstance(built, Encoder):
            raise TypeError(f"{type(built).__name__} is no Encoder")
        width = getattr(built, "width", None)
        if not isinstance(width, int) or width < 1:
            raise TypeError(f"its width is {width!r}; a positive number was expected")
        return built.eval()

    @cached_property
    def encoder(self) -> Encoder:
        """It, built once."""
        return self.build()

    @cached_property
    def prepared(self) -> Inputs:
        """The examples, prepared."""
        return self.encoder.prepare(self.sample.inputs, self.sample.meta_train)

    @cached_property
    def usual(self) -> Tensor:
        """Their embeddings ``[n, d]``."""
        return embed(self.encoder, self.prepared)


def embed(encoder: Encoder, inputs: Inputs, *, maps: bool = False) -> Tensor:
    """Embed as an evaluation does, in evaluation mode and without gradients."""
    with torch.no_grad():
        copies = {name: tensor.clone() for name, tensor in inputs.items()}
        return encoder.eval().forward_map(copies) if maps else encoder.eval()(copies)


def share(found: Tensor, expected: Tensor) -> float:
    """Return the largest difference as a share of the spread of all embeddings."""
    return difference(found.double().unsqueeze(0), expected.double().unsqueeze(0))


def _builds(subject: EncoderSubject) -> Finding:
    detail = f"width {subject.encoder.width} on {subject.sample.origin}"
    return passed("builds", detail, float(subject.encoder.width))


def _prepare(subject: EncoderSubject) -> Finding:
    encoder, inputs = subject.encoder, subject.sample.inputs
    before = {name: tensor.clone() for name, tensor in inputs.items()}
    first = encoder.prepare(inputs, subject.sample.meta_train)
    if any(not torch.equal(tensor, inputs[name]) for name, tensor in before.items()):
        return violated("prepare", "it changes the inputs that it is given")
    if wrong := [n for n, t in first.items() if len(t) != len(subject.sample)]:
        return violated("prepare", f"{', '.join(wrong)}: not one row per example")
    if away := [n for n, t in first.items() if t.device.type != "cpu"]:
        return violated("prepare", f"{', '.join(away)}: not on the host")
    again = encoder.prepare(inputs, subject.sample.meta_train)
    if differing := [n for n, t in first.items() if not torch.equal(t, again[n])]:
        return violated("prepare", f"{', '.join(differing)}: another result the second time")
    nobody = torch.empty(0, dtype=torch.int64)
    try:
        fresh = subject.build()
        embed(fresh, fresh.prepare(inputs, nobody))
    except Exception as error:  # noqa: BLE001 - whatever a plugin raises is the finding
        return violated("prepare", f"without meta-train examples: {raised(error)}")
    return passed("prepare", ", ".join(first))


def _meta_train_only(subject: EncoderSubject) -> Finding:
    index = subject.sample.meta_train
    if type(subject.encoder).prepare is Encoder.prepare:
        return passed("meta-train-only", "it prepares nothing")
    if not 0 < len(index) < len(subject.sample):
        return inapplicable("meta-train-only", "all examples are of one split")
    source = torch.arange(len(subject.sample))
    others = torch.ones(len(source), dtype=torch.bool)
    others[index] = False
    source[others] = source[others][0]  # other examples than those, as many and as long
    fresh = subject.build()
    moved = fresh.prepare(take(subject.sample.inputs, source), index)
    value = share(embed(fresh, take(moved, index)), subject.usual[index])
    if value > TOLERANCE:
        detail = f"other test examples moved the embeddings of meta-train ones by {value:.2g}"
        return violated("meta-train-only", detail, _number(value))
    return passed("meta-train-only", value=value)


def _embedding(subject: EncoderSubject) -> Finding:
    found: Any = subject.usual
    if not isinstance(found, Tensor):
        return violated("embedding", f"forward returned {type(found).__name__}, no tensor")
    expected = (len(subject.sample), subject.encoder.width)
    if tuple(found.shape) != expected:
        detail = f"embeddings of shape {list(found.shape)}; {list(expected)} was expected"
        return violated("embedding", detail)
    kept = () if subject.info.trainable else KEPT_DTYPES
    if found.dtype not in (torch.float32, *kept):
        return violated("embedding", f"embeddings are {found.dtype}; float32 was expected")
    one = embed(subject.encoder, take(subject.prepared, torch.tensor([0])))
    fault = ""
    if bad := int((~found.float().isfinite()).sum()):
        fault = f"{bad} of {found.numel()} numbers are not finite"
    elif len(found) > 1 and torch.equal(found, found[:1].expand_as(found)):
        fault = "all examples have the same embedding"
    elif tuple(one.shape) != (1, expected[1]):
        fault = f"one example alone gives the shape {list(one.shape)}"
    if fault:
        return violated("embedding", fault)
    return passed("embedding", f"{list(found.shape)} {found.dtype}")


def _item_independence(subject: EncoderSubject) -> Finding:
    count = len(subject.sample)
    orders = {
        "one by one": [torch.tensor([n]) for n in range(min(4, count))],
        "reordered": [torch.arange(count).flip(0)],
        "half of them": [torch.arange(0, count, 2)],
    }
    shares = {}
    for name, parts in orders.items():
        found = torch.cat([embed(subject.encoder, take(subject.prepared, part)) for part in parts])
        scale = subject.usual.double()
        difference_ = (found.double() - scale[torch.cat(parts)]).abs().max()
        shares[name] = float(difference_ / (scale.max() - scale.min()).clamp_min(1e-12))
    worst = max(shares.values())
    told = ", ".join(f"{name} {value:.2g}" for name, value in shares.items())
    detail = f"embeddings differ by a share of their spread: {told}"
    outcome = violated if worst > TOLERANCE else passed
    return outcome("item-independence", detail, _number(worst))


def _determinism(subject: EncoderSubject) -> Finding:
    if not torch.equal(embed(subject.encoder, subject.prepared), subject.usual):
        return violated("determinism", "the same batch gave other numbers the second time")
    twin = subject.build()
    found = embed(twin, twin.prepare(subject.sample.inputs, subject.sample.meta_train))
    if not torch.equal(found, subject.usual):
        return violated("determinism", "built again with the same seed, it gives other numbers")
    return passed("determinism")


def _unchanged_weights(subject: EncoderSubject) -> Finding:
    encoder = subject.build()
    tensors = {**dict(encoder.named_parameters()), **dict(encoder.named_buffers())}
    before = {name: tensor.detach().clone() for name, tensor in tensors.items()}
    embed(encoder, subject.prepared)
    after = {**dict(encoder.named_parameters()), **dict(encoder.named_buffers())}
    changed = sorted(
        name
        for name in {*before, *after}
        if name not in before or name not in after or not torch.equal(before[name], after[name])
    )
    if changed:
        return violated("unchanged-weights", f"{len(changed)} changed, such as {changed[0]}")
    return passed("unchanged-weights", f"{len(before)} tensors")


def _gradients(subject: EncoderSubject) -> Finding:
    if not subject.info.trainable:
        digests = {subject.build(seed).weights_digest() for seed in range(2)}
        if len(digests) > 1:
            return violated("gradients", "frozen, and its weights differ each time it is built")
        return passed("gradients", "frozen, and built twice with the same weights")
    encoder = subject.build().train()
    parameters = {n: p for n, p in encoder.named_parameters() if p.requires_grad}
    if not parameters:
        return violated("gradients", "declared trainable, and it has no parameters to train")
    embedded = encoder({name: tensor.clone() for name, tensor in subject.prepared.items()})
    if not embedded.requires_grad:
        return violated("gradients", "declared trainable, and no gradient reaches its weights")
    embedded.float().square().sum().backward()
    idle = [n for n, p in parameters.items() if p.grad is None]
    detail = f"{len(parameters) - len(idle)} of {len(parameters)} parameters get a gradient"
    return passed("gradients", detail)


def _feature_map(subject: EncoderSubject) -> Finding:
    if not subject.info.feature_map:
        return inapplicable("feature-map", "it declares none")
    shape = subject.encoder.map_shape
    if not isinstance(shape, tuple) or len(shape) not in (2, 3):
        return violated("feature-map", f"map_shape is {shape!r}; (channels, positions...) is due")
    found = embed(subject.encoder, subject.prepared, maps=True)
    if tuple(found.shape[1:]) != shape or len(found) != len(subject.sample):
        detail = f"maps of shape {list(found.shape)}; [{len(subject.sample)}, *{shape}] is due"
        return violated("feature-map", detail)
    return passed("feature-map", f"{list(found.shape)}")


def _copies(subject: EncoderSubject) -> Finding:
    encoder: Any = subject.build().train()
    if not hasattr(encoder, "forward_copies"):
        return inapplicable("copies", "it has no forward_copies")
    own = dict(encoder.named_parameters())
    noise = torch.Generator().manual_seed(0)
    weights = {
        name: torch.stack([p + 0.01 * torch.randn(p.shape, generator=noise) for _ in range(COPIES)])
        for name, p in own.items()
    }
    inputs = {
        n: torch.stack([t.roll(k, 0) for k in range(COPIES)]) for n, t in subject.prepared.items()
    }
    with torch.no_grad():
        found = encoder.forward_copies(weights, inputs)
        looped = torch.stack(
            [
                torch.func.functional_call(
                    encoder,
                    ({n: w[k] for n, w in weights.items()}, _buffers(encoder)),
                    ({n: t[k] for n, t in inputs.items()},),
                )
                for k in range(COPIES)
            ]
        )
    value = share(found.flatten(1), looped.flatten(1)) if found.shape == looped.shape else None
    if value is None or value > TOLERANCE:
        told = f"{value:.2g}" if value is not None else f"the shape {list(found.shape)}"
        return violated("copies", f"it differs from a loop over the copies by {told}", value)
    return passed("copies", value=value)


def _buffers(encoder: Encoder) -> dict[str, Tensor]:
    return {name: buffer.clone() for name, buffer in encoder.named_buffers()}


def _weights(subject: EncoderSubject) -> Finding:
    files = [str(path) for path in getattr(subject.encoder, "files", ())]
    if pickled := [path for path in files if path.endswith(PICKLES)]:
        return violated("weights", f"{Path(pickled[0]).name} is read by unpickling")
    state = subject.encoder.state_dict()
    if objects := [name for name, value in state.items() if not isinstance(value, Tensor)]:
        return violated("weights", f"its state holds what is no tensor: {', '.join(objects)}")
    if not state:
        return passed("weights", "it has none")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "weights.safetensors"
        write_tensors(path, state, {})
        found = read_tensors(path)
        assert found is not None
        twin = subject.build(seed=1)
        twin.load_state_dict(found[0])
        value = share(embed(twin, subject.prepared), subject.usual)
    if value > TOLERANCE:
        detail = f"embeddings differ by {value:.2g} after weights were kept and read"
        return violated("weights", detail, _number(value))
    return passed("weights", f"{len(state)} tensors")


def _devices(subject: EncoderSubject) -> Finding:
    device = accelerator()
    if not device:
        return inapplicable("devices", "this machine has no accelerator")
    encoder = subject.build().to(device)
    found = embed(encoder, {name: t.to(device) for name, t in subject.prepared.items()})
    if found.device.type != device:
        return violated("devices", f"embeddings are on {found.device}, inputs on {device}")
    value = share(found.cpu(), subject.usual)
    outcome = violated if value > 10 * TOLERANCE else passed
    return outcome("devices", f"{device}: embeddings differ by {value:.2g}", _number(value))


def _number(value: float) -> float | None:
    return value if value < float("inf") else None


_FUNCTIONS: Mapping[str, Callable[[EncoderSubject], Finding]] = dict(
    zip(
        ENCODER_CHECKS,
        (
            _builds,
            _prepare,
            _meta_train_only,
            _embedding,
            _item_independence,
            _determinism,
            _unchanged_weights,
            _gradients,
            _feature_map,
            _copies,
            _weights,
            _devices,
        ),
        strict=True,
    )
)


def run_encoder_check(subject: EncoderSubject, name: str) -> Finding:
    """Run one of the checks in ``ENCODER_CHECKS``; what the encoder raises is the violation.

    Args:
        subject: What is examined.
        name: The check.
    """
    with torch.random.fork_rng():
        try:
            return _FUNCTIONS[name](subject)
        except UnavailableError as error:
            return inapplicable(name, str(error))
        except Exception as error:  # noqa: BLE001 - whatever a plugin raises is the finding
            if name != "builds" and "encoder" not in subject.__dict__:
                return inapplicable(name, "it cannot be built: see builds")
            return violated(name, raised(error))
