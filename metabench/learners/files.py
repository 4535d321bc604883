"""Tensors on disk: safetensors, written whole or not at all."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from metabench.atomic import write_bytes


def write_tensors(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> None:
    """Write tensors and text metadata atomically.

    Args:
        path: The file; its folder is made if need be.
        tensors: By name; copied to the host.
        metadata: Text by name, kept in the header.
    """
    plain = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
    write_bytes(path, save(plain, dict(metadata)))


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]] | None:
    """Read tensors, memory-mapped, and their metadata.

    Args:
        path: The file.

    Returns:
        Tensors and metadata; ``None`` if the file is absent or not a whole safetensors file.
    """
    try:
        with safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, dict(  # noqa: SIM118
                file.metadata() or {}
            )
    except (FileNotFoundError, SafetensorError, json.JSONDecodeError):
        return None
