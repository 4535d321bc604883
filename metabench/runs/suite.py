"""Suites: named lists of sources and protocols, kept as TOML files."""

from __future__ import annotations

import contextlib
import difflib
import tomllib
from collections.abc import Iterable, Mapping
from importlib import resources
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from metabench.errors import UsageError, unknown_name
from metabench.hookspecs import TaskKind
from metabench.runs.protocol import Protocol

NAME = r"^[a-z0-9][a-z0-9._+-]*$"
NAME_RULE = "a name is of lower-case letters, digits and . _ + -, and begins with a letter or digit"
DERIVED = frozenset({"name", "shot", "metric", "engine"})
"""Protocol settings that a suite cannot give: its name, ``shots``, the source and the core do."""


class Variant(BaseModel):
    """An algorithm with other hyperparameters, under a name of its own.

    Every key but ``algorithm`` is a hyperparameter::

        [variants.maml-3steps]
        algorithm = "maml"
        inner_steps = 3

    Attributes:
        algorithm: The algorithm that it is a variant of.
    """

    model_config = ConfigDict(frozen=True, extra="allow")

    algorithm: str

    @property
    def options(self) -> dict[str, Any]:
        """The hyperparameters."""
        return dict(self.model_extra or {})


class Entry(BaseModel):
    """Sources of a suite that name themselves, with what is run on them.

    Attributes:
        sources: Names of sources.
        encoders: Names of encoders; by default the suite's for each modality.
        algorithms: Names of algorithms; by default all of the suite.
        shots: Shots; by default the suite's.
        protocol: Settings in which these sources depart from the suite's protocol.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    sources: tuple[str, ...]
    encoders: tuple[str, ...] = ()
    algorithms: tuple[str, ...] = ()
    shots: tuple[int | str, ...] = ()
    protocol: Mapping[str, Any] = Field(default_factory=dict)


class Suite(BaseModel):
    """A named list of sources and protocols.

    A suite without entries takes every source, encoder and algorithm whose descriptor names it.

    Attributes:
        name: The suite's name.
        summary: One line.
        seeds: Seeds of every cell.
        shots: One protocol per shot.
        protocol: Protocol settings common to all; see `metabench.runs.protocol.Protocol`.
        entries: Sources named one by one.
        variants: Algorithms that are added, by name.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=NAME)
    summary: str = ""
    seeds: tuple[Annotated[int, Field(ge=0, lt=2**31)], ...] = Field(default=(0,), min_length=1)
    shots: tuple[int | str, ...] = Field(default=(1, 5), min_length=1)
    protocol: Mapping[str, Any] = Field(default_factory=dict)
    entries: tuple[Entry, ...] = ()
    variants: Mapping[Annotated[str, Field(pattern=NAME)], Variant] = Field(default_factory=dict)

    def make_protocol(
        self,
        shot: int | str,
        metric: str,
        settings: Mapping[str, Any],
        changes: Mapping[str, Any],
        kind: TaskKind = "classification",
    ) -> Protocol:
        """Combine the suite's settings with a source's and the user's.

        Args:
            shot: The shot.
            metric: The source's metric.
            settings: In which the source departs from the suite.
            changes: What the user asks for. If that makes it another protocol, its name says so.
            kind: The kind of the source's tasks: only classification leaves the way and the number
                of test episodes open; that of fixed tasks is ``draws`` of each.

        Returns:
            A named protocol.

        Raises:
            UsageError: If a setting is unknown or out of range.
        """
        if kind != "classification":  # fixed tasks: these two have no effect on them
            settings = {**settings, "way": 2 if kind == "binary" else 1, "episodes": 1}
            changes = {n: value for n, value in changes.items() if n not in {"way", "episodes"}}
        own = {**self.protocol, **settings, **changes, "metric": metric}
        changed = self._protocol(shot, own, kind)
        if not changes:
            return changed
        with contextlib.suppress(UsageError):  # --way 5-50 goes with no shot that is a number
            fixed = self._protocol(shot, {**self.protocol, **settings, "metric": metric}, kind)
            if changed.digest == fixed.digest:
                return fixed
        return changed.model_copy(update={"name": f"{changed.name}-custom"})

    def _protocol(self, shot: int | str, settings: Mapping[str, Any], kind: TaskKind) -> Protocol:
        known = set(Protocol.model_fields) - DERIVED
        for name in settings:
            if name not in known | {"metric"}:
                where = f"suite {self.name!r}"
                raise UsageError(f"{where}: unknown protocol setting {name!r}; {near(name, known)}")
        way = settings.get("way", 5)
        name = f"{self.name}-{way}w{shot}s" if kind == "classification" else f"{self.name}-{shot}s"
        if kind == "classification" and way == 1:
            raise UsageError(f"protocol {name}: way = 1: with one class every answer is right")
        try:
            return Protocol(**{**settings, "shot": shot, "name": name})
        except ValidationError as error:
            raise UsageError(f"protocol {name}: {first_error(error)}") from error


