"""A row and what the overall table needs of it, however it came about."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from metabench.leaderboard.row import Row
    from metabench.leaderboard.statistics import FloatArray
    from metabench.runs.record import Status


@dataclass(frozen=True)
class BlockKey:
    """What rows must share to be compared with each other.

    Attributes:
        domain: The domain.
        source: The source.
        protocol_digest: What the protocol fixes.
        episodes_digest: Which test episodes were met.
        lengths: How many scores there are per seed.
        metric: The metric's name.
        chance: The metric's value for an uninformed learner.
        best: Its best possible value.
    """

    domain: str
    source: str
    protocol_digest: str
    episodes_digest: str
    lengths: tuple[int, ...]
    metric: str
    chance: float
    best: float


class Standing(Protocol):
    """A row, and what it is compared by."""

    @property
    def row(self) -> Row:
        """The published row."""

    @property
    def block(self) -> BlockKey | None:
        """The rows it is ranked among; ``None`` if it has no number."""

    @property
    def policy(self) -> str:
        """The policy of its encoder: ``trainable``, ``frozen`` or ``none``."""

    @property
    def statuses(self) -> tuple[Status, ...]:
        """How each seed ended."""

    @property
    def cells(self) -> tuple[int, int]:
        """Number of cells with a number, and of cells that count as applicable."""

    @property
    def higher_is_better(self) -> bool:
        """The metric's direction."""

    @property
    def plugins(self) -> tuple[tuple[str, str], ...]:
        """The distributions that provided the algorithm, with their versions."""

    @property
    def scores(self) -> FloatArray | None:
        """``[seeds, units]``, NaN for undefined; ``None`` if the row has no number."""


@dataclass(frozen=True, eq=False)
class Standings:
    """All rows of a run.

    Attributes:
        entries: In the order of the CSV.
        messages: What a reader must know: which rows are ranked apart and why, which records were
            passed over.
    """

    entries: Sequence[Standing]
    messages: tuple[str, ...]

    @property
    def rows(self) -> tuple[Row, ...]:
        """The rows, in the order of the CSV."""
        return tuple(entry.row for entry in self.entries)

    @property
    def domains(self) -> tuple[str, ...]:
        """Every domain, by name."""
        return tuple(sorted({entry.row.domain for entry in self.entries}))

    def of_domain(self, domain: str) -> tuple[Row, ...]:
        """The rows of one domain, in the order of its CSV."""
        return tuple(entry.row for entry in self.entries if entry.row.domain == domain)


def order_of(entry: Standing) -> tuple[object, ...]:
    """Return the key by which the rows of a CSV are sorted."""
    row = entry.row
    gain = 0.0 if row.mean is None else row.mean
    return (
        row.domain,
        row.source,
        row.protocol,
        row.protocol_digest,
        row.mean is None,
        "" if row.mean is None else row.episodes_digest,
        row.rank_low or 0,
        -gain if entry.higher_is_better else gain,
        row.encoder,
        row.algorithm,
    )
