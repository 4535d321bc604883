"""Where and in which precision the arithmetic runs."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from metabench.errors import UsageError

Precision = Literal["fp32", "bf16"]
DEVICE_TYPES = ("cpu", "cuda", "mps", "xpu")


@dataclass(frozen=True)
class Compute:
    """A device and a precision.

    Attributes:
        device: The torch device.
        precision: ``fp32``, or ``bf16`` for autocast of the encoder. Heads on embeddings, and the
            test of a learner that adapts its encoder, compute in fp32 in any case.
    """

    device: torch.device
    precision: Precision = "fp32"

    @classmethod
    def choose(cls, device: str, precision: Precision) -> Compute:
        """Resolve ``auto`` to the fastest device present.

        Args:
            device: ``auto``, ``cpu``, ``cuda``, ``cuda:1``, ``mps``.
            precision: The precision of the encoder.

        Returns:
            The resolved choice.

        Raises:
            UsageError: If the device does not exist.
        """
        if device == "auto":
            if torch.cuda.is_available():
                device = "cuda"
            else:
                device = "mps" if torch.backends.mps.is_available() else "cpu"
        try:
            chosen = torch.device(device)
            torch.empty(0, device=chosen)
        except (RuntimeError, AssertionError) as error:
            reason = str(error).splitlines()[0]
            raise UsageError(f"--device {device!r} cannot be used: {reason}") from error
        if chosen.type not in DEVICE_TYPES:
            raise UsageError(f"--device {device!r} cannot be used: it computes nothing")
        if chosen.type == "cuda":  # the same seed, the same numbers, and fp32 means fp32
            torch.backends.cudnn.deterministic = True
            torch.backends.cudnn.allow_tf32 = False
        return cls(chosen, precision)

    def autocast(self) -> AbstractContextManager[object]:
        """Return the context in which an encoder's forward pass runs."""
        if self.precision == "fp32":
            return contextlib.nullcontext()
        return torch.autocast(self.device.type, dtype=torch.bfloat16)

    @property
    def accelerator(self) -> str:
        """The model of the graphics processor; empty on a CPU, and where the system is silent."""
        return torch.cuda.get_device_name(self.device) if self.device.type == "cuda" else ""

    def wait(self) -> None:
        """Return when the device has finished what it was given."""
        if self.device.type != "cpu":
            torch.get_device_module(self.device).synchronize()

    def place(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Move inputs to the device."""
        return {name: tensor.to(self.device) for name, tensor in inputs.items()}


def release_unused() -> None:
    """Give the memory of CUDA devices that this process keeps for later to other processes."""
    if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        with contextlib.suppress(RuntimeError):  # after an error that the device does not get over
            torch.cuda.empty_cache()


def seed_torch(*parts: object) -> None:
    """Seed torch's generators by a hash of plain values.

    The CPU's generator heeds the lower 32 bits of a seed only, so that seeds must not be put
    together by shifting.
    """
    sha = hashlib.sha256(repr(parts).encode()).digest()
    torch.manual_seed(int.from_bytes(sha[:8], "little") >> 1)


def take(inputs: Mapping[str, Tensor], index: Tensor) -> dict[str, Tensor]:
    """Gather examples: ``[...]`` indices to inputs ``[..., *]``."""
    return {name: tensor[index] for name, tensor in inputs.items()}
