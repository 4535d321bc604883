"""Records as a run hands them to observers, and trackers that note what they are told."""

import threading
import time
from pathlib import Path
from typing import ClassVar

from metabench.runs.record import Cell, Failure, Record


def record(algorithm="protonet", *, encoder="pixels", seed=0, mean=0.5, status="ok", reason=""):
    cell = Cell(
        domain="vision", source="digits", task_kind="classification", encoder=encoder,
        encoder_policy="frozen", algorithm=algorithm, protocol="quick-5w1s",
        protocol_digest="p" * 64, way="5", shot="1", metric="accuracy", chance=0.2, best=1.0,
        seed=seed, inductive=True, plugin="metabench-algorithms", plugin_version="0.1.0",
    )  # fmt: skip
    failure = None if status == "ok" else Failure(reason=reason or "it went wrong")
    return Record(
        key="k" * 64, key_parts={}, cell=cell, status=status,
        mean=mean if status == "ok" else None, failure=failure,
    )  # fmt: skip


class Noting:
    """Notes every call and its thread."""

    calls: ClassVar = []

    def __init__(self, value):
        self.note("made", value)

    def note(self, *call):
        self.calls.append((*call, threading.current_thread() is threading.main_thread()))

    def start(self, cells, store):
        self.note("start", cells, store)

    def cell(self, record):
        self.note("cell", record.cell.algorithm)

    def finish(self, tables, statuses):
        self.note("finish", tables, dict(statuses))

    def abort(self):
        self.note("abort")


class Failing(Noting):
    def cell(self, record):
        super().cell(record)
        raise ValueError("the server says no")


class Slow(Noting):
    def finish(self, *_told):
        time.sleep(30)


class Writing(Noting):
    """Notes in a file, for processes that end."""

    def __init__(self, value):
        self.path = Path(value)

    def note(self, *call):
        with self.path.open("a") as file:
            file.write(f"{call[0]}\n")
