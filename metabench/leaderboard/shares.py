"""Tables of a whole store, source by source: only sources whose files have changed are read.

What the tables need of a source is kept in the store's ``cache/tables``, for exactly the files that
it was read from: their names, sizes, inodes and times of change to the nanosecond; for the code
that made it, and for the audits. Sources with damaged records, or with files that were written only
now and could be written again within the same tick of the clock, are read every time.
`metabench leaderboard verify` reads everything and uses nothing of this.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import time
from collections.abc import Collection, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import lru_cache
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import metabench
from metabench.errors import MetabenchError
from metabench.leaderboard.audits import Audit, Audited
from metabench.leaderboard.facts import Facts
from metabench.leaderboard.overall import build_overall
from metabench.leaderboard.prepared import Prepared, prepare
from metabench.leaderboard.resample import Part, Share, part_of
from metabench.leaderboard.shelf import Shelf
from metabench.leaderboard.standing import Standings, order_of
from metabench.leaderboard.statistics import FloatArray
from metabench.leaderboard.summary import Blocks, Json, Summary, restore, summarise
from metabench.runs.record import digest_of
from metabench.runs.spawning import main_not_imported
from metabench.runs.store import Store

if TYPE_CHECKING:
    from metabench.leaderboard.blocks import Block, Learner

TICK_SECONDS = 2.0
"""Files younger than this when they are listed may yet change without a trace."""
MANY = 20_000
"""Files from which several processes read."""


@dataclass(frozen=True)
class _Folder:
    """The files of one source, as they were found.

    Attributes:
        name: The source's name.
        records: Paths of the JSON files.
        files: Number of all files.
        key: SHA-256 of what is known of them without reading them.
        settled: Whether every change from now on would show in ``key``.
    """

    name: str
    records: tuple[str, ...]
    files: int
    key: str
    settled: bool


@dataclass(frozen=True, eq=False)
class _Read:
    """What was read of one source.

    Attributes:
        told: Its share, as `summarise` returns it; ``None`` if a record of another source was
            among its files.
        blocks: The scores.
        damaged: What was wrong with records, one line each.
    """

    told: Json | None
    blocks: list[FloatArray]
    damaged: list[str]


class Shares:
    """The tables of a store.

    Args:
        store: The store.
        audits: Audits of algorithms.
        jobs: Most processes that read; by default as many as there are cores.
    """

    def __init__(self, store: Store, audits: Iterable[Audit] = (), jobs: int | None = None) -> None:
        self._store = store
        self._audits = list(audits)
        self._jobs = jobs or len(os.sched_getaffinity(0))
        self._shelf = Shelf(store.root / "cache" / "tables")
        self._keys: dict[str, str] = {}
        self._settled: set[str] = set()

    def prepare(self) -> Prepared:
        """Reduce every record to tables; damaged ones are in the store's ``quarantined``."""
        folders = _folders(self._store.root / "records", self._made_by())
        if folders is None:
            return self._direct()
        summaries: dict[str, Summary] = {}
        stale = []
        for folder in folders:
            self._keys[folder.name] = folder.key
            found = self._shelf.get(f"{folder.name}.rows", folder.key)
            if found is None:
                stale.append(folder)
            else:
                summaries[folder.name] = restore(found[0], _Lazy(self._shelf, folder))
        for folder, read in self._read(stale):
            if read.told is None:
                return self._direct()
            self._store.quarantined += read.damaged
            blocks = read.blocks
            if folder.settled and not read.damaged:
                self._settled.add(folder.name)
                self._shelf.put(f"{folder.name}.scores", folder.key, None, blocks)
                self._shelf.put(f"{folder.name}.rows", folder.key, read.told, [])
            summaries[folder.name] = restore(read.told, _Lazy(self._shelf, folder, blocks))
        self._settled |= {folder.name for folder in folders if folder not in stale}
        return self._together([summaries[folder.name] for folder in folders])

    def _together(self, summaries: Sequence[Summary]) -> Prepared:
        standings = [standing for one in summaries for standing in one.standings]
        messages = {message for one in summaries for message in one.messages}
        facts = Facts()
        for one in summaries:
            facts.merge(one.facts)
        codes = dict.fromkeys(code for one in summaries for code in one.codes)
        tables = Standings(tuple(sorted(standings, key=order_of)), tuple(sorted(messages)))
        return Prepared(
            tables=tables,
            overall=build_overall(tables, self._part),
            audits=tuple(Audited(self._audits).of_codes(codes)),
            facts=facts,
        )

    def _direct(self) -> Prepared:
        """Read everything at once: some record lies where it is not looked for."""
        return prepare(self._store.scan_scored(), self._audits)

    def _read(self, folders: Sequence[_Folder]) -> Iterator[tuple[_Folder, _Read]]:
        work = [(self._store, folder, self._audits) for folder in folders]
        jobs = min(self._jobs, len(folders))
        if jobs < 2 or sum(folder.files for folder in folders) < MANY:  # noqa: PLR2004 - alone
            yield from zip(folders, map(_read, work), strict=True)
            return
        try:
            with main_not_imported(), ProcessPoolExecutor(jobs, get_context("spawn")) as pool:
                with _one_thread():  # its processes are started now
                    found = pool.map(_read, work)
                yield from zip(folders, found, strict=True)
        except BrokenProcessPool as error:
            raise MetabenchError(
                "a process that read records was killed, perhaps for want of memory; "
                "build again with --jobs 1"
            ) from error

    def _part(
        self, name: tuple[str, str], blocks: Sequence[Block], among: Collection[Learner]
    ) -> Part:
        """Resample a source, or remember what came of it; see `resample.Remember`."""
        source = name[1]
        present = {learner for block in blocks for learner in block.entries}
        key = digest_of([
            self._keys.get(source, ""),
            sorted(present & set(among)),
            [[*map(str, vars(b.key).values()), b.policy, b.encoder, b.common] for b in blocks],
        ])  # fmt: skip
        file = f"{source}.part"
        if (found := self._shelf.get(file, key)) is not None:
            return _restored(found)
        part = part_of(blocks, among)
        if source in self._settled:
            self._shelf.put(file, key, *_kept(part))
        return part

    def _made_by(self) -> str:
        audits = [audit.model_dump(mode="json") for audit in self._audits]
        return digest_of([_code(), np.__version__, audits])


