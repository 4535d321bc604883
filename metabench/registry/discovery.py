"""Discovery: every installed plugin, each loaded on its own, and one catalogue of what works."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, cast

import metabench
from metabench.errors import MetabenchError
from metabench.hookspecs import MetricInfo, TaskSourceInfo
from metabench.registry.candidates import (
    CORE,
    Candidate,
    find_candidates,
    normalised,
    switched_on,
)
from metabench.registry.catalogue import Catalogue, Entry, Kind, Problem
from metabench.registry.conflicts import Settlement, distinct_plugins, settle
from metabench.registry.loading import Provision, load

BUILTIN = "metabench.learners.builtin"


def load_plugins(
    *,
    disabled: Iterable[str] = (),
    strict: bool = False,
    environments: Mapping[str, str] | None = None,
) -> Catalogue:
    """Find and load every plugin.

    A plugin that is broken in any way is left out as a whole and reported in one line; a name that
    several plugins claim is settled as `metabench.registry.conflicts` says.

    Args:
        disabled: Plugins to leave out, by the name of the distribution or of its entry point.
        strict: Raise instead of leaving anything out; notices are no reason to.
        environments: Plugins that are taken from other interpreters: these, or the folders of their
            virtual environments, by the name of the distribution or of its entry point.

    Returns:
        What the plugins provide, and everything that was left out.

    Raises:
        UsageError: If a name in ``disabled`` is not that of an installed plugin, or another
            interpreter has not what it should.
        MetabenchError: If ``strict`` and anything was left out; one line for each.
    """
    candidates, problems = find_candidates()
    elsewhere, faults = _elsewhere(environments or {})
    problems += faults
    replaced = {normalised(name) for name in environments or {}}
    candidates = [one for one in candidates if not one.answers_to(replaced)] + list(elsewhere)
    wanted, missing = switched_on(candidates, tuple(disabled))
    distinct, clashing = distinct_plugins(wanted)
    problems += missing + clashing
    core = Candidate(CORE, BUILTIN, CORE, metabench.__version__)
    provisions: list[Provision] = []
    for candidate in (core, *distinct):
        outcome = elsewhere.get(candidate) or load(candidate)
        if isinstance(outcome, Problem):
            problems.append(outcome)
        else:
            provisions.append(outcome)
            problems += outcome.notices
    settlement = settle(provisions)
    problems += settlement.problems + _leave_out_unscored(settlement)
    if strict and (left_out := [problem for problem in problems if not problem.notice]):
        raise MetabenchError("\n".join(map(str, left_out)))
    return _catalogue(provisions, settlement, problems)


def _elsewhere(
    environments: Mapping[str, str],
) -> tuple[dict[Candidate, Provision], list[Problem]]:
    """Ask other interpreters for plugins."""
    if not environments:
        return {}, []
    from metabench.registry.elsewhere import plugins_elsewhere  # noqa: PLC0415 - starts processes

    asked = [plugins_elsewhere(name, python) for name, python in environments.items()]
    provisions = {provision.candidate: provision for found, _ in asked for provision in found}
    return provisions, [problem for _, problems in asked for problem in problems]


def _leave_out_unscored(settlement: Settlement) -> list[Problem]:
    """Take back the sources whose metric nobody provides or which it does not apply to."""
    problems = []
    for (kind, name), (info, plugin) in list(settlement.granted.items()):
        if not isinstance(info, TaskSourceInfo):
            continue
        for wanted in (info.metric, *info.other_metrics):
            metric = settlement.granted.get(("metric", wanted))
            if metric is None:
                fault = "which no plugin provides"
            elif info.task_kind not in cast("MetricInfo", metric[0]).task_kinds:
                fault = f"which does not score {info.task_kind} tasks"
            else:
                continue
            problem = plugin.problem(
                f"its source {name!r} is scored by {wanted!r}, {fault}; the source is left out: "
                "`metabench list metrics` shows those there are"
            )
            problems.append(problem)
            settlement.withheld[kind, name] = problem
            del settlement.granted[kind, name]
            break
    return problems


def _catalogue(
    provisions: Iterable[Provision], settlement: Settlement, problems: Iterable[Problem]
) -> Catalogue:
    kept = Counter((candidate, kind) for (kind, _), (_, candidate) in settlement.granted.items())
    by_kind: dict[Kind, dict[str, Entry[Any]]] = {
        "source": {},
        "encoder": {},
        "algorithm": {},
        "metric": {},
        "reader": {},
    }
    for (kind, name), (info, candidate) in settlement.granted.items():
        by_kind[kind][name] = Entry(info, candidate.distribution, candidate.version, candidate.home)
    return Catalogue(
        loaded=tuple(
            provision.loaded(_counts(kept, provision.candidate)) for provision in provisions
        ),
        found_problems=problems,
        sources=by_kind["source"],
        encoders=by_kind["encoder"],
        algorithms=by_kind["algorithm"],
        metrics=by_kind["metric"],
        readers=by_kind["reader"],
        withheld=settlement.withheld,
    )


def _counts(kept: Mapping[tuple[Candidate, Kind], int], candidate: Candidate) -> Mapping[Kind, int]:
    return Counter({kind: number for (owner, kind), number in kept.items() if owner == candidate})
