"""A trained learner that is used: adapt to labelled examples, then predict new ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional as F

from metabench.errors import MetabenchError, UsageError
from metabench.learners.contracts import Encoder, Inputs, Support
from metabench.learners.device import Compute, seed_torch, take
from metabench.learners.model import EMBED_BATCH, Embedded, FewShotModel
from metabench.saved.config import SavedConfig
from metabench.saved.items import ItemInputs

QUERIES_AT_ONCE = 1024
"""Queries that an inductive learner predicts at once; a transductive one gets all of them."""
ADAPTED_QUERIES_AT_ONCE = 256
"""The same where the learner embeds the queries itself."""


class SavedLearner:
    """A learner with all that it has learned, made by `metabench.load`.

    Args:
        config: What it is.
        model: Encoder and algorithm, with their weights.
        compute: Device and precision.
        reader: Turns items into inputs; kept as ``read``.
        reference: The meta-train inputs that the encoder's preparation is fitted on, if it is.
    """

    def __init__(
        self,
        config: SavedConfig,
        model: FewShotModel,
        compute: Compute,
        reader: ItemInputs,
        reference: Inputs | None = None,
    ) -> None:
        self.config = config
        self._model = model.eval()
        self._compute = compute
        self.read = reader
        self._reference = reference

    def __repr__(self) -> str:
        """Say what it is and what it was trained on."""
        encoder = f" with {self.config.encoder.name}" if self.config.encoder else ""
        return f"<{self.config.algorithm.name}{encoder}, trained on {self.config.source}>"

    @property
    def inductive(self) -> bool:
        """Whether each item is predicted by itself; otherwise all items of a call count."""
        return self.config.algorithm.inductive

    def adapt(
        self, items: Any, labels: Sequence[Any], classes: Sequence[Any] | None = None
    ) -> AdaptedLearner:
        """Adapt to labelled examples of new classes, or of a new quantity.

        Args:
            items: The examples: paths, texts, arrays or images, or prepared tensors by name.
            labels: One per example: strings or numbers of any kind; in regression the values,
                ``[n]`` or ``[n, k]``.
            classes: The classes in the order of the scores; by default sorted. Of two classes in a
                binary task, the second is the positive one.

        Returns:
            What predicts.

        Raises:
            UsageError: If items and labels differ in number, a label is missing or cannot be one, a
                class is named twice or has no example, there is one class only, or there are more
                classes than the learner has outputs for.
            MetabenchError: If an item cannot be read, by position and reason.
        """
        labels = list(labels)
        inputs = self.read(items, "support")
        number = len(next(iter(inputs.values())))
        if number != len(labels):
            raise UsageError(f"there are {number} support items and {len(labels)} labels")
        names: list[Any] = []
        if self.config.task_kind == "regression":
            targets = self._values(labels)
        else:
            targets, names = self._classes(labels, classes)
        way = len(names) or self.config.way
        support: Support[Any] = Support(
            self.represent(inputs), targets.unsqueeze(0).to(self._compute.device), way
        )
        return AdaptedLearner(self, support, names)

    def _values(self, labels: Sequence[Any]) -> Tensor:
        try:
            values = np.asarray(labels, dtype=np.float32)
        except (TypeError, ValueError) as error:
            raise UsageError(f"regression takes numbers as labels: {error}") from error
        values = values[:, None] if values.ndim == 1 else values
        if values.shape[1:] != (self.config.way,) or not len(values):
            raise UsageError(
                f"labels have the shape {values.shape}, and the learner predicts "
                f"{self.config.way} value(s) per item: [n, {self.config.way}], n at least 1, is due"
            )
        if not np.isfinite(values).all():
            row = int(np.flatnonzero(~np.isfinite(values).all(axis=1))[0])
            raise UsageError(f"label {row} is {labels[row]!r}, which is no finite number")
        return torch.from_numpy(values)

    def _classes(
        self, labels: list[Any], classes: Sequence[Any] | None
    ) -> tuple[Tensor, list[Any]]:
        labels = [_plain(label, f"label {row}") for row, label in enumerate(labels)]
        found = list(dict.fromkeys(labels))
        names = _in_order(found)
        if classes is not None:
            names = [_plain(name, f"class {row}") for row, name in enumerate(classes)]
        if twice := [name for name in dict.fromkeys(names) if names.count(name) > 1]:
            raise UsageError(f"the classes {names} name {twice[0]!r} twice; once is due")
        if strange := [label for label in found if label not in names]:
            raise UsageError(f"label {strange[0]!r} is not among the classes {names}")
        if missing := [name for name in names if name not in found]:
            raise UsageError(f"class {missing[0]!r} has no support item")
        least, config = 2, self.config
        if len(names) < least:
            only = f" ({names[0]!r})" if names else ""
            raise UsageError(
                f"the labels name {len(names)} class{only}; two at least are needed to tell apart"
            )
        if config.task_kind == "binary" and len(names) > least:
            raise UsageError(f"a binary task has two classes, and the labels name {len(names)}")
        position = {name: number for number, name in enumerate(names)}
        return torch.tensor([position[label] for label in labels]), names

    def represent(self, inputs: Inputs) -> Any:
        """Bring inputs ``[n, ...]`` into the algorithm's form, as one episode ``[1, n, ...]``."""
        encoder, autocast = self._model.encoder, self._compute.autocast()
        if isinstance(encoder, Embedded):
            encoder, autocast = encoder.origin().to(self._compute.device), nullcontext()
        with torch.no_grad():
            prepared = self._compute.place(self._prepare(encoder, inputs))
            if self._model.adapts_encoder:
                return {name: tensor.unsqueeze(0) for name, tensor in prepared.items()}
            embed = encoder.eval().forward_map if self._model.takes_maps else encoder.eval()
            count = len(next(iter(prepared.values())))
            rows = torch.arange(count, device=self._compute.device)
            with autocast:
                parts = [embed(take(prepared, some)) for some in torch.split(rows, EMBED_BATCH)]
            features: Tensor = torch.cat(parts)
            return features.float().unsqueeze(0)

    def _prepare(self, encoder: Encoder, inputs: Inputs) -> Inputs:
        """Prepare new items, by the meta-train items where the preparation is fitted on these."""
        if self._reference is None:
            return encoder.prepare(inputs, torch.empty(0, dtype=torch.int64))
        known = len(next(iter(self._reference.values())))
        joined = {name: _joined(self._reference[name], inputs[name]) for name in inputs}
        prepared = encoder.prepare(joined, torch.arange(known))
        return {name: tensor[known:] for name, tensor in prepared.items()}

    @contextmanager
    def repeatable(self) -> Iterator[None]:
        """The same random numbers in every call, and the user's own untouched."""
        device = self._compute.device
        with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
            seed_torch("saved learner", self.config.seed)
            yield

    def predictor(self, support: Support[Any], query: Any = None) -> Callable[[Any], Tensor]:
        """Adapt; with the queries at hand if the learner is transductive."""
        algorithm = self._model.algorithm
        try:
            if query is None:
                return algorithm.adapt(support)
            return algorithm.adapt_transductive(support, query)
        except UsageError as error:
            if support.way <= self.config.way:
                raise
            raise UsageError(
                f"{self.config.algorithm.name} was trained for up to {self.config.way} classes, "
                f"and the labels name {support.way}: {error}; train it for more with "
                f"`metabench run --way {support.way}`, or export a learner without such a head"
            ) from error


