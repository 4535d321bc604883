"""Loading one plugin on its own: import it, check its hooks, collect what it provides.

A plugin that fails in any step contributes nothing: it has its own plugin manager, which is thrown
away. Pluggy's ``load_setuptools_entrypoints`` isolates nothing and is not used.
"""

from __future__ import annotations

import difflib
import functools
import importlib.metadata
import itertools
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pluggy

from metabench import hookspecs
from metabench.hookspecs import (
    AlgorithmInfo,
    Descriptor,
    EncoderInfo,
    MetricInfo,
    ReaderInfo,
    TaskSourceInfo,
)
from metabench.registry.candidates import GROUP, Candidate
from metabench.registry.catalogue import (
    OBSERVERS,
    Kind,
    LoadedPlugin,
    PluginInfo,
    Problem,
    describe_exception,
    one_line,
)
from metabench.registry.checks import descriptor_faults
from metabench.registry.contract import api_fault, deprecated_fields, import_hint
from metabench.registry.quiet import announced, stdout_to_stderr

HOOKS: Mapping[str, tuple[Kind, type[Descriptor]]] = {
    "metabench_task_sources": ("source", TaskSourceInfo),
    "metabench_encoders": ("encoder", EncoderInfo),
    "metabench_algorithms": ("algorithm", AlgorithmInfo),
    "metabench_metrics": ("metric", MetricInfo),
    "metabench_readers": ("reader", ReaderInfo),
}
KNOWN_HOOKS = (*HOOKS, *OBSERVERS)
MAX_DESCRIPTORS = 10_000
SLOW_IMPORT = 2.0
"""Seconds after which a plugin that is still being imported is named."""


class _FaultError(Exception):
    """What is wrong with a plugin, and optionally what to do."""

    def __init__(self, fault: str, *remedy: str) -> None:
        super().__init__(fault)
        self.remedy = remedy


@dataclass(frozen=True)
class Provision:
    """What one plugin provides, checked but not yet compared with other plugins.

    Attributes:
        candidate: Where the plugin comes from.
        hooks: A manager with this plugin alone.
        descriptors: What it yields, by kind.
        notices: What its users should know, a slow import or what will be removed, once each.
    """

    candidate: Candidate
    hooks: pluggy.PluginManager
    descriptors: Mapping[Kind, tuple[Descriptor, ...]]
    notices: tuple[Problem, ...] = ()

    def loaded(self, kept: Mapping[Kind, int]) -> LoadedPlugin:
        """Describe the plugin with the numbers of descriptors that were kept."""
        provides = {f"{kind}s": kept[kind] for kind in self.descriptors}
        implemented = [getattr(self.hooks.hook, hook).get_hookimpls() for hook in OBSERVERS]
        provides["observers"] = sum(map(bool, implemented))
        info = PluginInfo(
            self.candidate.name,
            self.candidate.distribution,
            self.candidate.version,
            self.candidate.value,
            provides,
        )
        return LoadedPlugin(info, self.hooks)


def load(candidate: Candidate) -> Provision | Problem:
    """Load one plugin.

    What the plugin prints goes to stderr, because stdout belongs to the command's result.

    Args:
        candidate: Its entry point.

    Returns:
        What it provides, or the one line that says why it is left out.
    """
    notices: list[str] = []
    try:
        with stdout_to_stderr():
            plugin = _import(candidate, notices)
            _check_api(plugin)
            hooks = _staged(plugin, candidate, notices)
            descriptors = {
                kind: tuple(_collect(hooks, hook, expected))
                for hook, (kind, expected) in HOOKS.items()
            }
            for kind, infos in descriptors.items():
                _check_descriptors(kind, infos)
                notices += [note for info in infos for note in deprecated_fields(info)]
    except _FaultError as fault:
        return candidate.left_out(str(fault), *fault.remedy)
    once = tuple(candidate.notice(one_line(notice)) for notice in dict.fromkeys(notices))
    return Provision(candidate, hooks, descriptors, once)


def _guarded(action: str, function: Callable[[], Any]) -> Any:
    try:
        return function()
    except (KeyboardInterrupt, _FaultError):
        raise
    except BaseException as error:
        reason = describe_exception(error)
        raise _FaultError(f"{action} failed ({reason}){import_hint(error)}") from error


