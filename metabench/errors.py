"""Errors that a user can cause, and how they are worded.

A ``MetabenchError`` is printed as it is, without a traceback: what is wrong, with the value and its
place, the nearest valid choice, and what to do. Every other exception is a bug.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

LISTED = frozenset(
    {"domain", "source", "encoder", "algorithm", "metric", "reader", "suite", "plugin"}
)
"""What ``metabench list`` lists, in the singular."""


class MetabenchError(Exception):
    """Something the user can mend; the message is complete in itself."""


class UsageError(MetabenchError):
    """A request that cannot be carried out as it was typed (exit code 2)."""


class UnavailableError(MetabenchError):
    """Data or a dependency is missing; the cell is skipped with status ``unavailable``.

    Args:
        message: What is missing or broken, with the file and the place.
        remedy: The command or step that mends it.
    """

    def __init__(self, message: str, remedy: str = "") -> None:
        super().__init__(f"{message}; {remedy}" if remedy else message)


class InapplicableError(MetabenchError):
    """The protocol cannot be carried out on this source; the message holds the numbers."""


def unknown_name(kind: str, name: str, known: Iterable[str]) -> UsageError:
    """Describe a name that nothing is registered under.

    Args:
        kind: What was looked up, in the singular: ``"domain"``.
        name: What the user typed.
        known: Every valid name.

    Returns:
        An error with the nearest names, or with all of them when none is near and they are few.
    """
    choices = sorted(known)
    near = difflib.get_close_matches(name, choices, n=3, cutoff=0.5)
    listed = kind in LISTED
    if near:
        hint = "did you mean " + " or ".join(near) + "?"
    elif len(choices) <= 12 or not listed:  # noqa: PLR2004 - what fits on a line
        hint = "known: " + (", ".join(choices) or "none")
    else:
        hint = f"`metabench list {kind}s` shows all {len(choices)}"
    return UsageError(f"unknown {kind} {name!r}; {hint}")
