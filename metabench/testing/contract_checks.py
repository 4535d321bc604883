"""Checks of an algorithm beside its behaviour: shapes, loss, weights, settings, devices."""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from metabench.errors import MetabenchError, UsageError
from metabench.hookspecs import AlgorithmInfo
from metabench.leaderboard.audits import Finding
from metabench.learners.contracts import Hyperparameters, Query, Support, build_hyperparameters
from metabench.learners.device import Compute
from metabench.learners.files import read_tensors, write_tensors
from metabench.testing.checks import raised
from metabench.testing.names import CONTRACT
from metabench.testing.subject import TOLERANCE, Subject, difference, examples, mapped

DEVICE_TOLERANCE = 1e-2
"""Largest difference between devices, as a share of the spread of the scores."""


@dataclasses.dataclass(frozen=True)
class Learner:
    """An algorithm on synthetic episodes, with what it declares.

    Attributes:
        info: Its descriptor.
        subject: The model and its episodes.
        rebuild: Builds it again.
    """

    info: AlgorithmInfo
    subject: Subject
    rebuild: Callable[[], Subject]


def passed(check: str, detail: str = "", value: float | None = None) -> Finding:
    """Return a finding that is as it should be."""
    return Finding(check=check, outcome="passed", detail=detail, value=value)


def violated(check: str, detail: str, value: float | None = None) -> Finding:
    """Return a finding that is not as it should be."""
    return Finding(check=check, outcome="violated", detail=detail, value=value)


def inapplicable(check: str, detail: str) -> Finding:
    """Return a finding that says why nothing was checked."""
    return Finding(check=check, outcome="inapplicable", detail=detail)


def _scores(learner: Learner) -> Finding:
    fault = _score_fault(learner.subject, learner.subject.support, learner.subject.query)
    return violated("scores", fault) if fault else passed("scores")


def _answer(subject: Subject, support: Support[Any], query: Any) -> Any:
    """Return what a fresh learner answers; it is given these tensors, and not copies of them."""
    algorithm = subject.fresh().algorithm
    with torch.no_grad():
        if subject.inductive:
            return algorithm.adapt(support)(query)
        return algorithm.adapt_transductive(support, query)(query)


def _cloned(support: Support[Any]) -> Support[Any]:
    return Support(mapped(support.x, Tensor.clone), support.y.clone(), support.way)


def _score_fault(subject: Subject, support: Support[Any], query: Any) -> str:
    """Say what is wrong with the scores of a batch as the learner returns them."""
    found = _answer(subject, _cloned(support), mapped(query, Tensor.clone))
    if not isinstance(found, Tensor):
        return f"the predictor returned {type(found).__name__}; a tensor was expected"
    asked = query if isinstance(query, Tensor) else next(iter(query.values()))
    expected = (*asked.shape[:2], support.way)
    if tuple(found.shape) != expected:
        return f"scores of shape {list(found.shape)}; {list(expected)} was expected"
    if not found.is_floating_point():
        return f"scores are {found.dtype}; floating point was expected"
    if found.device != support.y.device:
        return f"scores are on {found.device} and the support is on {support.y.device}"
    bad = int((~found.isfinite()).sum())
    return f"{bad} of {found.numel()} scores are not finite" if bad else ""


def _few_examples(learner: Learner) -> Finding:
    subject, support = learner.subject, learner.subject.support
    whole = learner.info.adapts_encoder  # batch norm cannot do with one example
    query = subject.query if whole else mapped(subject.query, lambda tensor: tensor[:, :1])
    supports: dict[str, Support[Any]] = {} if whole else {"one query": support}
    if subject.kind == "regression":
        supports["two support examples"] = _kept(support, torch.tensor([0, 1]))
    else:
        first = torch.stack([(support.y[0] == n).nonzero()[0, 0] for n in range(support.way)])
        alone = replace(support, x=mapped(support.x, lambda t: t[:1]), y=support.y[:1])
        supports["one shot"] = _kept(alone, first)
        more = (support.y[0] == 0).nonzero()[:, 0]
        supports["uneven shots"] = _kept(alone, torch.cat([first, more[more != first[0]]]))
    faults = []
    for name, few in supports.items():
        try:
            fault = _score_fault(subject, few, _first(query, len(few.y)))
        except Exception as error:  # noqa: BLE001 - whatever a plugin raises is the finding
            fault = raised(error)
        faults += [f"{name}: {fault}"] * bool(fault)
    if faults:
        return violated("few-examples", "; ".join(faults), float(len(faults)))
    return passed("few-examples", ", ".join(supports))


def _first(query: Any, count: int) -> Any:
    """Take the queries of the first episodes."""
    return mapped(query, lambda tensor: tensor[:count])


def _kept(support: Support[Any], index: Tensor) -> Support[Any]:
    return replace(support, x=examples(support.x, index), y=support.y[:, index])


def _unchanged_inputs(learner: Learner) -> Finding:
    support, query = learner.subject.support, learner.subject.query
    own, asked = _cloned(support), mapped(query, Tensor.clone)
    _answer(learner.subject, own, asked)
    pairs = {"support.x": (own.x, support.x), "query": (asked, query)}
    written = [name for name, (left, right) in pairs.items() if not _same(left, right)]
    written += ["support.y"] * (not torch.equal(own.y, support.y))
    if written:
        return violated("unchanged-inputs", f"it wrote into {', '.join(written)}")
    return passed("unchanged-inputs")


