"""The checks: declarations compared with behaviour, each a function of a `Subject`."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from metabench.leaderboard.audits import QUERY_INDEPENDENCE, Finding, Outcome
from metabench.learners.evaluation import scored_batches
from metabench.tasks.sampler import EpisodeBatch, EpisodeSampler
from metabench.testing.balance import measure_balance
from metabench.testing.degenerate import degenerate_episodes
from metabench.testing.names import CHECKS, MEASURED, known_checks
from metabench.testing.subject import TOLERANCE, Subject, difference, examples, some_episodes

ALONE = 8
"""Queries that are also predicted one by one."""
SAME_BITS = 1e-6
"""Largest difference where the arithmetic is the same; some GPUs add in any order."""
SHRINKS = 1e-3
"""What double precision leaves of a difference that is rounding, at most; a leak keeps its size."""
HIDDEN_EPISODES = 8
SEEDS = (0, 1)

Check = Callable[[Subject], Finding]


def query_independence(subject: Subject) -> Finding:
    """Predict queries one by one, in another order and without half of them."""
    count = subject.usual.shape[1]
    alone = torch.linspace(0, count - 1, min(ALONE, count)).long()
    ways = {
        "one by one": [alone[n : n + 1] for n in range(len(alone))],
        "reordered": [torch.arange(count).flip(0)],
        "a subset": [torch.arange(0, count, 2)],
    }
    predict = _predictor(subject)
    together = predict(subject.query)
    shares = {}
    for way, parts in ways.items():
        asked = [examples(subject.query, part.to(subject.support.y.device)) for part in parts]
        try:
            found = torch.cat([predict(few) for few in asked], 1)
        except Exception as error:  # noqa: BLE001 - whatever a plugin raises is the finding
            if subject.inductive:
                detail = f"{way}: {raised(error)}"
                return Finding(check=QUERY_INDEPENDENCE, outcome="violated", detail=detail)
            shares[way] = math.inf  # it needs the statistics of several queries, say
        else:
            shares[way] = difference(found, together[:, torch.cat(parts)], together)
    return _compared(QUERY_INDEPENDENCE, shares, declared=not subject.inductive)


def _predictor(subject: Subject) -> Callable[[Any], Tensor]:
    """Return one adapted predictor, or one that adapts to the queries that it is asked."""
    if subject.inductive:
        return subject.adapt(subject.support, subject.query)
    return lambda asked: subject.scores(subject.support, asked)


def label_permutation(subject: Subject) -> Finding:
    """Rename the classes: the scores should move with the names."""
    if subject.kind == "regression":
        return Finding(check="label-permutation", outcome="inapplicable", detail="no classes")
    support = subject.support
    new = torch.arange(support.way, device=support.y.device).roll(1)
    renamed = replace(support, y=new[support.y])
    found = subject.scores(renamed, subject.query)[..., new.cpu()]
    shares = {"renamed": difference(found, subject.usual)}
    declared = not subject.algorithm.label_equivariant
    return _compared("label-permutation", shares, declared=declared)


def support_permutation(subject: Subject) -> Finding:
    """Reverse and shuffle the support."""
    support = subject.support
    count = support.y.shape[1]
    if count == 1:
        one = "one support example"
        return Finding(check="support-permutation", outcome="inapplicable", detail=one)
    shuffled = torch.randperm(count, generator=torch.Generator().manual_seed(0))
    shares = {}
    for way, order in {"reversed": torch.arange(count).flip(0), "shuffled": shuffled}.items():
        index = order.to(support.y.device)
        moved = replace(support, x=examples(support.x, index), y=support.y[:, index])
        shares[way] = difference(subject.scores(moved, subject.query), subject.usual)
    declared = not subject.algorithm.support_order_free
    return _compared("support-permutation", shares, declared=declared)


def determinism(subject: Subject) -> Finding:
    """Adapt twice from the same state, with torch's generator in the same state."""
    usual, again = subject.usual, subject.again
    value = difference(again, usual)
    if torch.equal(usual, again):
        other = subject.scores(subject.support, subject.query, seed=SEEDS[1])
        drawn = not torch.equal(usual, other)
        detail = "draws from torch's generator, which the core seeds" if drawn else ""
        return Finding(check="determinism", outcome="passed", detail=detail, value=0.0)
    detail = f"the same episodes gave scores that differ by {_share(value)}"
    return Finding(check="determinism", outcome="violated", detail=detail, value=_finite(value))


