"""What keeping freed memory saves and costs a worker: training steps in processes that take turns.

Run ``python benchmarks/memory.py``. Each process trains Conv4 on spectrograms on one thread, with
or without `metabench.runs.memory.keep_freed_memory`; ratios are of the medians.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys

PROGRAM = """
import json, resource, sys, time

import torch

from metabench.learners.contracts import InputSpec
from metabench.runs.memory import keep_freed_memory
from metabench_speech.encoders.mel_conv4 import MelConv4

if sys.argv[1] == "kept":
    keep_freed_memory()
torch.set_num_threads(1)
inputs = {
    "waveform": torch.zeros(75, 16_000, dtype=torch.int16),
    "length": torch.full((75,), 16_000),
}
encoder = MelConv4(InputSpec.of("audio", inputs))
images = encoder.prepare(inputs, torch.empty(0, dtype=torch.int64))

def step():
    encoder(images).square().mean().backward()

step()
begun, usage = time.perf_counter(), resource.getrusage(resource.RUSAGE_SELF)
for _ in range(10):
    step()
after = resource.getrusage(resource.RUSAGE_SELF)
print(json.dumps({
    "seconds": time.perf_counter() - begun,
    "user": after.ru_utime - usage.ru_utime,
    "system": after.ru_stime - usage.ru_stime,
    "peak MB": after.ru_maxrss / 1024,
}))
"""


def main() -> None:
    """Print medians of both, and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    found: dict[str, list[dict[str, float]]] = {"returned": [], "kept": []}
    for _ in range(rounds):
        for name, measured in found.items():
            command = [sys.executable, "-c", PROGRAM, name]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            measured.append(json.loads(done.stdout))
    for what in found["kept"][0]:
        returned, kept = (statistics.median(one[what] for one in found[n]) for n in found)
        print(f"{what:8}  returned {returned:8.2f}  kept {kept:8.2f}  ratio {kept / returned:.2f}")


if __name__ == "__main__":
    main()