def _import(candidate: Candidate, notices: list[str]) -> Any:
    """Import the entry point; whoever waits, or stops waiting, is told for what."""
    point = importlib.metadata.EntryPoint(candidate.name, candidate.value, GROUP)
    skip = f"-p no:{candidate.name} or METABENCH_DISABLE_PLUGINS={candidate.name} leaves it out"
    waiting = f"metabench: importing the plugin {candidate.label} takes long; {skip}"
    started = time.perf_counter()
    try:
        with announced(waiting, SLOW_IMPORT):
            plugin = _guarded(f"importing {candidate.value}", point.load)
    except KeyboardInterrupt as error:
        error.add_note(f"while the plugin {candidate.label} was imported; {skip}")
        raise
    seconds = time.perf_counter() - started
    if seconds > SLOW_IMPORT:
        notices.append(
            f"importing {candidate.value} took {seconds:.1f} seconds, and every command waits for "
            f"that: what is heavy belongs into the modules of its targets; {skip}"
        )
    return plugin


def _check_api(plugin: Any) -> None:
    wrong = _guarded("reading its metabench_api", lambda: api_fault(plugin))
    if wrong:
        raise _FaultError(*wrong)


def _staged(plugin: Any, candidate: Candidate, notices: list[str]) -> pluggy.PluginManager:
    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            manager.register(plugin, candidate.name)
    except pluggy.PluginValidationError as error:
        reason = one_line(str(error).split("\n", 1)[-1])
        raise _FaultError(f"its hooks do not fit the specification ({reason})") from error
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        raise _FaultError(f"registering it failed ({describe_exception(error)})") from error
    notices += [str(warning.message) for warning in caught]
    callers = manager.get_hookcallers(plugin) or []
    for caller in callers:
        for implementation in caller.get_hookimpls():
            _check_hook(caller, implementation)
    _check_unmarked(plugin, {caller.name for caller in callers})
    if not callers:
        raise _FaultError(
            f"{candidate.value} implements no hook",
            "mark its functions with metabench.hookspecs.hookimpl",
        )
    return manager


def _check_hook(caller: pluggy.HookCaller, implementation: pluggy.HookImpl) -> None:
    if not caller.has_spec():
        if implementation.optionalhook:
            return
        near = difflib.get_close_matches(caller.name, KNOWN_HOOKS, n=1)
        hint = f"did you mean {near[0]}?" if near else "hooks are " + ", ".join(KNOWN_HOOKS)
        raise _FaultError(f"it implements {caller.name}, which is no hook; {hint}")
    if implementation.wrapper or implementation.hookwrapper:
        raise _FaultError(
            f"its {caller.name} is a wrapper, and every plugin is called on its own",
            "remove wrapper=True",
        )
    if implementation.kwargnames:
        names = ", ".join(implementation.kwargnames)
        raise _FaultError(
            f"its {caller.name} gives {names} a default, so pluggy would never pass a value",
            "remove the default",
        )


def _check_unmarked(plugin: Any, implemented: set[str]) -> None:
    for hook in KNOWN_HOOKS:
        if hook not in implemented and callable(getattr(plugin, hook, None)):
            raise _FaultError(
                f"its {hook} is not marked as a hook implementation",
                "decorate it with metabench.hookspecs.hookimpl",
            )


def _collect(
    manager: pluggy.PluginManager, hook: str, expected: type[Descriptor]
) -> Iterator[Descriptor]:
    caller = getattr(manager.hook, hook)
    if not caller.get_hookimpls():
        return
    wanted = f"an iterable of {expected.__name__}"

    def call() -> list[Any]:
        results = caller()
        if not results:  # pluggy drops None
            raise _FaultError(f"its {hook} returned None, not {wanted}")
        result = results[0]
        if isinstance(result, str | bytes) or not isinstance(result, Iterable):
            raise _FaultError(f"its {hook} returned {type(result).__name__}, not {wanted}")
        return list(itertools.islice(result, MAX_DESCRIPTORS + 1))

    infos = _guarded(f"its {hook}", call)
    if len(infos) > MAX_DESCRIPTORS:
        raise _FaultError(f"its {hook} yields more than {MAX_DESCRIPTORS} descriptors")
    for info in infos:
        if not isinstance(info, expected):
            raise _FaultError(f"its {hook} yielded {type(info).__name__}, not {expected.__name__}")
        yield info


def _check_descriptors(kind: Kind, infos: tuple[Descriptor, ...]) -> None:
    seen: set[str] = set()
    for info in infos:
        faults = _guarded(
            f"checking its {kind} descriptors", functools.partial(descriptor_faults, info)
        )
        if faults:
            raise _FaultError(one_line(f"its {kind} {info.name!r} is not valid: {faults[0]}"))
        if info.name in seen:
            raise _FaultError(f"it yields the {kind} {info.name!r} twice", "rename one of the two")
        seen.add(info.name)
