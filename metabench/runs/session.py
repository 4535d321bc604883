"""What planning and running start from: the request, the plugins, the store, the executor."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from metabench.errors import UsageError
from metabench.own.data import OwnData
from metabench.registry.catalogue import Catalogue
from metabench.registry.discovery import load_plugins
from metabench.runs.jobs import Executor, Job, Outcome, Progress
from metabench.runs.plan import Draft, Knowledge, Planned
from metabench.runs.protocol import Protocol
from metabench.runs.record import Record
from metabench.runs.request import RunRequest
from metabench.runs.store import Store
from metabench.runs.suite import find_suite
from metabench.runs.tasks import Place, Prepared, encoder_index, read_prepared, source_index

REQUEST_FILE = "run.json"
DEFAULT_WAY, DEFAULT_QUERY = (Protocol.model_fields[name].default for name in ("way", "query"))


@dataclass
class Session:
    """A request, the installed plugins and the store, ready to plan.

    Attributes:
        request: What was asked for, own data among its sources.
        catalogue: What is installed, and the own data.
        store: The store.
        place: Where workers read and write.
        own: The name of the own data as a source, if there are any.
        said: What was recognised of them.
    """

    request: RunRequest
    catalogue: Catalogue
    store: Store
    place: Place
    own: str = ""
    said: tuple[str, ...] = ()

    @classmethod
    def start(cls, request: RunRequest, *, only_read: bool = False) -> Session:
        """Load the plugins and check the request's folders.

        Args:
            request: What was asked for.
            only_read: Whether the store is left as it is.

        Raises:
            UsageError: If the data directory does not exist, an output folder is a file, or own
                data cannot be used.
        """
        if request.data is not None and not request.data.is_dir():
            raise UsageError(
                f"--data {str(request.data)!r} is no folder; it may come from METABENCH_DATA"
            )
        for flag, folder in (("--store", request.store), ("--leaderboards", request.tables)):
            if folder.exists() and not folder.is_dir():
                raise UsageError(f"{flag} {str(folder)!r} is a file; name a folder")
        if request.executor == "dask" and request.timeout:
            raise UsageError("--timeout needs --executor local; give the limit to Dask instead")
        if request.executor == "dask" and request.plugin_env:
            raise UsageError("--plugin-env needs --executor local: Dask's workers are its own")
        catalogue = load_plugins(
            disabled=request.disabled, strict=request.strict, environments=request.plugin_env
        )
        place = Place(
            store=request.store.resolve(),
            data=request.data.resolve() if request.data is not None else None,
            device=request.device,
            precision=request.precision,
        )
        session = cls(request, catalogue, Store(place.store, only_read=only_read), place)
        own = request.own
        return session if own is None else session.with_own(own)

    def with_own(self, own: OwnData) -> Session:
        """Put own data among the sources.

        Args:
            own: What the user names.

        Raises:
            MetabenchError: If they cannot be used.
        """
        from metabench.own.describe import Wanted, describe  # noqa: PLC0415 - only for own data

        request = self.request
        suite = find_suite(request.suite)
        wanted = Wanted(
            suite=suite.name,
            shots=request.shots or suite.shots,
            way=suite.protocol.get("way", DEFAULT_WAY),
            query=suite.protocol.get("query", DEFAULT_QUERY),
        )
        described = describe(own, self.catalogue, wanted)
        return replace(
            self,
            request=request.model_copy(
                update={**dict(own), "sources": (*request.sources, described.name)}
            ),
            catalogue=described.catalogue,
            own=described.name,
            said=described.said,
        )

    @property
    def asked(self) -> RunRequest:
        """The request as it can be carried out again, from any folder."""
        sources = tuple(name for name in self.request.sources if name != self.own)
        return self.request.model_copy(update={"sources": sources})

    def known(self, drafts: Sequence[Draft]) -> Knowledge:
        """Collect what the cache tells of the drafts' sources and encoders."""
        knowledge = Knowledge()
        for draft in drafts:
            if draft.verdict is not None:
                continue
            index = source_index(self.place.store, draft.source, self.place.data)
            source = knowledge.sources.get(draft.source.name) or read_prepared(index)
            if not isinstance(source, Prepared):
                continue
            knowledge.sources[draft.source.name] = source
            if draft.encoder is None:
                continue
            names = draft.source.name, draft.encoder.name
            path = encoder_index(self.place.store, draft.encoder, source.digest)
            encoder = knowledge.encoders.get(names) or read_prepared(path)
            if isinstance(encoder, Prepared):
                knowledge.encoders[names] = encoder
        return knowledge

    @property
    def workers(self) -> int:
        """How many workers the request allows; by default one per core that this process has."""
        return self.request.jobs or len(os.sched_getaffinity(0))

    def executor(self, open_cells: int) -> Executor:
        """Return the executor that the request names."""
        request, workers = self.request, self.workers
        if request.executor == "dask":
            from metabench.runs.dask import DaskExecutor  # noqa: PLC0415 - an optional extra

            return DaskExecutor(request.dask_address, workers)
        from metabench.runs.local import LocalExecutor  # noqa: PLC0415 - only if cells are open

        return LocalExecutor(min(workers, max(open_cells, 1)), timeout=request.timeout)


class LazyExecutor:
    """Starts workers when the first job needs one: a run with nothing to do starts none."""

    def __init__(self, make: Callable[[], Executor]) -> None:
        self._make = make
        self._made: Executor | None = None

    def outcomes(self, jobs: Sequence[Job]) -> Iterator[Outcome | None]:
        """Carry out jobs, if there are any."""
        if jobs:
            if self._made is None:
                self._made = self._make()
            yield from self._made.outcomes(jobs)

    def active(self) -> list[Progress]:
        """Return what the running jobs said last."""
        return self._made.active() if self._made is not None else []

    def close(self) -> None:
        """End the workers, if any were started."""
        if self._made is not None:
            self._made.close()


def is_answer(record: Record | None) -> bool:
    """Whether a record settles its cell; other states are tried again in the next run."""
    return record is not None and record.status in {"ok", "inapplicable"}


def settled(plan: Planned, found: Record | None) -> bool:
    """Whether the store answers a planned cell.

    Scores count although the cell could not be carried out now, because a module is missing, say.
    """
    if found is None:
        return False
    if plan.verdict is None:
        return is_answer(found)
    return found.status == "ok" and plan.verdict.status != "inapplicable"


def shard_of(drafts: list[Draft], shard: tuple[int, int] | None) -> list[Draft]:
    """Take one part of the cells; cells that share a checkpoint stay together."""
    if shard is None:
        return drafts
    number, count = shard
    mine = set(sorted({_shared(draft) for draft in drafts})[number - 1 :: count])
    return [draft for draft in drafts if _shared(draft) in mine]


def _shared(draft: Draft) -> tuple[str, str, int]:
    return draft.source.name, draft.encoder.name if draft.encoder else "", draft.seed
