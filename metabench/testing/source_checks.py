"""Examining one task source, by the code that loads it in a run."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from metabench.errors import InapplicableError, MetabenchError, UnavailableError
from metabench.hookspecs import TaskSourceInfo
from metabench.leaderboard.audits import Finding
from metabench.runs.prepare import load_source, prepare_source
from metabench.runs.protocol import Protocol
from metabench.runs.suite import Suite, load_suites
from metabench.runs.tasks import Part, Place
from metabench.tasks.data import ClassPool, TaskData, TaskPool
from metabench.tasks.files import SourceContext
from metabench.tasks.sampler import EpisodeSampler
from metabench.testing.checks import raised
from metabench.testing.contract_checks import inapplicable, passed, violated
from metabench.testing.names import SOURCE_CHECKS

EPISODES = 2
COPIED = 0.01
"""Largest share of test examples that may be copies of training examples."""
PROBE_TIMEOUT = 300.0

_PROBE = """
import random, sys, json
import numpy, torch
from metabench.registry.targets import resolve_target
from metabench.tasks.files import SourceContext
from pathlib import Path
random.seed(1); numpy.random.seed(1); torch.manual_seed(1)
target, name, data, options, out = sys.argv[1:]
context = SourceContext(name, Path(data) if data else None)
loaded = resolve_target(target)(context, **json.loads(options))
Path(out).write_text(loaded.digest)
"""


@dataclass(frozen=True, eq=False)
class SourceSubject:
    """A source and where its files are.

    Attributes:
        info: What it declares.
        made: The function that delivers it.
        data_dir: The data directory, if one is set.
    """

    info: TaskSourceInfo
    made: Callable[..., Any]
    data_dir: Path | None = None

    @cached_property
    def data(self) -> TaskData:
        """What it delivers, after it went through the cache of a store.

        Raises:
            MetabenchError: If a run could not use it.
        """
        part = Part(self.info, self.info.name, "examined", "0", "")
        with tempfile.TemporaryDirectory() as folder:
            place = Place(Path(folder), self.data_dir, "cpu", "fp32")
            prepared = prepare_source((part, place))
            data = load_source(part, place)
            if data.digest != prepared.digest:
                raise MetabenchError("the cache gave back other data than were put into it")
            kept = {name: tensor.clone() for name, tensor in data.inputs.items()}
        return TaskData(
            data.modality, kept, data.splits,
            groups=data.groups, lists=data.lists, notes=data.notes,
        )  # fmt: skip

    def load(self, data_dir: Path | None) -> Any:
        """Call its target."""
        return self.made(SourceContext(self.info.name, data_dir), **self.info.options)


def _missing_files(subject: SourceSubject) -> Finding:
    described = [file.path for file in subject.info.files]
    with tempfile.TemporaryDirectory() as folder:
        for data_dir in (None, Path(folder)) if described else (None,):
            try:
                if described or subject.data_dir is not None:
                    subject.load(data_dir)
                else:
                    _ = subject.data  # the same, and it is kept for the other checks
            except UnavailableError as error:
                if not described:
                    detail = f"its descriptor names no files, and it says: {error}"
                    return violated("missing-files", detail)
                if len(str(error).splitlines()) > 1:
                    return violated("missing-files", "what is missing takes more than one line")
            except MetabenchError:
                continue  # it was loaded, and is not what it should be: see loads
            except Exception as error:  # noqa: BLE001 - whatever a plugin raises is the finding
                return violated("missing-files", raised(error))
    told = f"{len(described)} files are asked for" if described else "it needs none"
    return passed("missing-files", told)


def _loads(subject: SourceSubject) -> Finding:
    data = subject.data
    return passed("loads", f"{len(data)} examples, {', '.join(data.inputs)}", float(len(data)))


def _determinism(subject: SourceSubject) -> Finding:
    digest = subject.data.digest
    found = _digest_elsewhere(subject) or _digest_again(subject)
    if found != digest:
        detail = f"the digest was {digest[:12]}, and then {found[:12]}"
        return violated("determinism", detail)
    return passed("determinism", digest[:12])


def _digest_elsewhere(subject: SourceSubject) -> str:
    """Return the digest of another process with other seeds and another order of sets."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "digest"
        environment = {
            **os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
            "PYTHONHASHSEED": "1",
        }  # fmt: skip
        subprocess.run(  # noqa: S603 - our own interpreter and code
            [
                sys.executable, "-c", _PROBE, subject.info.target, subject.info.name,
                str(subject.data_dir or ""), json.dumps(dict(subject.info.options)), str(out),
            ],
            env=environment, capture_output=True, check=False, timeout=PROBE_TIMEOUT,
        )  # fmt: skip
        return out.read_text("utf-8") if out.exists() else ""


def _digest_again(subject: SourceSubject) -> str:
    torch.manual_seed(1)
    return str(subject.load(subject.data_dir).digest)


