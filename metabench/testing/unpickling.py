"""Calls in a module's source that unpickle or trust remote code, however they are imported."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path

UNPICKLE = frozenset(
    {
        "cloudpickle.load", "cloudpickle.loads", "dill.load", "dill.loads", "dill.Unpickler",
        "joblib.load", "pandas.read_pickle", "pickle.load", "pickle.loads", "pickle.Unpickler",
        "shelve.open", "torch.load", "torch.serialization.load",
    }
)  # fmt: skip
"""Calls that unpickle; those of torch do not if they say ``weights_only=True``."""
UNSAFE = ("allow_pickle", "trust_remote_code")
"""Arguments that must not be true."""
_ALLOWS = 2
"""Where ``allow_pickle`` stands among the arguments of ``numpy.load``."""


def unsafe_calls(file: Path) -> Iterator[str]:
    """Name the calls of a module that unpickle or run what others provide.

    Args:
        file: The module's source.

    Yields:
        The place and what is called there, by its full name.
    """
    try:
        tree = ast.parse(file.read_bytes())
    except (SyntaxError, ValueError):
        return  # importing it says what is wrong
    aliases = _aliases(tree)
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        place = f"{file.name}:{node.lineno}"
        called = _called(node.func, aliases)
        given = {word.arg: word.value for word in node.keywords if word.arg}
        for name in sorted(called & UNPICKLE):
            if not (name.startswith("torch.") and _is(given.get("weights_only"), value=True)):
                yield f"{place} calls {name}"
        if "numpy.load" in called:
            allowed = given.get("allow_pickle", dict(enumerate(node.args)).get(_ALLOWS))
            if allowed is not None and not _is(allowed, value=False):
                yield f"{place} says allow_pickle={ast.unparse(allowed)}"
                continue
        for word in UNSAFE:
            if _is(given.get(word), value=True):
                yield f"{place} says {word}=True"


def _aliases(tree: ast.AST) -> Mapping[str, set[str]]:
    """Return the full names that each imported name may stand for, functions included."""
    found: dict[str, set[str]] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                name = alias.name if alias.asname else alias.name.partition(".")[0]
                found.setdefault(alias.asname or name, set()).add(name)
        elif isinstance(node, ast.ImportFrom):
            base = "." * node.level + (node.module or "")
            for alias in node.names:
                found.setdefault(alias.asname or alias.name, set()).add(f"{base}.{alias.name}")
    return found


def _called(function: ast.expr, aliases: Mapping[str, set[str]]) -> set[str]:
    """Return the full names that a call may go to; none if it is no dotted name."""
    parts: list[str] = []
    while isinstance(function, ast.Attribute):
        parts.append(function.attr)
        function = function.value
    if not isinstance(function, ast.Name):
        return set()
    return {".".join([root, *reversed(parts)]) for root in aliases.get(function.id, ())}


def _is(given: ast.expr | None, *, value: bool) -> bool:
    return isinstance(given, ast.Constant) and given.value is value
