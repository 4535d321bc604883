"""What an estimate means, in plain words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from metabench.leaderboard.ranking import SIGNIFICANCE

if TYPE_CHECKING:
    from metabench.leaderboard.estimate import Estimate

FEW_SEEDS = 5
"""With fewer, what more seeds would bring is a rough guess."""

ONE_SEED = (
    "With one seed this holds for the models as trained. What training anew would change, and how "
    "many seeds would settle that, only more seeds can tell: three at least."
)


def in_words(estimate: Estimate, first: str, second: str) -> str:
    """Say what is known, and what would settle what is not.

    Args:
        estimate: The difference.
        first: Who is ahead if it is positive.
        second: The other.

    Returns:
        One line.
    """
    better, worse = (first, second) if estimate.difference > 0 else (second, first)
    if estimate.settled:
        text = f"{better} is better than {worse}"
        if estimate.unit == estimate.wilcoxon_unit and estimate.p_wilcoxon >= SIGNIFICANCE:
            text += f"; the signed-rank test disagrees, so few {estimate.unit} carry the difference"
        return text
    if estimate.ci95_low is None or estimate.ci95_high is None:
        return f"too little to test: two {estimate.wilcoxon_unit} at least are needed"
    if estimate.difference == 0:
        return f"no difference between {first} and {second}"
    largest = max(abs(estimate.ci95_low), abs(estimate.ci95_high))
    return (
        f"not settled: {better} is ahead, the true difference may be 0 or up to {largest:.2g}; "
        f"{what_would(estimate)}"
    )


def what_would(estimate: Estimate) -> str:
    """Say what would settle a difference that is not settled."""
    if estimate.unit == "sources":
        return _enough(estimate.more_sources, "sources like these", estimate.units)
    within = estimate.wilcoxon_unit
    if estimate.seeds == 1:
        return _enough(estimate.more_episodes, within, estimate.units)
    rough = ", a rough guess from so few" if estimate.seeds < FEW_SEEDS else ""
    seeds = _enough(estimate.more_seeds, "seeds", estimate.seeds) + rough
    now = estimate.units // estimate.seeds
    episodes = _enough(estimate.more_episodes, f"{within} per seed", now)
    return f"{seeds}; {episodes}"


def _enough(number: int | None, what: str, now: int) -> str:
    if number is None:
        return f"no number of {what} would settle it"
    return f"about {_about(number)} {what} (now {now}) would settle it"


def _about(number: int) -> str:
    """Two digits, since more would be pretence."""
    unit = 10 ** max(0, len(str(number)) - 2)
    return f"{-(-number // unit) * unit:,}"
