"""``sklearn:module.Class``: an estimator with scikit-learn's interface as a few-shot learner."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.multioutput import MultiOutputRegressor
from torch import Tensor

from metabench.errors import InapplicableError, MetabenchError, UsageError
from metabench.learners.contracts import (
    EpisodeAlgorithm,
    Hyperparameters,
    Predictor,
    Support,
    TaskSpec,
    collected,
)
from metabench_algorithms.estimators.lookup import build_estimator, kind_of, other_kind

Doubles = npt.NDArray[np.float64]
SEEDS = 2**31 - 1


@dataclass(frozen=True, kw_only=True)
class EstimatorHyperparameters(Hyperparameters):
    """Which estimator, and its own parameters, whose defaults are the library's.

    Attributes:
        argument: ``module.Class`` of scikit-learn, or ``package.module:Class``.
        parameters: Every other option: what the constructor takes.
    """

    argument: str = ""
    parameters: Mapping[str, Any] = collected()


class Estimator(EpisodeAlgorithm):
    """A classifier or regressor, fitted anew to each support set.

    Scores are what ``predict_proba`` says, or else ``decision_function``, or else 1 for the class
    that ``predict`` names. A class without an example in the support gets a score that none of the
    others falls below. A regressor of one output is fitted to each output of several.

    Embeddings are passed as they are, in double precision. Neither the order of the examples nor
    the numbers of the classes reach the estimator: examples come sorted, and classes in the order
    of their first examples. Where it has a ``random_state`` and none is given, that is drawn from
    the episodes' generator, so the cell's seed decides.
    """

    Hyperparameters = EstimatorHyperparameters

    def __init__(self, task: TaskSpec, hyper: EstimatorHyperparameters | None = None) -> None:
        super().__init__(task, hyper)
        if not self.hyper.argument:
            raise UsageError("sklearn needs an estimator: sklearn:ensemble.ExtraTreesClassifier")
        self.name = f"sklearn:{self.hyper.argument}"
        # In a list, since a submodule or a parameter it is not.
        self._template = [build_estimator(self.hyper.argument, self.hyper.parameters)]
        self._check_kind()
        self._state = 0

    def adapt(self, support: Support[Tensor]) -> Predictor[Tensor]:
        """Draw one random state for the batch, and fit an estimator to each support set."""
        self._state = int(torch.randint(SEEDS, ()))
        return super().adapt(support)

    def adapt_episode(self, x: Tensor, y: Tensor, way: int) -> Callable[[Tensor], Tensor]:
        """Fit to ``[S, d]`` examples: ``[Q, d] -> [Q, way]`` scores, or values."""
        features = _host(x)
        if self.task.kind == "regression":
            targets = _host(y)
            order = np.lexsort((*targets.T[::-1], *features.T[::-1]))
            answer = self._regressor(features[order], targets[order])
        else:
            labels = y.detach().cpu().numpy()
            order = np.lexsort(features.T[::-1])
            answer = self._classifier(features[order], labels[order], way)

        def predict(query: Tensor) -> Tensor:
            return torch.as_tensor(answer(_host(query))).to(query)

        return predict

    def _classifier(
        self, x: Doubles, y: npt.NDArray[np.int64], way: int
    ) -> Callable[[Doubles], Doubles]:
        _, first = np.unique(y, return_index=True)
        met = y[np.sort(first)]  # the classes, in the order in which they occur
        numbers = np.full(way, -1)
        numbers[met] = np.arange(len(met))
        fitted = self._fitted(x, numbers[y]) if len(met) > 1 else None

        def answer(query: Doubles) -> Doubles:
            own = np.ones((len(query), 1)) if fitted is None else self._scores(fitted, query)
            floor = np.minimum(own.min(1, keepdims=True), 0.0)
            scores = np.repeat(floor, way, axis=1)
            scores[:, met] = own
            return scores

        return answer

    def _scores(self, fitted: Any, query: Doubles) -> Doubles:
        """``[Q, classes]`` scores of the classes of the support, by their own numbers."""
        count = len(fitted.classes_)
        for method in ("predict_proba", "decision_function"):
            if not hasattr(fitted, method):
                continue
            values = np.asarray(self._call(getattr(fitted, method), query), np.float64)
            if values.ndim == 1:
                values = np.stack([-values, values], 1)
            if values.shape == (len(query), count):
                return values[:, np.argsort(fitted.classes_)]
        predicted = np.asarray(self._call(fitted.predict, query)).astype(np.int64)
        return np.eye(count)[predicted]

    def _regressor(self, x: Doubles, y: Doubles) -> Callable[[Doubles], Doubles]:
        fitted = self._fitted(x, y[:, 0] if y.shape[1] == 1 else y)

        def answer(query: Doubles) -> Doubles:
            values = np.asarray(self._call(fitted.predict, query), np.float64)
            return values.reshape(len(query), y.shape[1])

        return answer

    def _fitted(self, x: Doubles, y: npt.NDArray[Any]) -> Any:
        estimator = clone(self._template[0])
        chosen = {
            name: self._state
            for name, value in estimator.get_params(deep=True).items()
            if value is None and name.rpartition("__")[2] == "random_state"
        }
        estimator.set_params(**chosen)
        if y.dtype.kind == "f" and y.ndim > 1 and not _takes_several_outputs(estimator):
            estimator = MultiOutputRegressor(estimator)
        self._call(estimator.fit, x, y)
        return estimator

    def _call(self, method: Callable[..., Any], x: Doubles, *more: Any) -> Any:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ConvergenceWarning)
                return method(x, *more)
        except ValueError as error:
            reason = (str(error).strip() or type(error).__name__).splitlines()[0]
            what = "fit" if more else "be applied to"
            raise MetabenchError(
                f"{self.name} cannot {what} {len(x)} examples of {x.shape[1]} features ({reason})"
            ) from error

    def _check_kind(self) -> None:
        wanted = "regressor" if self.task.kind == "regression" else "classifier"
        found = kind_of(self._template[0])
        if not found:
            raise UsageError(f"{self.name} is neither a classifier nor a regressor"
                             f"{other_kind(self.hyper.argument, wanted)}")  # fmt: skip
        if found != wanted:
            raise InapplicableError(
                f"{self.name} is a {found}, and {self.task.kind} needs a {wanted}"
                f"{other_kind(self.hyper.argument, wanted)}"
            )


def _takes_several_outputs(estimator: Any) -> bool:
    try:
        return bool(estimator.__sklearn_tags__().target_tags.multi_output)
    except AttributeError:  # before scikit-learn 1.6, or without its base class
        return False


def _host(x: Tensor) -> Doubles:
    """``[n, d]`` contiguous float64 numbers on the host."""
    return np.ascontiguousarray(x.detach().cpu().double().numpy())
