"""A plugin with bad manners: it prints, its source needs a file, its observer keeps a diary."""

import os
from pathlib import Path

from metabench.hookspecs import AlgorithmInfo, DataFile, TaskSourceInfo, hookimpl

print("metabench_odd is imported")


@hookimpl
def metabench_task_sources():
    print("sources are asked for")
    yield TaskSourceInfo(
        name="needs-file",
        summary="reads a file that is not there",
        domain="toy",
        modality="points",
        target="metabench_odd_parts:needs_file",
        files=(DataFile(path="odd/points.bin"),),
    )
    yield TaskSourceInfo(
        name="odd-error",
        summary="raises what cannot be sent between processes",
        domain="toy",
        modality="points",
        target="metabench_odd_parts:odd_error",
    )


@hookimpl
def metabench_algorithms():
    yield AlgorithmInfo(
        name="chatty",
        summary="prints while it adapts",
        target="metabench_odd_parts:Chatty",
        recipe="none",
        suites=(),
    )
    yield AlgorithmInfo(
        name="needs-module",
        summary="needs a module that is not there",
        target="metabench_odd_parts:Chatty",
        recipe="none",
        requires=("no_such_module",),
        suites=(),
    )


def _note(text):
    with Path(os.environ["ODD_DIARY"]).open("a", encoding="utf-8") as file:
        file.write(text + "\n")


@hookimpl
def metabench_run_started(cells, store):
    print("the run starts")
    _note(f"started {cells}")


@hookimpl
def metabench_cell_finished(record):
    _note(f"finished {record.cell.algorithm} {record.status}")


@hookimpl
def metabench_run_finished(store, tables):
    _note(f"ended {[Path(table).name for table in tables]}")
    raise RuntimeError("the diary is full")
