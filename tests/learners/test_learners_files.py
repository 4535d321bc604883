"""Tensors on disk, and the choice of a device."""

import os
import resource
import signal
import subprocess
import sys

import pytest
import torch

from metabench.errors import MetabenchError, UsageError
from metabench.learners.device import Compute, seed_torch, take
from metabench.learners.files import read_tensors, write_tensors

LAZY = """
import os, sys, torch
from pathlib import Path
from metabench.learners.files import read_tensors, write_tensors
path = Path(sys.argv[1])
resident = lambda: int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
write_tensors(path, {"x": torch.ones(64, 1024, 1024, dtype=torch.uint8)}, {})
before = resident()
found = read_tensors(path)
assert found is not None
x = found[0]["x"]
assert int(x[5, 0, 0]) == 1
print(resident() - before)
"""


def test_what_is_written_is_read(tmp_path):
    path = tmp_path / "a" / "w.safetensors"
    base = torch.arange(12.0).reshape(3, 4)
    tensors = {
        "plain": base,
        "shared": base,
        "slice": base[1],
        "strided": base.T,
        "channels": torch.rand(2, 3, 4, 5).to(memory_format=torch.channels_last),
        "scalar": torch.tensor(3),
        "empty": torch.empty(0, 2),
        "bytes": torch.arange(5, dtype=torch.uint8),
        "grad": torch.ones(2, requires_grad=True),
    }
    write_tensors(path, tensors, {"note": "ä"})
    found, metadata = read_tensors(path)
    assert metadata == {"note": "ä"}
    assert found.keys() == tensors.keys()
    for name, tensor in tensors.items():
        assert torch.equal(found[name], tensor.detach())
        assert found[name].dtype == tensor.dtype
    assert os.listdir(path.parent) == [path.name]  # noqa: PTH208


@pytest.mark.parametrize("kept", [0, 4, 60, -1])
def test_absent_and_truncated_files_are_nothing(tmp_path, kept):
    path = tmp_path / "w.safetensors"
    assert read_tensors(path) is None
    write_tensors(path, {"x": torch.arange(100.0)}, {})
    path.write_bytes(path.read_bytes()[:kept])
    assert read_tensors(path) is None


def test_changing_what_was_read_does_not_change_the_file(tmp_path):
    path = tmp_path / "w.safetensors"
    write_tensors(path, {"x": torch.zeros(10)}, {})
    read_tensors(path)[0]["x"].fill_(7)
    assert not read_tensors(path)[0]["x"].any()


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_reading_is_lazy(tmp_path):
    told = subprocess.run(
        [sys.executable, "-c", LAZY, str(tmp_path / "w")],
        capture_output=True,
        text=True,
        check=True,
    )
    assert int(told.stdout) < 16 * 1024**2  # of 64 MiB


def test_a_file_that_cannot_be_written_whole_leaves_the_old_one(tmp_path):
    path = tmp_path / "w.safetensors"
    write_tensors(path, {"x": torch.zeros(3)}, {})
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, before[1]))
    try:
        with pytest.raises(MetabenchError, match=r"cannot write .*w\.safetensors: .*too large"):
            write_tensors(path, {"x": torch.zeros(50_000)}, {})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    assert read_tensors(path)[0]["x"].shape == (3,)
    assert os.listdir(tmp_path) == [path.name]  # noqa: PTH208


def test_devices():
    assert Compute.choose("cpu", "fp32") == Compute(torch.device("cpu"))
    assert Compute.choose("auto", "bf16").device.type in {"cpu", "cuda", "mps"}
    for device in ("gpu", "cuda:99", "meta", ""):
        with pytest.raises(UsageError, match=f"--device '{device}' cannot be used"):
            Compute.choose(device, "fp32")


def test_bf16_computes_the_encoder_in_bf16():
    layer, x = torch.nn.Linear(2, 2), torch.ones(1, 2)
    for precision, dtype in (("fp32", torch.float32), ("bf16", torch.bfloat16)):
        with Compute.choose("cpu", precision).autocast():
            assert layer(x).dtype == dtype


def test_seeds_of_plain_values():
    drawn = []
    for parts in ((1, 2), (1, 2), (2, 1), (2**40, 2), ("1", 2)):
        seed_torch(*parts)
        drawn.append(tuple(torch.rand(3).tolist()))
    assert drawn[0] == drawn[1]
    assert len(set(drawn)) == 4


def test_take_copies():
    inputs = {"x": torch.zeros(4, 2)}
    take(inputs, torch.tensor([[0, 1], [1, 3]]))["x"].fill_(1)
    assert not inputs["x"].any()
