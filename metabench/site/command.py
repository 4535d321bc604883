"""The command that makes a row once more."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from metabench.runs.record import own_data_words

if TYPE_CHECKING:
    from metabench.runs.record import Record

_CUSTOM = "-custom"


def reproduce(records: Sequence[Record]) -> str:
    """Return the ``metabench run`` that computes the cells of a row.

    Args:
        records: One record per seed.

    Returns:
        One line for a POSIX shell; settings that depart from the suite are flags of their own.
    """
    record = records[0]
    cell = record.cell
    words = ["metabench", "run", "--suite", suite_of(cell.protocol, cell.way, cell.shot)]
    words += own_data_words(record.provenance) or ["--sources", cell.source]
    if cell.encoder != "none":
        words += ["--encoders", cell.encoder]
    words += ["--algorithms", cell.algorithm, "--shots", cell.shot]
    words += ["--seeds", ",".join(str(one.cell.seed) for one in records)]
    if cell.protocol.endswith(_CUSTOM):
        words += _settings(record.provenance.get("protocol"), cell.task_kind)
    precision = record.provenance.get("precision")
    if isinstance(precision, str) and precision not in {"", "fp32"}:
        words += ["--precision", precision]
    return shlex.join(words)


def suite_of(protocol: str, way: str, shot: str) -> str:
    """Return the suite in a protocol's name, such as ``quick`` of ``quick-5w1s``."""
    name = protocol.removesuffix(_CUSTOM)
    pattern = rf"-(?:{re.escape(way)}w)?{re.escape(shot)}s"
    return re.sub(rf"{pattern}\Z", "", name) or name


def _settings(protocol: Any, kind: str) -> list[str]:
    if not isinstance(protocol, Mapping):
        return []
    flags = {"--queries": "query", "--budget": "budget"}
    if kind == "classification":
        flags = {"--way": "way", "--episodes": "episodes", **flags}
    found = {flag: protocol.get(name) for flag, name in flags.items()}
    return [
        word
        for flag, value in found.items()
        if value is not None and value != "rest"
        for word in (flag, str(value))
    ]
