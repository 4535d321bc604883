"""What a recommendation says: plain values, for text and for JSON."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from metabench.leaderboard.estimate import Estimate

TASKS = 1_000
"""How often the learner is thought to adapt once it is trained, when costs are compared."""


@dataclass(frozen=True)
class Candidate:
    """A learner with its encoder, as measured.

    Attributes:
        algorithm: The algorithm.
        encoder: The encoder.
        mean: Its mean, as in the table.
        inductive: Whether each query is predicted from the support alone.
        train_seconds: Time in meta-training.
        adapt_ms: Adaptation and prediction per task.
        cost_seconds: Training once and adapting `TASKS` times; ``None`` if a part is not known.
    """

    algorithm: str
    encoder: str
    mean: float
    inductive: bool
    train_seconds: float | None
    adapt_ms: float | None
    cost_seconds: float | None

    @property
    def cost(self) -> float:
        """The cost to choose by: what is not known counts as the dearest."""
        return math.inf if self.cost_seconds is None else self.cost_seconds

    @property
    def label(self) -> str:
        """Such as ``protonet with conv4``."""
        return f"{self.algorithm} with {self.encoder}"


@dataclass(frozen=True)
class Expected:
    """How good the pick will be on tasks drawn as the test tasks were.

    Episodes of classes are all drawn from one set of test classes and their items. The interval
    says what other draws from these would have shown, and nothing of other classes.

    Attributes:
        mean: Its mean, less the optimism.
        ci95_low: Lower end of its 95 % interval, moved down as well.
        ci95_high: Upper end.
        ci_over: What the interval lets vary.
        observed: Its mean as in the table.
        optimism: What being chosen on these very episodes has added, on average; ``None`` if there
            are too few to tell, and nothing was taken off.
        episodes: Defined test episodes, over all seeds.
        units: Episodes or tasks per seed.
        seeds: Number of seeds.
        chance: The metric's value for an uninformed learner.
    """

    mean: float
    ci95_low: float
    ci95_high: float
    ci_over: str
    observed: float
    optimism: float | None
    episodes: int
    units: int
    seeds: int
    chance: float


@dataclass(frozen=True)
class OtherShot:
    """What another number of labelled examples brings.

    Attributes:
        shot: The number.
        mean: The pick's mean with it; ``None`` if it has none.
        change: The change from the number in question.
        change_half: Half the 95 % interval of the change.
        leader: Whose mean is best there.
        leader_mean: That mean.
    """

    shot: str
    mean: float | None
    change: float | None
    change_half: float | None
    leader: str
    leader_mean: float


@dataclass(frozen=True)
class Rival:
    """The pick against another; positive is good for the pick.

    Attributes:
        candidate: The other one.
        estimate: The difference on the same episodes.
    """

    candidate: Candidate
    estimate: Estimate


@dataclass(frozen=True)
class Recommendation:
    """The answer for one source and one number of labelled examples.

    Attributes:
        domain: The source's domain.
        source: The source.
        task_kind: What is predicted.
        protocol: The protocol's name.
        protocol_digest: SHA-256 of what it fixes.
        way: Classes per test episode.
        shot: Labelled examples per class; of fixed tasks, in all.
        metric: The metric.
        higher_is_better: Its direction.
        pick: What to use; ``None`` if nothing can be recommended.
        reason: Why nothing can be, if so.
        expected: How good the pick will be.
        leader: Whose mean is best.
        tied: All that the tests cannot tell apart from the best, the cheapest first.
        compared: How many were compared.
        rival: The pick against the best of the others.
        transductive: The pick against the best that sees all queries of a task at once, if that is
            better and the pick does not.
        other_shots: Fewer and more labelled examples.
        missing: Status, who and why, of what has no number.
        messages: What else a reader must know.
    """

    domain: str
    source: str
    task_kind: str
    protocol: str
    protocol_digest: str
    way: str
    shot: str
    metric: str
    higher_is_better: bool
    pick: Candidate | None
    reason: str
    expected: Expected | None
    leader: Candidate | None
    tied: tuple[Candidate, ...]
    compared: int
    rival: Rival | None
    transductive: Rival | None
    other_shots: tuple[OtherShot, ...]
    missing: tuple[tuple[str, str, str], ...]
    messages: tuple[str, ...]

    @property
    def same_classes(self) -> bool:
        """Whether what is expected rests on episodes that share their classes and items."""
        over = self.expected.ci_over if self.expected is not None else ""
        return self.task_kind == "classification" and "tasks" not in over

    def __str__(self) -> str:
        """Return the five lines."""
        from metabench.leaderboard.advice import in_lines  # noqa: PLC0415 - it takes this apart

        return "\n".join(in_lines(self))