def load_suites() -> dict[str, Suite]:
    """Read the suites that metabench ships, by name."""
    folder = resources.files("metabench.runs") / "suites"
    files = sorted(folder.iterdir(), key=lambda file: file.name)
    suites = [parse_suite(f.read_text("utf-8"), f.name) for f in files if f.name.endswith(".toml")]
    return {suite.name: suite for suite in suites}


def find_suite(name: str) -> Suite:
    """Return a shipped suite by name, or the one in a TOML file by path.

    Args:
        name: ``quick``, or a path that ends in ``.toml``.

    Returns:
        The suite.

    Raises:
        UsageError: If there is none, or the file is not a valid suite.
    """
    if name.endswith(".toml"):
        try:
            return parse_suite(Path(name).read_text("utf-8"), name)
        except OSError as error:
            raise UsageError(f"cannot read the suite {name}: {error.strerror}") from error
        except UnicodeDecodeError as error:
            raise UsageError(f"{name} is not valid TOML: {error}") from error
    suites = load_suites()
    if name not in suites:
        raise unknown_name("suite", name, suites)
    return suites[name]


def parse_suite(text: str, place: str) -> Suite:
    """Read a suite from TOML.

    Args:
        text: The TOML text.
        place: The file, for errors.

    Returns:
        The suite.

    Raises:
        UsageError: If the text is no TOML or has unknown or missing keys.
    """
    try:
        return Suite.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{place} is not valid TOML: {error}") from error
    except ValidationError as error:
        raise UsageError(f"{place}: {first_error(error, Suite.model_fields)}") from error


def first_error(error: ValidationError, keys: Iterable[str] = ()) -> str:
    """Return the first complaint of a validation in one line, with its place and value.

    Args:
        error: What pydantic found.
        keys: The valid keys at the top level, to name those near an unknown one.
    """
    first = error.errors(include_url=False)[0]
    named = [part for part in first["loc"] if isinstance(part, str) and not _is_choice(part)]
    if first["type"] == "extra_forbidden":
        *above, key = named
        inside = f" in {'.'.join(above)}" if above else ""
        known = Entry.model_fields if above else keys
        return f"unknown key {key!r}{inside}; {near(key, known)}"
    if first["loc"][-1:] == ("[key]",):
        *table, name, _ = map(str, first["loc"])
        return f"{'.'.join(table)}: {name!r} cannot be a name; {NAME_RULE}"
    message = first["msg"].removeprefix("Value error, ")
    message = message[:1].lower() + message[1:]
    if first["type"] == "missing":
        return f"the key {'.'.join(named)!r} is missing"
    shown = repr(first.get("input"))[:80]
    return f"{'.'.join(named)} = {shown}: {message}" if named else message


def _is_choice(part: str) -> bool:
    """Whether a part of an error's place names a branch of a union instead of a key."""
    return part in {"int", "str", "constrained-int"} or "[" in part


def near(name: str, known: Iterable[str]) -> str:
    """Name the valid names that are nearest to one that is not, or all of them."""
    choices = sorted(known)
    close = difflib.get_close_matches(name, choices, n=3, cutoff=0.5)
    return f"did you mean {' or '.join(close)}?" if close else f"known: {', '.join(choices)}"
