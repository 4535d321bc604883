"""What the plugins provide: the result of discovery, by kind and name."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar

from metabench.errors import UsageError, unknown_name
from metabench.hookspecs import (
    AlgorithmInfo,
    ChosenInfo,
    Descriptor,
    EncoderInfo,
    MetricInfo,
    ReaderInfo,
    TaskSourceInfo,
)
from metabench.registry.home import HERE, Home
from metabench.registry.quiet import stdout_to_stderr

if TYPE_CHECKING:
    from pluggy import PluginManager

D_co = TypeVar("D_co", bound=Descriptor, covariant=True)
C_co = TypeVar("C_co", bound=ChosenInfo, covariant=True)

Kind = Literal["source", "encoder", "algorithm", "metric", "reader"]

OBSERVERS = ("metabench_run_started", "metabench_cell_finished", "metabench_run_finished")

MAX_DETAIL = 300


def one_line(text: object) -> str:
    """Squeeze any text into one short printable line."""
    squeezed = " ".join(str(text).split())
    printable = "".join(c if c.isprintable() else "?" for c in squeezed)
    return printable if len(printable) <= MAX_DETAIL else printable[: MAX_DETAIL - 1] + "…"


def describe_exception(error: BaseException) -> str:
    """Return an exception's type and message on one line."""
    message = one_line(error)
    return f"{type(error).__name__}: {message}" if message else type(error).__name__


@dataclass(frozen=True)
class Entry(Generic[D_co]):
    """One thing that a plugin provides.

    Attributes:
        info: Its descriptor.
        plugin: The distribution that provides it.
        version: The version of that distribution.
        home: The installation that it is part of.
    """

    info: D_co
    plugin: str
    version: str
    home: Home = HERE


@dataclass(frozen=True)
class PluginInfo:
    """A plugin that was loaded.

    Attributes:
        name: Its entry-point name.
        distribution: The distribution that it comes from.
        version: The version of that distribution.
        module: The entry point's value, such as ``my_package.plugin``.
        provides: How many sources, encoders, algorithms, metrics and readers it adds, and which
            observers it implements, by plural kind.
    """

    name: str
    distribution: str
    version: str
    module: str
    provides: Mapping[str, int]


@dataclass(frozen=True)
class Problem:
    """Something that was left out, and why; or a notice, where nothing was.

    Attributes:
        plugin: The distribution at fault.
        version: Its version.
        message: What is wrong and what to do, on one line.
        notice: Whether nothing was left out: the plugin is slow, or uses what will be removed.
    """

    plugin: str
    version: str
    message: str
    notice: bool = False

    def __str__(self) -> str:
        """Return the one line that is reported."""
        return f"plugin {self.plugin} {self.version}: {self.message}"


@dataclass(frozen=True)
class LoadedPlugin:
    """A plugin with the manager that calls its hooks, and its alone."""

    info: PluginInfo
    hooks: PluginManager


def _print_problem(problem: Problem) -> None:
    print(f"metabench: warning: {problem}", file=sys.stderr)  # noqa: T201 - the last resort


