"""The one meta-training loop: optimiser, schedule, selection on meta-val, resumable checkpoints."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from metabench.learners.contracts import Hyperparameters
from metabench.learners.device import seed_torch
from metabench.learners.files import read_tensors, write_tensors
from metabench.learners.recipes import Recipe

CHECKPOINT_SECONDS = 30.0
"""Time between two resumable checkpoints."""
FIT_EXAMPLES = 5000
"""Meta-train embeddings that an algorithm may look at after training."""

Report = Callable[[int, int], None]


@dataclass(frozen=True)
class Budget:
    """How long to train, and how to select.

    Attributes:
        examples: Meta-training examples.
        seconds: Optional limit of time; a run that it ends is not reproducible bit for bit.
        selections: Validations, evenly over the steps.
        patience: Validations without a better score before training stops; 0 never stops early.
    """

    examples: int
    seconds: float | None = None
    selections: int = 10
    patience: int = 0


@dataclass
class TrainingLog:
    """What training did, for the record.

    Attributes:
        steps: Optimiser steps taken.
        examples: Meta-training examples seen.
        seconds: Wall-clock time, over all interruptions.
        best_step: Step whose weights were kept.
        stopped: ``budget``, ``patience`` or ``seconds``.
        curve: ``(examples, mean loss since the last point, meta-val score)``; ``None`` for a loss
            that is not finite and a score that is undefined.
        setup: Recipe, optimiser, training way and shot.
    """

    steps: int = 0
    examples: int = 0
    seconds: float = 0.0
    best_step: int = 0
    stopped: str = "budget"
    curve: list[tuple[int, float | None, float | None]] = field(default_factory=list)
    setup: dict[str, Any] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return {**self.__dict__, "curve": [list(point) for point in self.curve]}

    def after(self, before: TrainingLog) -> TrainingLog:
        """Return the log of two stages, the second of which started from the first one's end."""
        return TrainingLog(
            steps=before.steps + self.steps,
            examples=before.examples + self.examples,
            seconds=before.seconds + self.seconds,
            best_step=before.steps + self.best_step,
            stopped=self.stopped,
            curve=[
                *before.curve,
                *((before.examples + n, loss, score) for n, loss, score in self.curve),
            ],
            setup={**self.setup, "before": before.setup},
        )

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> TrainingLog:
        """Read what ``as_dict`` wrote."""
        return cls(**{**values, "curve": [tuple(point) for point in values["curve"]]})