def _same(left: Any, right: Any) -> bool:
    """Whether inputs are the same bits, one tensor or several by name."""
    if isinstance(left, Tensor):
        return torch.equal(left, right)
    return left.keys() == right.keys() and all(torch.equal(left[n], right[n]) for n in left)


def _loss(learner: Learner) -> Finding:
    if "episodic" not in learner.info.recipe.split("+"):
        return inapplicable("loss", f"recipe {learner.info.recipe!r} does not use it")
    subject = learner.rebuild()
    batch, model = subject.batch, subject.model.train()
    x, asked = (
        mapped(view, lambda tensor: tensor.clone().requires_grad_(tensor.is_floating_point()))
        for view in (subject.view(batch.support), subject.view(batch.query))
    )
    support = Support(x, subject.problem.index(batch.support_targets), batch.way)
    value: Any = model.algorithm.loss(
        support, Query(asked, subject.problem.index(batch.query_targets))
    )
    if not isinstance(value, Tensor) or value.numel() != 1:
        shape = list(value.shape) if isinstance(value, Tensor) else type(value).__name__
        return violated("loss", f"the loss is {shape}; one number was expected")
    if not bool(value.isfinite()):
        return violated("loss", f"the loss is {float(value)}")
    if not value.requires_grad:
        return violated("loss", "no gradient leads from the loss to weights or embeddings")
    torch.autograd.backward(value)
    return passed("loss", value=float(value.detach()))


def _weights(learner: Learner) -> Finding:
    state = learner.subject.model.algorithm.state_dict()
    objects = [name for name, value in state.items() if not isinstance(value, Tensor)]
    if objects:
        return violated("weights", f"its state holds what is no tensor: {', '.join(objects)}")
    if not state:
        return passed("weights", "it has none")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "weights.safetensors"
        write_tensors(path, state, {})
        found = read_tensors(path)
        assert found is not None
        other = learner.rebuild()
        other.model.encoder.load_state_dict(learner.subject.model.encoder.state_dict())
        other.model.algorithm.load_state_dict(found[0])
        twin = replace(learner.subject, model=other.model)
        share = difference(
            twin.scores(learner.subject.support, learner.subject.query), learner.subject.usual
        )
    if share > TOLERANCE:
        detail = f"scores differ by {share:.2g} of their spread after weights were kept and read"
        return violated("weights", detail, share if share < float("inf") else None)
    return passed("weights", f"{len(state)} tensors")


def _settings(learner: Learner) -> Finding:
    cls: Any = type(learner.subject.algorithm).Hyperparameters
    name = learner.info.name
    if not (isinstance(cls, type) and issubclass(cls, Hyperparameters)):
        return violated("settings", f"Hyperparameters is {cls!r}, no subclass of the core's")
    fields = dataclasses.fields(cls)
    missing = dataclasses.MISSING
    bare = [f.name for f in fields if f.default is missing and f.default_factory is missing]
    if bare:
        return violated("settings", f"no default: {', '.join(bare)}")
    for options in ({"no_such_setting": 1}, {fields[-1].name: object()}):
        fault = _not_one_line(cls, options, name)
        if fault:
            return violated("settings", fault)
    return passed("settings", f"{len(fields)} settings")


def _not_one_line(cls: Any, options: Mapping[str, Any], name: str) -> str:
    """Say what a wrong setting raises if it is no error of one line."""
    try:
        build_hyperparameters(cls, options, name)
    except UsageError as error:
        lines = str(error).splitlines()
        return f"{next(iter(options))} is refused in {len(lines)} lines" if len(lines) > 1 else ""
    except Exception as error:  # noqa: BLE001 - whatever a plugin raises is the finding
        return f"a wrong {next(iter(options))}: {raised(error)}"
    return f"{next(iter(options))} = {next(iter(options.values()))!r} is accepted"


def accelerator() -> str:
    """Return a device that is no CPU; empty where there is none."""
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else ""


def _devices(learner: Learner) -> Finding:
    device = accelerator()
    if not device:
        return inapplicable("devices", "this machine has no accelerator")
    subject = learner.subject
    compute = Compute.choose(device, "fp32")
    model = subject.fresh().to(compute.device)
    inputs = compute.place(subject.problem.inputs)
    twin = replace(
        subject, model=model, problem=replace(subject.problem, inputs=inputs, compute=compute)
    )
    fault = _score_fault(twin, twin.support, twin.query)
    if fault:
        return violated("devices", f"{device}: {fault}")
    share = difference(twin.usual, subject.usual)
    detail = f"{device}: scores differ by {share:.2g} of their spread"
    if share > DEVICE_TOLERANCE and not _draws(subject):
        return violated("devices", detail, share)
    return passed("devices", detail, share)


def _draws(subject: Subject) -> bool:
    """Whether it draws random numbers, which differ between devices."""
    other = subject.scores(subject.support, subject.query, seed=1)
    return not torch.equal(subject.usual, other)


_FUNCTIONS: Mapping[str, Callable[[Learner], Finding]] = dict(
    zip(
        CONTRACT,
        (_scores, _few_examples, _unchanged_inputs, _loss, _weights, _settings, _devices),
        strict=True,
    )
)


def run_contract_check(learner: Learner, name: str) -> Finding:
    """Run one of the checks in ``CONTRACT``; what the learner raises is the violation.

    Args:
        learner: What is examined.
        name: The check.
    """
    try:
        return _FUNCTIONS[name](learner)
    except MetabenchError as error:
        return violated(name, str(error))
    except Exception as error:  # noqa: BLE001 - whatever a plugin raises is the finding
        return violated(name, raised(error))
