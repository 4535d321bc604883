"""The conformance kit applied to a plugin: one case for each check of each thing it provides."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from metabench.errors import UsageError, unknown_name
from metabench.hookspecs import AlgorithmInfo, EncoderInfo, TaskSourceInfo
from metabench.registry.candidates import Candidate, find_candidates, first_party, normalised
from metabench.registry.quiet import stdout_to_stderr
from metabench.registry.targets import missing_modules, resolve_target
from metabench.testing.names import ALL, Subject
from metabench.testing.review import Remark, Review, complaint

if TYPE_CHECKING:
    from metabench.leaderboard.audits import Finding
    from metabench.testing.distribution_checks import PluginSubject

_KINDS: tuple[tuple[Subject, type[Any]], ...] = (
    ("source", TaskSourceInfo),
    ("encoder", EncoderInfo),
    ("algorithm", AlgorithmInfo),
)


def third_party() -> tuple[str, ...]:
    """Return the entry points of the installed plugins that are not metabench's own."""
    ours = first_party()
    found, _ = find_candidates()
    return tuple(c.name for c in found if normalised(c.distribution) not in ours)


def find_plugins(name: str) -> tuple[Candidate, ...]:
    """Find the entry points of a plugin by the name of one or of their distribution.

    Raises:
        UsageError: If there is none, with the nearest names.
    """
    found, _ = find_candidates()
    matching = tuple(c for c in found if c.answers_to({normalised(name)}))
    if not matching:
        known = {c.name for c in found} | {c.distribution for c in found}
        raise unknown_name("plugin", name, known)
    return matching


class Examination:
    """One plugin under examination; what is costly to build is built once.

    Args:
        candidate: Its entry point.
    """

    def __init__(self, candidate: Candidate) -> None:
        from metabench.testing.distribution_checks import PluginSubject  # noqa: PLC0415 - light

        self.candidate = candidate
        self.plugin: PluginSubject = PluginSubject(candidate)
        self._built: dict[tuple[str, ...], Any] = {}

    def cases(self) -> Iterator[Case]:
        """Yield every check of the plugin and of what it provides."""
        for check in ALL["plugin"]:
            yield Case(self.candidate.name, "plugin", self.candidate.name, check, self)
        for subject, kind in _KINDS:
            for info in self.plugin.descriptors:
                if isinstance(info, kind):
                    for check in ALL[subject]:
                        yield Case(self.candidate.name, subject, info.name, check, self)

    def examine(self, case: Case) -> tuple[Remark, ...]:
        """Carry out one case; what is printed meanwhile goes to stderr."""
        from metabench.leaderboard.audits import Finding  # noqa: PLC0415 - needs pydantic
        from metabench.testing.distribution_checks import run_plugin_check  # noqa: PLC0415 - light

        try:
            with stdout_to_stderr():
                if case.subject == "plugin":
                    found = {"": run_plugin_check(self.plugin, case.check)}
                else:
                    found = self._provided(case)
        except SystemExit as error:
            detail = f"it calls sys.exit({error.code!r}), which would end the run"
            found = {"": Finding(check=case.check, outcome="violated", detail=detail)}
        return tuple(Remark(case.subject, case.name, on, f) for on, f in found.items())

    def _provided(self, case: Case) -> dict[str, Finding]:
        from metabench.leaderboard.audits import Finding  # noqa: PLC0415 - needs pydantic

        kind = dict(_KINDS)[case.subject]
        (info,) = (
            i for i in self.plugin.descriptors if isinstance(i, kind) and i.name == case.name
        )
        why = ""
        if missing := missing_modules(info.requires):
            why = f"it needs {', '.join(missing)}, not installed here"
        elif getattr(info, "argument", ""):
            why = f"it needs an argument: check_encoder('{info.name}:<{info.argument}>')"
        if not why:
            try:
                resolve_target(info.target)
            except Exception:  # noqa: BLE001 - the check of the targets says what
                why = "its target cannot be imported: see targets"
        if why:
            return {"": Finding(check=case.check, outcome="inapplicable", detail=why)}
        if case.subject == "source":
            return dict(self._source(info, case.check))
        if case.subject == "encoder":
            return dict(self._encoder(info, case.check))
        return dict(self._algorithm(info, case.check))

    def _source(self, info: TaskSourceInfo, check: str) -> Iterator[tuple[str, Finding]]:
        from metabench.testing.source_checks import (  # noqa: PLC0415 - needs torch
            SourceSubject,
            run_source_check,
        )

        key = ("source", info.name)
        if key not in self._built:
            data = os.environ.get("METABENCH_DATA")
            made = resolve_target(info.target)
            self._built[key] = SourceSubject(info, made, Path(data) if data else None)
        yield "", run_source_check(self._built[key], check)

    def _encoder(self, info: EncoderInfo, check: str) -> Iterator[tuple[str, Finding]]:
        from metabench.leaderboard.audits import Finding  # noqa: PLC0415 - needs pydantic
        from metabench.testing.encoder_checks import (  # noqa: PLC0415 - needs torch
            EncoderSubject,
            run_encoder_check,
        )
        from metabench.testing.inputs import find_sample  # noqa: PLC0415 - needs torch

        for modality in info.modalities:
            key = ("encoder", info.name, modality)
            if key not in self._built:
                try:
                    sample = find_sample(
                        self.plugin.catalogue, modality, self.candidate.distribution
                    )
                except UsageError:
                    raise
                except Exception as error:  # noqa: BLE001 - no examples, nothing to examine
                    self._built[key] = str(error)
                else:
                    self._built[key] = EncoderSubject(info, resolve_target(info.target), sample)
            built = self._built[key]
            if isinstance(built, str):
                yield modality, Finding(check=check, outcome="inapplicable", detail=built)
            else:
                yield modality, run_encoder_check(built, check)

    def _algorithm(self, info: AlgorithmInfo, check: str) -> Iterator[tuple[str, Finding]]:
        from metabench.leaderboard.audits import Finding  # noqa: PLC0415 - needs pydantic
        from metabench.testing.checks import raised  # noqa: PLC0415 - needs torch
        from metabench.testing.kit import findings_on, synthetic_learner  # noqa: PLC0415 - torch

        for kind in info.task_kinds:
            key = ("algorithm", info.name, kind)
            if key not in self._built:
                try:
                    self._built[key] = synthetic_learner(info, resolve_target(info.target), kind)
                except Exception as error:  # noqa: BLE001 - whatever a plugin raises
                    self._built[key] = f"it cannot be built: {raised(error)}"
            built = self._built[key]
            if isinstance(built, str):
                yield kind, Finding(check=check, outcome="violated", detail=built)
            else:
                (finding,) = findings_on(built, [check])
                yield kind, finding