class MetaTrainer:
    """Runs a recipe within a budget and leaves the selected weights in its module.

    Args:
        recipe: What to optimise.
        budget: How long.
        partial: Where the resumable checkpoint lies; it is removed at the end.
        report: Called with the examples seen and the budget.
    """

    def __init__(
        self,
        recipe: Recipe,
        budget: Budget,
        partial: Path | None = None,
        report: Report | None = None,
    ) -> None:
        self._recipe = recipe
        self._budget = budget
        self._partial = partial
        self._report = report
        self._optimizer = _optimizer(recipe.trained, recipe.hyper)
        self._steps = max(1, budget.examples // recipe.step_examples) if budget.examples else 0
        self._log = TrainingLog()
        self._best: dict[str, Tensor] = {}
        self._best_score = -math.inf
        self._idle = 0
        self._loss_sum, self._loss_count = 0.0, 0

    def run(self) -> TrainingLog:
        """Train to the end of the budget, from the partial checkpoint if there is one.

        Returns:
            What was done.
        """
        step = self._resume()
        hyper = self._recipe.hyper
        every = max(1, math.ceil(self._steps / self._budget.selections))
        started, before, saved = time.perf_counter(), self._log.seconds, time.perf_counter()
        while step < self._steps and self._log.stopped == "budget":
            for group in self._optimizer.param_groups:
                group["lr"] = hyper.learning_rate * _rate(hyper.schedule, step / self._steps)
            seed_torch("train", self._recipe.setting.seed, step)
            self._recipe.trained.train()
            self._loss_sum += self._recipe.update(step, self._optimizer)
            self._loss_count += 1
            step += 1
            self._log.steps, self._log.examples = step, step * self._recipe.step_examples
            self._log.seconds = before + time.perf_counter() - started
            if self._report:
                self._report(self._log.examples, self._budget.examples)
            if self._budget.seconds is not None and self._log.seconds >= self._budget.seconds:
                self._log.stopped = "seconds"
            if step % every == 0 or step == self._steps or self._log.stopped == "seconds":
                self._select(step)
            if time.perf_counter() - saved > CHECKPOINT_SECONDS:
                self._save(step)
                saved = time.perf_counter()
        self._log.seconds = before + time.perf_counter() - started
        if self._best:
            self._recipe.trained.load_state_dict(self._best)
        self._log.setup = {
            "optimizer": hyper.optimizer,
            "learning_rate": hyper.learning_rate,
            "schedule": hyper.schedule,
            "selection": "meta-val"
            if any(score is not None for *_, score in self._log.curve)
            else "none: the last weights, since no meta-val episode could be scored",
            **self._recipe.describe(),
        }
        if self._partial is not None:
            self._partial.unlink(missing_ok=True)
        return self._log

    def _select(self, step: int) -> None:
        loss, score = self._loss_sum / self._loss_count, self._recipe.validate()
        self._loss_sum, self._loss_count = 0.0, 0
        if score is not None and not math.isfinite(score):
            score = None
        self._log.curve.append((self._log.examples, loss if math.isfinite(loss) else None, score))
        unscored = score is None and math.isinf(self._best_score)
        if unscored or (score is not None and score > self._best_score):
            self._best_score = -math.inf if score is None else score
            self._log.best_step = step
            self._best = {
                k: v.detach().clone() for k, v in self._recipe.trained.state_dict().items()
            }
            self._idle = 0
            return
        self._idle += 1
        if self._budget.patience and self._idle >= self._budget.patience:
            self._log.stopped = "patience"

    def _save(self, step: int) -> None:
        if self._partial is None:
            return
        tensors = {f"model.{k}": v for k, v in self._recipe.trained.state_dict().items()}
        tensors |= {f"best.{k}": v for k, v in self._best.items()}
        state = self._optimizer.state_dict()
        for number, values in state["state"].items():
            kept = {name: value for name, value in values.items() if isinstance(value, Tensor)}
            tensors |= {f"optimizer.{number}.{name}": value for name, value in kept.items()}
        notes = {
            "step": step,
            "best_score": None if math.isinf(self._best_score) else self._best_score,
            "idle": self._idle,
            "loss": [self._loss_sum, self._loss_count],
            "log": self._log.as_dict(),
        }
        write_tensors(self._partial, tensors, {"progress": json.dumps(notes)})

    def _resume(self) -> int:
        if self._partial is None or (found := read_tensors(self._partial)) is None:
            return 0
        tensors, metadata = found
        notes = json.loads(metadata["progress"])
        device = next(self._recipe.trained.parameters()).device
        self._recipe.trained.load_state_dict(_under(tensors, "model.", device))
        self._best = _under(tensors, "best.", device)
        self._load_optimizer(_under(tensors, "optimizer.", torch.device("cpu")))
        self._loss_sum, self._loss_count = notes["loss"]
        self._best_score = -math.inf if notes["best_score"] is None else notes["best_score"]
        self._idle = notes["idle"]
        self._log = TrainingLog.from_dict(notes["log"])
        return int(notes["step"])

    def _load_optimizer(self, tensors: Mapping[str, Tensor]) -> None:
        """Restore the optimiser; its state lies in memory as the parameters do (channels last)."""
        state = self._optimizer.state_dict()
        parameters = [p for group in self._optimizer.param_groups for p in group["params"]]
        for name, tensor in tensors.items():
            number, key = name.split(".", 1)
            parameter = parameters[int(number)]
            alike = tensor.shape == parameter.shape
            value = torch.empty_like(parameter).copy_(tensor) if alike else tensor
            state["state"].setdefault(int(number), {})[key] = value.detach()
        self._optimizer.load_state_dict(state)


def _optimizer(module: nn.Module, hyper: Hyperparameters) -> torch.optim.Optimizer:
    parameters = [p for p in module.parameters() if p.requires_grad]
    if hyper.optimizer == "sgd":
        return torch.optim.SGD(
            parameters, hyper.learning_rate, momentum=0.9, weight_decay=hyper.weight_decay
        )
    return torch.optim.Adam(parameters, hyper.learning_rate, weight_decay=hyper.weight_decay)


def _rate(schedule: str, progress: float) -> float:
    """The factor of the learning rate after a share of the budget."""
    if schedule == "cosine":
        return 0.5 * (1 + math.cos(math.pi * progress))
    return 0.5 ** math.floor(progress * 5) if schedule == "halving" else 1.0


def _under(tensors: Mapping[str, Tensor], prefix: str, device: torch.device) -> dict[str, Tensor]:
    return {
        k.removeprefix(prefix): v.to(device) for k, v in tensors.items() if k.startswith(prefix)
    }