def _values(subject: SourceSubject) -> Finding:
    faults = []
    for name, tensor in subject.data.inputs.items():
        if tensor.dtype == torch.float64 or tensor.is_complex():
            faults.append(f"{name} is {tensor.dtype}; float32 is half of that")
        if tensor.is_floating_point() and (bad := int((~tensor.isfinite()).sum())):
            faults.append(f"{name} has {bad} numbers that are not finite")
        if tensor.dim() > 1 and len(tensor) > 1 and bool((tensor == tensor[:1]).all()):
            faults.append(f"{name} is the same for all examples")
    if faults:
        return violated("values", "; ".join(faults))
    kinds = [f"{n} {str(t.dtype)[6:]} {list(t.shape[1:])}" for n, t in subject.data.inputs.items()]
    return passed("values", ", ".join(kinds))


def _splits(subject: SourceSubject) -> Finding:
    splits = subject.data.splits
    sizes = {
        name: len(pool.names if isinstance(pool, ClassPool) else pool.tasks)
        for name, pool in splits.items()
    }
    told = ", ".join(f"{size} in {name}" for name, size in sizes.items())
    least = 2 if isinstance(splits["test"], ClassPool) else 1
    if few := [name for name, size in sizes.items() if size < least]:
        return violated("splits", f"{told}: too few in {', '.join(few)}")
    absent = [name for name in ("train", "val") if name not in splits]
    if absent:
        detail = f"{told}; no {' and no '.join(absent)} split"
        return Finding(check="splits", outcome="measured", detail=detail)
    return passed("splits", told)


def _episodes(subject: SourceSubject) -> Finding:
    suites = load_suites()
    named = [suites[name] for name in subject.info.suites if name in suites]
    drawn = []
    for suite in named or [suites["quick"]]:
        for protocol in _protocols(subject.info, suite):
            try:
                _draw(subject.data, protocol)
            except InapplicableError as error:
                detail = f"{protocol.name}: {error}"
                if not named:
                    return Finding(check="episodes", outcome="measured", detail=detail)
                return violated("episodes", detail)
            drawn.append(protocol.name)
    return passed("episodes", ", ".join(drawn))


def _protocols(info: TaskSourceInfo, suite: Suite) -> Iterator[Protocol]:
    settings = dict(info.suites.get(suite.name, {}))
    for shot in settings.pop("shots", suite.shots):
        own = {**info.protocol, **settings}
        yield suite.make_protocol(shot, info.metric, own, {}, info.task_kind)


def _draw(data: TaskData, protocol: Protocol) -> None:
    for split, pool in data.splits.items():
        sampler = EpisodeSampler(
            pool, protocol.sampling, source_digest=data.digest, split=split, seed=0,
            groups=data.groups,
        )  # fmt: skip
        for _ in sampler.batches(0, min(EPISODES, sampler.test_episodes(EPISODES)), EPISODES):
            pass


def _duplicates(subject: SourceSubject) -> Finding:
    splits = subject.data.splits
    if "train" not in splits or isinstance(splits["test"], TaskPool):
        return inapplicable("duplicates", "tasks may share examples, or nothing is trained on")
    known = set(_rows(subject.data, splits["train"].items))
    asked = _rows(subject.data, splits["test"].items)
    copies = sum(row in known for row in asked)
    value = copies / max(len(asked), 1)
    detail = f"{copies} of {len(asked)} test examples are copies of training examples"
    return (violated if value > COPIED else passed)("duplicates", detail, value)


def _rows(data: TaskData, items: Any) -> list[bytes]:
    """Return a digest of each example."""
    digests = [hashlib.blake2b(digest_size=16) for _ in items]
    for name in sorted(data.inputs):
        tensor: Tensor = data.inputs[name][torch.as_tensor(items)].contiguous()
        rows = np.ascontiguousarray(tensor.reshape(len(items), -1).numpy())
        for digest, row in zip(digests, rows, strict=True):
            digest.update(row.tobytes())
    return [digest.digest() for digest in digests]


_FUNCTIONS: Mapping[str, Callable[[SourceSubject], Finding]] = dict(
    zip(
        SOURCE_CHECKS,
        (_missing_files, _loads, _determinism, _values, _splits, _episodes, _duplicates),
        strict=True,
    )
)


def run_source_check(subject: SourceSubject, name: str) -> Finding:
    """Run one of the checks in ``SOURCE_CHECKS``; what the source raises is the violation.

    Args:
        subject: What is examined.
        name: The check.
    """
    try:
        return _FUNCTIONS[name](subject)
    except UnavailableError as error:
        return inapplicable(name, str(error))
    except Exception as error:  # noqa: BLE001 - whatever a plugin raises is the finding
        if name != "loads" and "data" not in subject.__dict__:
            return inapplicable(name, "it cannot be loaded: see loads")
        told = str(error) if isinstance(error, MetabenchError) else raised(error)
        return violated(name, told)
