"""What makes two protocols different, setting by setting."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

_ABSENT = object()
_NOT_SETTINGS = frozenset({"name"})
"""Left out of the protocol digest, so no difference."""


def describe_difference(protocol_a: Mapping[str, Any], protocol_b: Mapping[str, Any]) -> list[str]:
    """Name every setting in which two protocols differ.

    Args:
        protocol_a: A protocol as plain JSON types.
        protocol_b: Another.

    Returns:
        Lines such as ``shot: 1 or 5``, in the order of the first protocol's settings; none if
        nothing but the name differs.
    """
    a, b = dict(_settings(protocol_a)), dict(_settings(protocol_b))
    lines = []
    for name in [*a, *(name for name in b if name not in a)]:
        ours, theirs = _shown(a.get(name, _ABSENT)), _shown(b.get(name, _ABSENT))
        if ours != theirs:
            lines.append(f"{name}: {ours} or {theirs}")
    return lines


def _settings(protocol: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in protocol.items():
        if not prefix and name in _NOT_SETTINGS:
            continue
        if isinstance(value, Mapping) and value:
            yield from _settings(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _shown(value: object) -> str:
    # JSON text tells 1, 1.0 and true apart, as the digest does.
    return "absent" if value is _ABSENT else json.dumps(value, sort_keys=True, default=str)