class _Lazy:
    """The scores of a source, read when they are asked for, if they are not at hand."""

    def __init__(self, shelf: Shelf, folder: _Folder, blocks: Blocks | None = None) -> None:
        self._shelf, self._folder, self._blocks = shelf, folder, blocks

    def __call__(self) -> Blocks:
        if self._blocks is None:
            found = self._shelf.get(f"{self._folder.name}.scores", self._folder.key)
            if found is None:
                raise MetabenchError(
                    f"the cache of {self._folder.name} was changed while it was read; build again"
                )
            self._blocks = found[1]
        return self._blocks


@contextlib.contextmanager
def _one_thread() -> Iterator[None]:
    """Let processes that are started meanwhile compute on one thread: there is one per core."""
    before = {name: os.environ.get(name) for name in _THREADS}
    os.environ.update(dict.fromkeys(_THREADS, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


def _read(work: tuple[Store, _Folder, list[Audit]]) -> _Read:
    store, folder, audits = work
    opened = Store(store.root, only_read=store.only_read)
    paths = map(Path, folder.records)
    scored = [found for path in paths if (found := opened.read(path)) is not None]
    if any(one.record.cell.source != folder.name for one in scored):
        return _Read(None, [], [])
    return _Read(*summarise(scored, Audited(audits)), opened.quarantined)


def _folders(records: Path, made_by: str) -> list[_Folder] | None:
    """List the sources; ``None`` if a record lies beside their folders."""
    found = []
    for entry in sorted(os.scandir(records), key=lambda one: one.name):
        if entry.is_dir(follow_symlinks=False):
            found.append(_folder(entry, made_by))
        elif entry.name.endswith(".json") or entry.is_dir():
            return None
    return found


def _folder(entry: os.DirEntry[str], made_by: str) -> _Folder:
    listed, records = [], []
    newest = 0
    now = time.time_ns()
    for path, stat in _files(entry.path):
        newest = max(newest, stat.st_mtime_ns, stat.st_ctime_ns)
        listed.append(f"{path} {stat.st_size} {stat.st_ino} {stat.st_mtime_ns} {stat.st_ctime_ns}")
        if path.endswith(".json"):
            records.append(path)
    text = "\n".join([made_by, *sorted(listed)])
    return _Folder(
        name=entry.name,
        records=tuple(sorted(records)),
        files=len(listed),
        key=hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest(),
        settled=newest < now - TICK_SECONDS * 1e9,
    )


def _files(folder: str) -> Iterator[tuple[str, os.stat_result]]:
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                yield from _files(entry.path)
            else:
                yield entry.path, entry.stat(follow_symlinks=True)


@lru_cache(maxsize=1)
def _code() -> str:
    """Digest of the code that makes tables of records: this package, and what reads records."""
    here = Path(__file__).parent
    reading = [here.parent / "runs" / f"{name}.py" for name in _READING]
    digest = hashlib.sha256(metabench.__version__.encode())
    for path in [*sorted(here.glob("*.py")), *reading]:
        digest.update(path.read_bytes())
    return digest.hexdigest()


_READING = ("record", "store", "archive", "migrate")


def _kept(part: Part) -> tuple[Any, list[FloatArray]]:
    shares = [*part.scores.values(), *part.ranks.values()]
    value = {
        "scores": [[*name, one.rows, one.value] for name, one in part.scores.items()],
        "ranks": [[*name, one.rows, one.value] for name, one in part.ranks.items()],
        "fixed": sorted(part.fixed),
        "unscaled": sorted(part.unscaled),
    }
    return value, [np.stack([one.replicates for one in shares])] if shares else []


def _restored(found: tuple[Any, list[FloatArray]]) -> Part:
    value, arrays = found
    sums = iter(arrays[0] if arrays else ())
    part = Part(fixed=set(map(tuple, value["fixed"])), unscaled=set(map(tuple, value["unscaled"])))
    for told, shares in ((value["scores"], part.scores), (value["ranks"], part.ranks)):
        for policy, algorithm, rows, total in told:
            shares[policy, algorithm] = Share(rows, total, next(sums))
    return part
