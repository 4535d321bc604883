"""Suites: named lists of sources and protocols, kept as TOML files."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from metabench.errors import UsageError, unknown_name
from metabench.runs.protocol import Protocol


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
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9._-]*$")
    summary: str
    seeds: tuple[int, ...] = (0,)
    shots: tuple[int | str, ...] = (1, 5)
    protocol: Mapping[str, Any] = Field(default_factory=dict)
    entries: tuple[Entry, ...] = ()

    def make_protocol(
        self, shot: int | str, metric: str, *settings: Mapping[str, Any], custom: bool = False
    ) -> Protocol:
        """Combine the suite's settings with a source's and the user's.

        Args:
            shot: The shot.
            metric: The source's metric.
            settings: Further settings, later ones first in rank.
            custom: Whether the user changed what the suite fixes; the name then says so.

        Returns:
            A named protocol.

        Raises:
            UsageError: If a setting is unknown or out of range.
        """
        merged: dict[str, Any] = {"metric": metric, **self.protocol}
        for extra in settings:
            merged.update(extra)
        known = set(Protocol.model_fields)
        for name in merged:
            if name not in known:
                raise unknown_name(f"protocol setting in suite {self.name!r}", name, known)
        name = f"{self.name}-{merged.get('way', 5)}w{shot}s" + ("-custom" if custom else "")
        try:
            return Protocol(**{**merged, "shot": shot, "name": name})
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
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(f"cannot read suite {name}: {error}") from error
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
        raise UsageError(f"{place}: {error}") from error
    except ValidationError as error:
        raise UsageError(f"{place}: {first_error(error)}") from error


def first_error(error: ValidationError) -> str:
    """Return the first complaint of a validation in one line, with its place and value."""
    first = error.errors(include_url=False)[0]
    place = ".".join(str(part) for part in first["loc"])
    shown = repr(first.get("input"))[:80]
    message = first["msg"].removeprefix("Value error, ")
    return f"{place} = {shown}: {message}" if place else message
