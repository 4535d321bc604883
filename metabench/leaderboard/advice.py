"""A recommendation in five lines: what to use, how good it is, what ties, and what would help."""

from __future__ import annotations

from typing import TYPE_CHECKING

from metabench.leaderboard.printed import short_text
from metabench.leaderboard.verdict import what_would

if TYPE_CHECKING:
    from metabench.leaderboard.recommendation import (
        Candidate,
        Expected,
        OtherShot,
        Recommendation,
        Rival,
    )

MOST_NAMES = 3
SHOWN = 5e-4
"""Share of the mean from which what was taken off for luck is worth a word."""
MORE_CLASSES = (
    "more episodes would sharpen this for the same test classes only; of other classes, more "
    "classes and more labelled items tell"
)
NO_MORE = "no more were tried; `--shots` of metabench run takes several numbers"


def in_lines(found: Recommendation) -> tuple[str, ...]:
    """Write a recommendation down.

    Args:
        found: The recommendation.

    Returns:
        Five lines; where nothing can be recommended, why not, and what would change that.
    """
    if found.pick is None or found.expected is None:
        lines = [f"{found.source}: no recommendation: {found.reason}"]
        if found.missing:
            lines.append(_missing(found))
        return tuple(lines)
    return (
        _use(found, found.pick),
        _expect(found, found.expected),
        _ties(found, found.pick),
        _examples(found),
        _surer(found, found.pick, found.expected),
    )


def _use(found: Recommendation, pick: Candidate) -> str:
    text = f"Use      {pick.label} on {found.source}, {_support(found)}"
    best = found.transductive
    if best is not None:
        gain = _size(found, abs(best.estimate.difference))
        sure = "" if best.estimate.settled else ", which is not settled"
        text += (
            f"; where queries come all at once, {best.candidate.label} is {gain} better{sure}"
            " (--transductive)"
        )
    elif not pick.inductive:
        text += "; it needs all queries of a task at once"
    return text


def _support(found: Recommendation) -> str:
    if found.task_kind != "classification":
        return f"with {found.shot} labelled examples"
    each = "example" if found.shot == "1" else "examples"
    return f"with {found.shot} labelled {each} per class"


def _expect(found: Recommendation, expected: Expected) -> str:
    low, high = (_value(found, end) for end in (expected.ci95_low, expected.ci95_high))
    text = (
        f"Expect   {found.metric} {_value(found, expected.mean)}, 95 % interval {low} to {high} "
        f"over {_over(found, expected)}; chance {_value(found, expected.chance)}"
    )
    if expected.optimism is None:
        return f"{text}; too few to tell how much luck is in it"
    if found.compared > 1 and expected.optimism > SHOWN * abs(expected.mean):
        taken = "taken off" if found.higher_is_better else "put on"
        size = _size(found, expected.optimism)
        text += f"; {size} {taken} for being picked among {found.compared}"
    return text


def _over(found: Recommendation, expected: Expected) -> str:
    unit = "tasks" if "tasks" in expected.ci_over else "test episodes"
    number = f"{expected.units:,} {unit}"
    if unit == "test episodes" and found.task_kind == "classification":
        number += f" of {found.way} classes"
    if expected.seeds > 1:
        number = f"{expected.seeds} seeds of {number}"
    return f"{number}, all from the same test classes" if found.same_classes else number


def _ties(found: Recommendation, pick: Candidate) -> str:
    others = [one.label for one in found.tied if one != pick]
    cost = _cost(pick)
    if not others:
        rest = found.compared - 1
        none = f"none of the other {rest} comes" if rest > 1 else "the only other does not come"
        return f"Ties     {none} as near; {cost}"
    named = ", ".join(others[:MOST_NAMES])
    more = f" and {len(others) - MOST_NAMES} more" if len(others) > MOST_NAMES else ""
    text = f"Ties     {len(others)} of {found.compared - 1} cannot be told apart: {named}{more}; "
    if found.leader is not None and found.leader != pick:
        behind = _size(found, abs(found.leader.mean - pick.mean))
        return (
            f"{text}picked as the cheapest within one standard error of the best mean "
            f"({found.leader.label}, {behind} ahead): {cost}"
        )
    return f"{text}picked for the best mean, nothing within its standard error is cheaper: {cost}"


def _cost(pick: Candidate) -> str:
    if pick.train_seconds is None or pick.adapt_ms is None:
        return "its cost is not known"
    training = f"{short_text(pick.train_seconds)} s of training" if pick.train_seconds else ""
    return f"{training or 'no training'}, {short_text(pick.adapt_ms)} ms per task"


def _examples(found: Recommendation) -> str:
    if not found.other_shots:
        return f"Examples what more or fewer would bring is not known: {NO_MORE}"
    parts = [_other(found, one) for one in found.other_shots]
    line = f"Examples {'; '.join(parts)}"
    numbers = [int(one.shot) for one in found.other_shots if one.shot.isdecimal()]
    if found.shot.isdecimal() and numbers and int(found.shot) > max(numbers):
        line += f"; {NO_MORE}"
    return line


def _other(found: Recommendation, one: OtherShot) -> str:
    if one.mean is None or one.change is None:
        return f"with {one.shot}: {one.leader} is best, {_value(found, one.leader_mean)}"
    better = (one.change > 0) == found.higher_is_better
    half = "" if one.change_half is None else f" ± {_size(found, one.change_half)}"
    change = f"{_size(found, abs(one.change))}{half} {'better' if better else 'worse'}"
    text = f"with {one.shot}: {_value(found, one.mean)}, {change}"
    label = found.pick.label if found.pick else ""
    if one.leader != label:
        text += f", best is {one.leader} with {_value(found, one.leader_mean)}"
    return text


def _surer(found: Recommendation, pick: Candidate, expected: Expected) -> str:
    parts = [_against(found, found.rival)] if found.rival is not None else []
    settled = found.rival is not None and found.rival.estimate.settled
    if found.same_classes:
        parts.append(MORE_CLASSES)
    elif settled and expected.ci_over == "episodes":
        parts.append("four times the episodes would halve the interval")
    if expected.seeds == 1 and pick.train_seconds:
        parts.append("what training anew would change, only more seeds tell (--seeds 0,1,2)")
    if found.missing:
        parts.append(_missing(found))
    return f"Surer    {'; '.join(parts)}"


def _against(found: Recommendation, rival: Rival) -> str:
    name, difference = rival.candidate.label, rival.estimate
    if difference.difference == 0:
        return f"it and {name} are equal on all that was tested"
    size = _size(found, abs(difference.difference))
    if difference.settled:
        side = "ahead of" if difference.difference > 0 else "behind"
        return f"{size} {side} {name}, the best of the others, and that is settled"
    side = "ahead of" if difference.difference > 0 else "behind"
    return f"{size} {side} {name}, which is not settled: {what_would(difference)}"


def _missing(found: Recommendation) -> str:
    parts = [f"{who} {status} ({reason})" for status, who, reason in found.missing[:MOST_NAMES]]
    more = len(found.missing) - MOST_NAMES
    return "left out: " + "; ".join(parts) + (f"; {more} more" if more > 0 else "")


def _value(found: Recommendation, value: float) -> str:
    """Write a value of the metric: accuracies in percent."""
    return f"{100 * value:.1f} %" if _in_percent(found) else f"{value:.4g}"


def _size(found: Recommendation, value: float) -> str:
    """Write a difference."""
    return f"{100 * value:.1f} points" if _in_percent(found) else f"{value:.2g}"


def _in_percent(found: Recommendation) -> bool:
    return found.metric.endswith("accuracy")