def unchanged_weights(subject: Subject) -> Finding:
    """Compare every parameter and buffer, bit by bit, before and after adaptation."""
    model = subject.fresh()
    before = _state(model)
    subject.scores(subject.support, subject.query, model=model)
    after = _state(model)
    changed = sorted(n for n in {*before, *after} if before.get(n) != after.get(n))
    if not changed:
        detail = f"{len(before)} tensors"
        return Finding(check="unchanged-weights", outcome="passed", detail=detail, value=0.0)
    detail = f"{len(changed)} of {len(before)} tensors changed, such as {changed[0]}"
    value = float(len(changed))
    return Finding(check="unchanged-weights", outcome="violated", detail=detail, value=value)


def task_independence(subject: Subject) -> Finding:
    """Adapt to an episode after another one, and in a batch of its own."""
    usual, count = subject.usual, len(subject.support.y)
    if count == 1:
        one = "one test episode"
        return Finding(check="task-independence", outcome="inapplicable", detail=one)
    halves = [
        some_episodes(subject.support, subject.query, part)
        for part in (slice(0, count // 2), slice(count // 2, 2 * (count // 2)))
    ]
    remembered = 0.0
    for first, second in (halves, halves[::-1]):
        model = subject.fresh()
        subject.scores(*first, model=model)
        later = subject.scores(*second, model=model)
        remembered = max(remembered, difference(later, subject.scores(*second)))
    single = [
        subject.scores(*some_episodes(subject.support, subject.query, slice(n, n + 1)))
        for n in range(count)
    ]
    batched = difference(torch.cat(single), usual)
    bad = remembered > SAME_BITS or batched > TOLERANCE
    detail = f"after another task {_share(remembered)}, by itself {_share(batched)}"
    return Finding(
        check="task-independence",
        outcome="violated" if bad else "passed",
        detail=f"{detail} of the spread",
        value=_finite(max(remembered, batched)),
    )


def degenerate_support(subject: Subject) -> Finding:
    """Adapt to supports without variance, of duplicates, of constants, without a class."""
    cases = degenerate_episodes(subject)
    faults = []
    for name, (support, query) in cases.items():
        try:
            scores = subject.scores(support, query)
        except Exception as error:  # noqa: BLE001 - whatever a plugin raises is the finding
            faults.append(f"{name}: {raised(error)}")
        else:
            bad = int((~scores.isfinite()).sum())
            faults += [f"{name}: {bad} of {scores.numel()} scores are not finite"] * bool(bad)
    return Finding(
        check="degenerate-support",
        outcome="violated" if faults else "passed",
        detail="; ".join(faults) or ", ".join(cases),
        value=float(len(faults)),
    )


def hidden_targets(subject: Subject) -> Finding:
    """Evaluate with the true and with poisoned query targets: the bits should be the same."""
    count = min(subject.sampler.test_episodes(HIDDEN_EPISODES), HIDDEN_EPISODES)
    told, poisoned = (
        [
            answered.scores
            for _, answered in scored_batches(
                subject.fresh(), subject.problem, sampler, count, transductive=not subject.inductive
            )
        ]
        for sampler in (subject.sampler, _Poisoned(subject.sampler))
    )
    pairs = list(zip(told, poisoned, strict=True))
    same = all(torch.equal(left, right) for left, right in pairs)
    value = max(difference(right.double(), left.double()) for left, right in pairs)
    detail = f"{count} episodes, the same bits"
    if not same:
        detail = f"false targets of the queries moved the scores by {_share(value)}"
    outcome: Outcome = "passed" if same else "violated"
    return Finding(check="hidden-targets", outcome=outcome, detail=detail, value=_finite(value))


class _Poisoned(EpisodeSampler):
    """The same episodes, with every query target false."""

    def __init__(self, sampler: EpisodeSampler) -> None:  # it draws as the other does
        self.__dict__.update(sampler.__dict__)

    def batches(self, start: int, stop: int, size: int) -> Iterator[EpisodeBatch]:
        for batch in super().batches(start, stop, size):
            targets: Any = batch.query_targets
            if targets.dtype.kind == "i":
                false = (targets + 1) % batch.way
            else:
                false = (1 - 3 * targets).astype(targets.dtype)
            yield replace(batch, query_targets=false)


_FUNCTIONS: Mapping[str, Check] = dict(
    zip(
        CHECKS,
        (
            query_independence,
            label_permutation,
            support_permutation,
            determinism,
            unchanged_weights,
            task_independence,
            degenerate_support,
            hidden_targets,
        ),
        strict=True,
    )
)


_ROUNDED = (QUERY_INDEPENDENCE, "label-permutation", "support-permutation", "task-independence")
"""Checks in which the order of the arithmetic differs."""
_OF_ONE_CALL = ("determinism", "unchanged-weights", "degenerate-support")
"""Checks that compare no scores with each other, so that they need not be repeatable."""


def run_checks(
    subject: Subject,
    names: Iterable[str] = (),
    report: Callable[[int, int], None] | None = None,
) -> tuple[Finding, ...]:
    """Run checks; what a learner raises in one is that check's violation.

    Args:
        subject: What is examined.
        names: Which checks; by default all.
        report: Called with the number of finished checks and the total.

    Returns:
        One finding per check, and the two measurements of a transductive learner.
    """
    wanted = known_checks(names)
    chosen = [name for name in wanted if name in CHECKS]
    findings: list[Finding] = []
    with torch.random.fork_rng():
        for number, name in enumerate(chosen):
            if report:
                report(number, len(chosen))
            findings.append(_run(subject, name))
        if not subject.inductive and any(name in MEASURED for name in wanted):
            findings += measure_balance(subject)
    return tuple(findings)


def _run(subject: Subject, name: str) -> Finding:
    try:
        if name not in _OF_ONE_CALL and not torch.equal(subject.usual, subject.again):
            why = "nothing can be compared: see determinism"
            return Finding(check=name, outcome="inapplicable", detail=why)
        finding = _FUNCTIONS[name](subject)
    except Exception as error:  # noqa: BLE001 - whatever a plugin raises is the finding
        return Finding(check=name, outcome="violated", detail=raised(error))
    return _but_for_rounding(subject, name, finding)


def _but_for_rounding(subject: Subject, name: str, finding: Finding) -> Finding:
    """Acquit a learner in which only rounding grows: in double precision nothing differs."""
    if name not in _ROUNDED or finding.outcome != "violated" or finding.value is None:
        return finding
    try:
        precise = _FUNCTIONS[name](subject.precise)
    except Exception:  # noqa: BLE001 - not every learner can compute in double precision
        return finding
    left = precise.value
    if precise.outcome != "passed" or left is None or left > SHRINKS * finding.value:
        return finding
    detail = (
        f"in double precision {precise.detail}; in single, rounding grows to {finding.value:.2g}"
    )
    return precise.model_copy(update={"detail": detail})


def _compared(check: str, shares: Mapping[str, float], *, declared: bool) -> Finding:
    """Turn differences into a finding: a declared one is no violation."""
    worst = max(shares.values())
    told = ", ".join(f"{way} {_share(share)}" for way, share in shares.items())
    outcome: Outcome = "declared" if declared else "violated"
    if worst <= TOLERANCE:
        outcome = "passed"
        told += "; declared otherwise, and not seen here" if declared else ""
    detail = f"scores differ by a share of their spread: {told}"
    return Finding(check=check, outcome=outcome, detail=detail, value=_finite(worst))


def _state(model: nn.Module) -> dict[str, tuple[str, str]]:
    """Digest of every parameter and buffer, also of those that are not kept in checkpoints."""
    tensors = {**dict(model.named_parameters()), **dict(model.named_buffers())}
    return {name: _digest(tensor) for name, tensor in tensors.items()}


def _digest(tensor: Tensor) -> tuple[str, str]:
    raw = tensor.detach().cpu().contiguous().flatten().view(torch.uint8)
    return f"{tensor.dtype} {tuple(tensor.shape)}", hashlib.sha256(raw.numpy().data).hexdigest()


def _share(value: float) -> str:
    return f"{value:.2g}" if math.isfinite(value) else "no number"


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def raised(error: Exception) -> str:
    """Name an exception in one line."""
    lines = str(error).strip().splitlines()
    return f"raised {type(error).__name__}" + (f": {lines[0]}" if lines else "")