class AdaptedLearner:
    """A learner that has seen labelled examples, made by `SavedLearner.adapt`.

    Args:
        learner: The learner.
        support: The examples.
        classes: Their classes, in the order of the scores; empty in regression.
    """

    def __init__(self, learner: SavedLearner, support: Support[Any], classes: list[Any]) -> None:
        self.classes = classes
        self._learner = learner
        self._support = support
        self._predict: Callable[[Any], Tensor] | None = None
        with learner.repeatable(), torch.no_grad():
            if learner.inductive:
                self._predict = learner.predictor(support)
            elif support.way > learner.config.way:  # says now if there are too many classes
                learner.predictor(support, support.x)(support.x)

    def scores(self, items: Any) -> npt.NDArray[np.float32]:
        """Score items.

        Args:
            items: As for `SavedLearner.adapt`. A transductive learner adapts to all items of a call
                together, so it scores an item by itself otherwise than among others.

        Returns:
            ``[n, classes]``, larger for likelier classes; in regression the values ``[n, k]``.

        Raises:
            MetabenchError: If an item cannot be read, by position and reason.
        """
        inputs = self._learner.read(items, "query")
        if not len(next(iter(inputs.values()))):
            return np.empty((0, self._support.way), np.float32)
        query = self._learner.represent(inputs)
        with torch.no_grad():
            if self._predict is None:
                with self._learner.repeatable():
                    found = self._learner.predictor(self._support, query)(query)
            else:
                found = torch.cat([self._predict(part) for part in _parts(query)], dim=1)
        scores: npt.NDArray[np.float32] = found.detach().float().cpu().numpy()[0]
        if not np.isfinite(scores).all():
            name = self._learner.config.algorithm.name
            raise MetabenchError(f"{name} scored an item with a number that is not finite")
        return scores

    def predict(self, items: Any) -> npt.NDArray[Any]:
        """Predict items.

        Args:
            items: As for `scores`.

        Returns:
            ``[n]`` labels, or in regression values ``[n]``, of several outputs ``[n, k]``.

        Raises:
            MetabenchError: If an item cannot be read, by position and reason.
        """
        scores = self.scores(items)
        if not self.classes:
            return scores[:, 0] if scores.shape[1] == 1 else scores
        chosen: npt.NDArray[Any] = _label_array(self.classes)[scores.argmax(1)]
        return chosen