@dataclass
class Catalogue:
    """Everything that can be asked for by name; every mapping is sorted by name.

    Attributes:
        loaded: The plugins with their hooks, in order of distribution and name.
        sources: The task sources.
        encoders: The encoders.
        algorithms: The algorithms.
        metrics: The metrics.
        readers: How users' own items become inputs.
        withheld: Why a name that several plugins claim is left out, by kind and name.
        on_problem: Gets the problem when an observer raises; by default it is printed to stderr.
    """

    loaded: tuple[LoadedPlugin, ...] = ()
    found_problems: Iterable[Problem] = ()
    sources: Mapping[str, Entry[TaskSourceInfo]] = field(default_factory=dict)
    encoders: Mapping[str, Entry[EncoderInfo]] = field(default_factory=dict)
    algorithms: Mapping[str, Entry[AlgorithmInfo]] = field(default_factory=dict)
    metrics: Mapping[str, Entry[MetricInfo]] = field(default_factory=dict)
    readers: Mapping[str, Entry[ReaderInfo]] = field(default_factory=dict)
    withheld: Mapping[tuple[Kind, str], Problem] = field(default_factory=dict)
    on_problem: Callable[[Problem], None] = _print_problem

    def __post_init__(self) -> None:
        """Sort and freeze the mappings."""
        self._problems = list(self.found_problems)
        self._silenced: set[tuple[str, str, str]] = set()
        self.sources = _sorted(self.sources)
        self.encoders = _sorted(self.encoders)
        self.algorithms = _sorted(self.algorithms)
        self.metrics = _sorted(self.metrics)
        self.readers = _sorted(self.readers)

    @property
    def plugins(self) -> tuple[PluginInfo, ...]:
        """The plugins that were loaded, metabench's own included."""
        return tuple(plugin.info for plugin in self.loaded)

    @property
    def problems(self) -> tuple[Problem, ...]:
        """What was left out, notices, and every observer that raised so far."""
        return tuple(self._problems)

    @property
    def domains(self) -> tuple[str, ...]:
        """The domains that have a source, sorted."""
        return tuple(sorted({entry.info.domain for entry in self.sources.values()}))

    def source(self, name: str) -> Entry[TaskSourceInfo]:
        """Look up a task source.

        Args:
            name: Its name.

        Returns:
            Its entry.

        Raises:
            UsageError: If there is none, with the nearest names.
        """
        return self._look_up("source", name, self.sources)

    def encoder(self, name: str) -> Entry[EncoderInfo]:
        """Look up an encoder.

        Args:
            name: Its name, or ``name:ARGUMENT`` for an encoder that takes an argument.

        Returns:
            Its entry.

        Raises:
            UsageError: If there is none, or its argument is missing or superfluous.
        """
        return self._complete("encoder", name, self.encoders)

    def algorithm(self, name: str) -> Entry[AlgorithmInfo]:
        """Look up an algorithm.

        Args:
            name: Its name, or ``name:ARGUMENT`` for an algorithm that takes an argument.

        Returns:
            Its entry.

        Raises:
            UsageError: If there is none, or its argument is missing or superfluous.
        """
        return self._complete("algorithm", name, self.algorithms)

    def metric(self, name: str) -> Entry[MetricInfo]:
        """Look up a metric.

        Args:
            name: Its name.

        Returns:
            Its entry.

        Raises:
            UsageError: If there is none, with the nearest names.
        """
        return self._look_up("metric", name, self.metrics)

    def reader(self, name: str) -> Entry[ReaderInfo]:
        """Look up a reader.

        Args:
            name: Its name.

        Returns:
            Its entry.

        Raises:
            UsageError: If there is none, with the nearest names.
        """
        return self._look_up("reader", name, self.readers)

    def _complete(self, kind: Kind, name: str, entries: Mapping[str, Entry[C_co]]) -> Entry[C_co]:
        """Look up what may be completed by an argument."""
        base, colon, argument = name.partition(":")
        entry = self._look_up(kind, base, entries)
        if entry.info.argument and not argument:
            raise UsageError(f"{kind} {name!r} needs an argument: {base}:<{entry.info.argument}>")
        if colon and not entry.info.argument:
            raise UsageError(f"{kind} {name!r}: {base} takes no argument; write {base}")
        return entry

    def _look_up(self, kind: Kind, name: str, entries: Mapping[str, Entry[D_co]]) -> Entry[D_co]:
        if name in entries:
            return entries[name]
        if problem := self.withheld.get((kind, name)):
            raise UsageError(f"{kind} {name!r} is not available: {problem}")
        raise unknown_name(kind, name, entries)

    def notify(self, hook: str, /, **arguments: Any) -> None:
        """Call an observer hook of every plugin, each on its own.

        One that raises is reported once and called again the next time. What it prints goes to
        stderr, because stdout belongs to the command's result.

        Args:
            hook: The hook's name, such as ``metabench_cell_finished``.
            **arguments: What the hook specification lists.
        """
        if hook not in OBSERVERS:
            raise ValueError(f"{hook} is no observer; those are {', '.join(OBSERVERS)}")
        for plugin in self.loaded:
            try:
                with stdout_to_stderr():
                    getattr(plugin.hooks.hook, hook)(**arguments)
            except KeyboardInterrupt:
                raise
            except BaseException as error:  # noqa: BLE001 - a plugin must not end the run
                self._report_observer(plugin.info, hook, error)

    def _report_observer(self, plugin: PluginInfo, hook: str, error: BaseException) -> None:
        occurrence = (plugin.distribution, plugin.name, hook)
        if occurrence in self._silenced:
            return
        self._silenced.add(occurrence)
        problem = Problem(
            plugin.distribution,
            plugin.version,
            f"its observer {hook} raised {describe_exception(error)}; the run goes on, and this is "
            f"said once; update the plugin or turn it off with -p no:{plugin.name}",
        )
        self._problems.append(problem)
        self.on_problem(problem)


def _sorted(entries: Mapping[str, Entry[D_co]]) -> Mapping[str, Entry[D_co]]:
    return MappingProxyType(dict(sorted(entries.items())))
