"""What a user asks for: the flags of ``metabench run``, checked."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator

from metabench.own.data import OwnData
from metabench.runs.suite import NAME, Variant

LISTS = ("domains", "sources", "encoders", "algorithms", "shots", "seeds", "targets")


class RunRequest(OwnData):
    """One run, as asked for; ``None`` and empty lists mean the suite's choice.

    A bare value stands for a list of one: ``shots=1`` for ``shots=[1]``.

    The fields of own data are those of `OwnData`.

    Attributes:
        suite: A suite's name, or the path of its TOML file.
        domains: Domains.
        sources: Sources; those outside the suite get its default protocol.
        encoders: Encoders, with ``:ARGUMENT`` where they take one.
        algorithms: Algorithms; ``("all",)`` is every one that is installed.
        way: Classes per episode.
        shots: Support examples per class.
        queries: Query examples per class.
        episodes: Test episodes.
        seeds: Seeds.
        budget: Meta-training examples.
        device: ``auto`` or a torch device.
        precision: ``fp32`` or ``bf16``.
        jobs: Worker processes; by default one per core.
        executor: ``local`` or ``dask``.
        dask_address: Address of a running Dask scheduler; by default a cluster on this machine.
        timeout: Seconds that a cell may take; 0 sets no limit.
        shard: ``(i, n)``: only the i-th of n parts of the cells, for several machines on one store.
        store: The folder of records.
        leaderboards: The folder of tables; by default below the store.
        data: The data directory.
        variants: Algorithms that are added, by name, as in a suite.
        plugin_env: Plugins whose cells run in other interpreters: these, by the plugin's name.
        disabled: Plugins to leave out.
        strict: Whether a broken plugin ends the run.
    """

    suite: str = "quick"
    domains: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    encoders: tuple[str, ...] = ()
    algorithms: tuple[str, ...] = ()
    way: int | str | None = None
    shots: tuple[int | str, ...] = ()
    queries: int | None = Field(default=None, ge=1)
    episodes: int | None = Field(default=None, ge=1)
    seeds: tuple[Annotated[int, Field(ge=0, lt=2**31)], ...] = ()
    budget: int | None = Field(default=None, ge=0)
    device: str = Field(default="auto", pattern=r"^(auto|cpu|mps|(cuda|xpu|hpu)(:\d+)?)$")
    precision: Literal["fp32", "bf16"] = "fp32"
    jobs: int | None = Field(default=None, ge=1)
    executor: Literal["local", "dask"] = "local"
    dask_address: str = ""
    timeout: float = Field(default=0.0, ge=0, allow_inf_nan=False)
    shard: tuple[int, int] | None = None
    store: Path = Path("results")
    leaderboards: Path | None = None
    data: Path | None = None
    variants: Mapping[Annotated[str, Field(pattern=NAME)], Variant] = Field(default_factory=dict)
    plugin_env: Mapping[str, str] = Field(default_factory=dict)
    disabled: tuple[str, ...] = ()
    strict: bool = False

    @field_validator(*LISTS, "disabled", mode="before")
    @classmethod
    def _listed(cls, values: object) -> object:
        """Take a bare value for a list of one."""
        return (values,) if isinstance(values, str | int) else values

    @field_validator(*LISTS)
    @classmethod
    def _once(cls, values: tuple[Any, ...]) -> tuple[Any, ...]:
        return tuple(dict.fromkeys(values))

    @field_validator("shard")
    @classmethod
    def _check_shard(cls, shard: tuple[int, int] | None) -> tuple[int, int] | None:
        if shard is not None and not 1 <= shard[0] <= shard[1]:
            raise ValueError("a shard is (i, n) with 1 <= i <= n")
        return shard

    @property
    def tables(self) -> Path:
        """The folder of tables."""
        return self.leaderboards if self.leaderboards is not None else self.store / "leaderboards"

    @property
    def protocol_changes(self) -> dict[str, Any]:
        """Protocol settings that the user gave."""
        given = {
            "way": self.way,
            "query": self.queries,
            "episodes": self.episodes,
            "budget": self.budget,
        }
        return {name: value for name, value in given.items() if value is not None}