@dataclass(frozen=True)
class Case:
    """One check of one thing that a plugin provides.

    Attributes:
        plugin: The plugin's entry point.
        subject: The kind of thing.
        name: Its name.
        check: The check.
        examination: What the cases of the plugin share.
    """

    plugin: str
    subject: Subject
    name: str
    check: str
    examination: Examination = field(repr=False, compare=False)

    def __str__(self) -> str:
        """Return a name for a test."""
        return f"{self.subject}-{self.name}-{self.check}"

    def examine(self) -> tuple[Remark, ...]:
        """Carry the check out, on each kind of task or modality."""
        return self.examination.examine(self)

    def run(self) -> tuple[Remark, ...]:
        """Carry the check out.

        Returns:
            What was found on each kind of task or modality.

        Raises:
            AssertionError: If it is violated, with why that matters and how to mend it.
        """
        remarks = self.examine()
        if text := complaint(remarks):
            raise AssertionError(text)
        return remarks


def plugin_cases(name: str) -> tuple[Case, ...]:
    """Return every check of a plugin; see `metabench.testing.plugin_checks`."""
    return tuple(case for found in find_plugins(name) for case in Examination(found).cases())


def review_plugin(
    name: str, report: Callable[[Case], object] = lambda _: None
) -> tuple[Review, ...]:
    """Carry out every check of a plugin.

    Args:
        name: The name of its entry point or of its distribution.
        report: Called with each case before it is carried out.

    Returns:
        A review of each of its entry points.

    Raises:
        UsageError: If there is no such plugin.
    """
    reviews = []
    for found in find_plugins(name):
        remarks: list[Remark] = []
        for case in Examination(found).cases():
            report(case)
            remarks += case.examine()
        reviews.append(Review(found.distribution, found.version, found.value, tuple(remarks)))
    return tuple(reviews)