def _plain(label: Any, where: str) -> Any:
    """Check what is to be a label, and take it out of numpy or torch.

    Args:
        label: A label.
        where: What it is, for messages.

    Raises:
        UsageError: If it is missing, or several values instead of one.
    """
    if isinstance(label, np.generic | np.ndarray | Tensor):
        if label.ndim:
            raise UsageError(f"{where} has the shape {tuple(label.shape)}; one value is due")
        label = label.item()
    try:
        hash(label)
    except TypeError:
        kind = type(label).__name__
        raise UsageError(f"{where} is the {kind} {label!r}; a string or number is due") from None
    differs = label != label  # noqa: PLR0124 - NaN does from itself, and pandas' NA will not say
    if label is None or differs is not False:
        raise UsageError(f"{where} is {label!r}; every support item needs a label")
    return label


def _parts(query: Any) -> list[Any]:
    """Split ``[1, n, ...]`` queries, embedded or raw, into what goes through at once."""
    if isinstance(query, Tensor):
        return list(torch.split(query, QUERIES_AT_ONCE, dim=1))
    names: Mapping[str, Tensor] = query
    split = {n: torch.split(t, ADAPTED_QUERIES_AT_ONCE, dim=1) for n, t in names.items()}
    return [dict(zip(split, parts, strict=True)) for parts in zip(*split.values(), strict=True)]


def _joined(known: Tensor, new: Tensor) -> Tensor:
    """Put new rows below known ones; the shorter are padded with zeros, as sources pad theirs."""
    size = [max(pair) for pair in zip(known.shape[1:], new.shape[1:], strict=True)]
    return torch.cat([_padded(known, size), _padded(new, size)])


def _padded(tensor: Tensor, size: Sequence[int]) -> Tensor:
    pairs = zip(tensor.shape[1:], size, strict=True)
    lacking = [end for have, want in pairs for end in (want - have, 0)]
    return F.pad(tensor, lacking[::-1]) if any(lacking) else tensor


def _in_order(labels: list[Any]) -> list[Any]:
    try:
        return sorted(labels)
    except TypeError:  # strings and numbers together
        return sorted(labels, key=lambda label: (type(label).__name__, str(label)))


def _label_array(classes: Sequence[Any]) -> npt.NDArray[Any]:
    kinds = {type(name) for name in classes}
    if len(kinds) == 1 and kinds <= {str, int, float, bool}:
        return np.array(classes)
    names = np.empty(len(classes), dtype=object)
    names[:] = classes
    return names
