"""Records of earlier layouts, brought to the present one as they are read; the files stay."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from metabench.runs.record import SCHEMA_VERSION, digest_of

Values = dict[str, Any]


class ChangedError(Exception):
    """The record is not what was written: its own checksum says so."""


def migrate(values: Mapping[str, Any]) -> Values:
    """Bring a record of an earlier layout to the present one.

    Args:
        values: The record as it lies on disk, of a version in `MIGRATIONS`.

    Returns:
        The same in the present layout, with a checksum of its own.

    Raises:
        ChangedError: If the checksum does not fit the content, which has to be asked before the
            content is changed.
    """
    body = {name: value for name, value in values.items() if name != "checksum"}
    if values.get("checksum") != digest_of(body):
        raise ChangedError
    while body["schema_version"] != SCHEMA_VERSION:
        body = MIGRATIONS[body["schema_version"]](body)
    return {**body, "checksum": digest_of(body)}


def _from_1(body: Values) -> Values:
    """Version 2 added further metrics."""
    return {**body, "schema_version": 2, "other_metrics": {}}


MIGRATIONS: Mapping[int, Callable[[Values], Values]] = {1: _from_1}
"""From each earlier version to the next."""
