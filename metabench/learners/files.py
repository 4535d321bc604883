"""Tensors on disk: safetensors, written whole or not at all."""

from __future__ import annotations

import errno
import re
from collections.abc import Mapping
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from metabench.atomic import write_with


def write_tensors(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> None:
    """Write tensors and text metadata atomically.

    Args:
        path: The file; its folder is made if need be.
        tensors: By name. They are written from where they lie: a source of gigabytes is not held
            twice, only what is on a device, not contiguous, or shares memory is copied.
        metadata: Text by name, kept in the header.

    Raises:
        MetabenchError: If the file cannot be written.
    """
    plain: dict[str, Tensor] = {}
    storages: set[int] = set()
    for name, tensor in tensors.items():
        host = tensor.detach().cpu().contiguous()
        if host.untyped_storage().data_ptr() in storages:
            host = host.clone()
        storages.add(host.untyped_storage().data_ptr())
        plain[name] = host
    write_with(path, lambda temporary: _save(plain, temporary, metadata))


def _save(tensors: dict[str, Tensor], path: Path, metadata: Mapping[str, str]) -> None:
    try:
        save_file(tensors, path, dict(metadata))
    except SafetensorError as error:  # its text alone tells a full disk from anything else
        number = re.search(r"os error (\d+)", str(error))
        raise OSError(int(number[1]) if number else errno.EIO, str(error)) from error


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]] | None:
    """Read tensors, memory-mapped, and their metadata.

    Args:
        path: The file.

    Returns:
        Tensors and metadata; ``None`` if the file is absent or not a whole safetensors file.
    """
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            return tensors, dict(file.metadata() or {})
    except (FileNotFoundError, SafetensorError):
        return None
