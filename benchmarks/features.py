"""Throughput and peak memory of every feature step, each in a process of its own.

``python benchmarks/features.py`` measures what the plugins carry or generate; with
``METABENCH_DATA`` set and ``--real`` also the real sources, FS-Mol's 480,000 measurements among
them. A step is loading (or generating) a source, or preparing and embedding it for an encoder.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from metabench.learners.contracts import InputSpec
from metabench.learners.device import Compute
from metabench.learners.model import embed_source
from metabench.registry.discovery import load_plugins
from metabench.registry.targets import resolve_target
from metabench.runs.prepare import meta_train_items
from metabench.tasks.files import SourceContext

EMBEDDED = (
    ("spoken-words", ("mel-conv4", "mfcc-stats")),
    ("intents", ("minilm", "hashed-ngrams", "text-cnn")),
    ("answer-selection", ("minilm-pair",)),
    ("drug-fragments", ("ecfp", "gin", "rdkit-descriptors")),
    ("sinusoid", ()),
    ("mujoco-dynamics", ()),
    ("reacher-imitation", ()),
)
REAL = (
    ("arabic-commands", ("mel-conv4", "mfcc-stats")),
    ("tox21", ("ecfp", "gin", "rdkit-descriptors")),
    ("fs-mol", ("ecfp", "gin+ecfp")),
)
SAMPLES_PER_SECOND = 16_000


@dataclass(frozen=True)
class Measured:
    """What one process found.

    Attributes:
        seconds: Wall-clock time of the step.
        amount: How much it worked on.
        unit: Of what.
        peak: Largest resident size of the process, in MB.
    """

    seconds: float
    amount: float
    unit: str
    peak: float


def main() -> None:
    """Measure each step and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--real", action="store_true", help="also sources below METABENCH_DATA")
    parser.add_argument("--step", nargs="+", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.step:
        print(json.dumps(measure(*arguments.step).__dict__))
        return
    print(f"{'source':20s} {'step':20s} {'seconds':>9s} {'rate':>30s} {'peak MB':>8s}")
    for source, encoders in EMBEDDED + (REAL if arguments.real else ()):
        for step in ((source,), *((source, encoder) for encoder in encoders)):
            command = [sys.executable, __file__, "--step", *step]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            name = step[1] if len(step) > 1 else "load"
            if done.returncode:
                print(f"{source:20s} {name:20s} {done.stderr.strip().splitlines()[-1]}")
                continue
            found = Measured(**json.loads(done.stdout.splitlines()[-1]))
            rate = f"{found.amount / found.seconds:,.0f} {found.unit}/s"
            print(f"{source:20s} {name:20s} {found.seconds:9.1f} {rate:>30s} {found.peak:8.0f}")


def measure(source: str, encoder: str = "") -> Measured:
    """Carry out one step in this process.

    Args:
        source: The source to load.
        encoder: The encoder to prepare and embed it for; none measures the loading.

    Returns:
        Time, amount and memory. The memory of an encoder's step includes the loaded source.
    """
    catalogue = load_plugins()
    folder = os.environ.get("METABENCH_DATA")
    context = SourceContext(source, Path(folder) if folder else None)
    entry = catalogue.source(source).info
    started = time.perf_counter()
    data = resolve_target(entry.target)(context, **entry.options)
    if encoder:
        info = catalogue.encoder(encoder).info
        spec = InputSpec.of(data.modality, data.inputs)
        built = resolve_target(info.target)(spec, **info.options)
        started = time.perf_counter()
        if info.trainable:
            built.prepare(data.inputs, meta_train_items(data))
        else:
            embed_source(built, data.inputs, meta_train_items(data), Compute.choose("cpu", "fp32"))
    seconds = time.perf_counter() - started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    if data.modality == "audio":
        amount, unit = float(data.inputs["length"].sum()) / SAMPLES_PER_SECOND, "s of audio"
    elif data.modality == "molecule":
        amount, unit = len(data), "molecules"
    elif data.modality in {"text", "text-pair"}:
        amount = sum(float(v.sum()) for k, v in data.inputs.items() if k.startswith("length"))
        unit = "bytes of text"
    else:
        amount, unit = len(data), "transitions"
    return Measured(seconds, amount, unit, peak)


if __name__ == "__main__":
    main()
