"""The contracts of encoders and algorithms: all that a plugin author has to know.

Shapes: ``B`` episodes in a batch, ``S`` support and ``Q`` query examples in each, ``way`` classes,
``d`` the width of an embedding. Within one batch every episode has the same ``S``, ``Q`` and
``way``; the order of examples carries no information and classes may have unequal shots.
"""

from __future__ import annotations

import dataclasses
import hashlib
import operator
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import UnionType
from typing import (
    Any,
    ClassVar,
    Generic,
    Literal,
    TypeVar,
    Union,
    get_args,
    get_origin,
    get_type_hints,
)

import torch
from pydantic import TypeAdapter, ValidationError
from torch import Tensor, nn
from torch.nn import functional as F

from metabench.errors import UsageError, unknown_name
from metabench.hookspecs import TaskKind

Inputs = Mapping[str, Tensor]
T = TypeVar("T")
X = TypeVar("X", Tensor, Inputs)
Predictor = Callable[[X], Tensor]


@dataclass(frozen=True)
class InputSpec:
    """What an encoder is built for.

    Attributes:
        modality: The source's modality, such as ``image``.
        shapes: The shape of one example of each input, such as ``{"pixels": (1, 28, 28)}``.
        dtypes: The dtype of each input.
    """

    modality: str
    shapes: Mapping[str, tuple[int, ...]]
    dtypes: Mapping[str, torch.dtype]

    @classmethod
    def of(cls, modality: str, inputs: Inputs) -> InputSpec:
        """Describe existing inputs."""
        return cls(
            modality,
            {name: tuple(t.shape[1:]) for name, t in inputs.items()},
            {name: t.dtype for name, t in inputs.items()},
        )


class Encoder(nn.Module, ABC):
    """Raw inputs to embeddings.

    Subclasses set ``width``, the length ``d`` of an embedding, in their constructor, which takes an
    `InputSpec` and the descriptor's options. One whose descriptor says ``feature_map`` also sets
    ``map_shape`` and implements ``forward_map``, with the same weights, for learners that compare
    parts of examples.

    An encoder may also have a method ``forward_copies(weights, inputs)``, for learners that adapt a
    copy of it per episode: it embeds inputs ``[T, n, ...]`` with ``T`` copies of the weights, each
    ``[T, *shape]`` by parameter name, as ``[T, n, d]``, every copy normalised by the statistics of
    its own batch and no buffer changed. It has to equal a loop over the copies, and to be faster.
    """

    width: int
    map_shape: tuple[int, ...] | None = None

    def prepare(self, inputs: Inputs, meta_train: Tensor) -> Inputs:
        """Turn a source's inputs, once and on the host, into what ``forward`` takes.

        Tokenisation, filter banks and standardisation belong here. The result is kept on disk, so
        it must be a function of the arguments and of the constructor's, and change nothing. Inputs
        that a metric makes up while it closes a loop come with no meta-train examples.

        Args:
            inputs: All examples of the source; first dimension ``n``.
            meta_train: Indices of the meta-train examples; statistics may be fitted on these only.

        Returns:
            Tensors with the same first dimension ``n``.
        """
        del meta_train
        return inputs

    @abstractmethod
    def forward(self, inputs: Inputs) -> Tensor:
        """Embed a batch.

        Args:
            inputs: Prepared inputs of ``n`` examples, on the encoder's device.

        Returns:
            ``(n, d)`` embeddings. Those of a frozen encoder may be uint8 or float16: they are kept
            so on disk, and learners get float32.
        """

    def forward_map(self, inputs: Inputs) -> Tensor:
        """Embed a batch as maps of local features.

        Args:
            inputs: Prepared inputs of ``n`` examples, on the encoder's device.

        Returns:
            ``[n, *map_shape]``: channels first, then one or two axes of positions.
        """
        raise NotImplementedError(f"{type(self).__name__} gives no map of features")

    def weights_digest(self) -> str:
        """SHA-256 of the weights, which identifies a frozen encoder beyond its source code."""
        sha = hashlib.sha256()
        for name, tensor in sorted(self.state_dict().items()):
            sha.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\0".encode())
            sha.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data)
        return sha.hexdigest()


@dataclass(frozen=True)
class Support(Generic[X]):
    """The labelled examples that a learner adapts to.

    Attributes:
        x: ``[B, S, d]`` embeddings; for an algorithm on maps, ``[B, S, *map_shape]``; for one that
            adapts the encoder, the prepared inputs, each ``[B, S, ...]``.
        y: ``[B, S]`` labels ``0 .. way-1`` (int64); in regression ``[B, S, k]`` values (float32).
        way: Number of classes; in regression the number of outputs ``k``.
    """

    x: X
    y: Tensor
    way: int


@dataclass(frozen=True)
class Query(Generic[X]):
    """The query examples with their targets; only ``loss``, in meta-training, gets to see them.

    Attributes:
        x: ``[B, Q, d]`` embeddings, or prepared inputs as in `Support`.
        y: ``[B, Q]`` labels, or ``[B, Q, k]`` values.
    """

    x: X
    y: Tensor


_HOLDS: dict[str, Callable[[float, float], bool]] = {
    "at least": operator.ge,
    "above": operator.gt,
    "at most": operator.le,
    "below": operator.lt,
}


def bounded(
    default: T,
    *,
    least: float | None = None,
    above: float | None = None,
    most: float | None = None,
    below: float | None = None,
) -> T:
    """A hyperparameter with a range, which `Hyperparameters` checks; ``None`` is in any range.

    A subclass that gives the field another default keeps the range.

    Args:
        default: The value unless another is given.
        least: The smallest value.
        above: What the value exceeds.
        most: The largest value.
        below: What the value stays below.
    """
    bounds = dict(zip(_HOLDS, (least, above, most, below), strict=True))
    given = {k: v for k, v in bounds.items() if v is not None}
    return dataclasses.field(default=default, metadata={"bounds": given})


def collected() -> Mapping[str, Any]:
    """A hyperparameter that takes all options which the class itself does not declare.

    For a learner that hands them on. Those that it inherits are collected, too: ``learning_rate``
    is then whatever it means there.
    """
    return dataclasses.field(default_factory=dict, metadata={"collects": True})


@dataclass(frozen=True, kw_only=True)
class Hyperparameters:
    """Settings of the meta-training loop; algorithms add their own by subclassing.

    Attributes:
        optimizer: ``adam`` (Kingma & Ba, 2015) or ``sgd`` with momentum 0.9.
        learning_rate: Of the meta-optimiser; 1e-3 is the value of Snell et al. (2017) and Finn et
            al. (2017).
        weight_decay: L2 penalty.
        schedule: ``constant``, ``cosine`` to zero over the budget, or ``halving``: half the rate
            after every fifth of the budget (Snell et al. halve it every 2,000 episodes).
        meta_batch: Episodes per optimiser step.
        train_way: Classes per training episode; by default the protocol's.
        train_shot: Support examples per class in training; by default the protocol's.
        train_query: Query examples per class in training; by default the protocol's.
        clip_norm: Largest norm of the meta-gradient; 0 does not clip.
    """

    optimizer: Literal["adam", "sgd"] = "adam"
    learning_rate: float = bounded(1e-3, least=0)
    weight_decay: float = bounded(0.0, least=0)
    schedule: Literal["constant", "cosine", "halving"] = "constant"
    meta_batch: int = bounded(1, least=1)
    train_way: int | None = bounded(None, least=2)
    train_shot: int | None = bounded(None, least=1)
    train_query: int | None = bounded(None, least=1)
    clip_norm: float = bounded(0.0, least=0)

    def __post_init__(self) -> None:
        """Check the ranges of `bounded` fields.

        Raises:
            ValueError: If a value is outside.
        """
        parents = [cls for cls in type(self).__mro__ if dataclasses.is_dataclass(cls)]
        for field in (field for cls in parents for field in dataclasses.fields(cls)):
            value, bounds = getattr(self, field.name), field.metadata.get("bounds", {})
            if value is not None and not all(_HOLDS[k](value, v) for k, v in bounds.items()):
                ranges = " and ".join(f"{k} {v}" for k, v in bounds.items())
                raise ValueError(f"{field.name}={value} must be {ranges}")


@dataclass(frozen=True)
class TaskSpec:
    """What an algorithm is built for.

    Attributes:
        kind: The kind of task.
        way: The largest number of classes in an episode of any split; in regression the number of
            outputs ``k``.
        width: The length ``d`` of an embedding.
        map_shape: Channels and positions of a map, for an algorithm that is given maps; ``None``
            for one that is given embeddings.
        encoder: The encoder, for an algorithm that adapts its weights; ``None`` otherwise. The
            core owns, trains and saves its parameters.
    """

    kind: TaskKind
    way: int
    width: int
    encoder: Encoder | None = None
    map_shape: tuple[int, ...] | None = None


class Algorithm(nn.Module, ABC, Generic[X]):
    """A few-shot learner on batches of episodes.

    Implement ``adapt``; override ``loss`` if what is optimised in meta-training is not the query
    loss of the adapted predictor. Meta-learned parameters are ordinary module parameters. Nothing
    may be remembered between episodes. Evaluation runs without gradients: a learner that descends
    a gradient while it adapts enables them itself with ``torch.enable_grad()``.

    Attributes:
        Hyperparameters: The dataclass of its settings, with the paper's values as defaults.
        label_equivariant: Whether renaming the classes of an episode renames the scores and does
            nothing else. A meta-learned head with one output per class says ``False``.
        support_order_free: Whether the order of the support examples is without effect. A learner
            that reads them as a sequence, or in fixed mini-batches, says ``False``.
        task: What it was built for.
        hyper: Its settings.
    """

    Hyperparameters: ClassVar[type[Hyperparameters]] = Hyperparameters
    label_equivariant: bool = True
    support_order_free: bool = True

    def __init__(self, task: TaskSpec, hyper: Any = None) -> None:
        super().__init__()
        self.task = task
        self.hyper: Any = hyper if hyper is not None else self.Hyperparameters()

    @abstractmethod
    def adapt(self, support: Support[X]) -> Predictor[X]:
        """Adapt to the support sets of a batch of episodes.

        Args:
            support: Labelled support examples.

        Returns:
            A function from the queries ``x`` to scores ``[B, Q, way]``, larger for likelier
            classes (logits, for the default ``loss``); in regression to predictions ``[B, Q, k]``.
        """

    def adapt_transductive(self, support: Support[X], query: X) -> Predictor[X]:
        """Adapt with the unlabelled queries at hand; called if the descriptor says transductive.

        Args:
            support: Labelled support examples.
            query: The queries without their targets.

        Returns:
            A predictor as in ``adapt``, which will be called with these very queries.
        """
        del query
        return self.adapt(support)

    def fit_features(self, features: Tensor) -> None:
        """Look once at the meta-train embeddings, after meta-training and before evaluation.

        By default nothing happens. A learner that centres by the mean of the base classes, say,
        keeps that mean in a buffer.

        Args:
            features: ``[n, d]`` embeddings of meta-train examples, at most
                `metabench.learners.training.FIT_EXAMPLES` of them, evenly spread over the split.
        """

    def loss(self, support: Support[X], query: Query[X]) -> Tensor:
        """Return the scalar that meta-training minimises on a batch of episodes.

        By default the cross-entropy (mean squared error in regression) of the adapted predictor on
        the queries.
        """
        return task_loss(self.adapt(support)(query.x), query.y)


class EpisodeAlgorithm(Algorithm[Tensor]):
    """Base class for an author who writes for one episode; the core maps it over the batch."""

    @abstractmethod
    def adapt_episode(self, x: Tensor, y: Tensor, way: int) -> Callable[[Tensor], Tensor]:
        """Adapt to one support set.

        Args:
            x: ``[S, d]`` embeddings.
            y: ``[S]`` labels, or ``[S, k]`` values.
            way: Number of classes, or of outputs.

        Returns:
            A function from ``[Q, d]`` embeddings to scores ``[Q, way]``, or values ``[Q, k]``.
        """

    def adapt(self, support: Support[Tensor]) -> Predictor[Tensor]:
        """Map ``adapt_episode`` over the batch."""
        heads = [
            self.adapt_episode(x, y, support.way) for x, y in zip(support.x, support.y, strict=True)
        ]

        def predict(query: Tensor) -> Tensor:
            return torch.stack([head(x) for head, x in zip(heads, query, strict=True)])

        return predict


def task_loss(scores: Tensor, targets: Tensor) -> Tensor:
    """Mean cross-entropy of ``[B, Q, way]`` logits, or mean squared error of values."""
    if targets.is_floating_point():
        return F.mse_loss(scores, targets)
    return F.cross_entropy(scores.flatten(0, 1), targets.flatten())


def one_hot(labels: Tensor, way: int, dtype: torch.dtype = torch.float32) -> Tensor:
    """``[B, S]`` labels to ``[B, S, way]`` indicators: the way to gather by class, in any order."""
    return F.one_hot(labels, way).to(dtype)


def class_means(support: Support[Tensor]) -> Tensor:
    """``[B, way, d]`` mean embedding of each class, whatever the order and number of its shots."""
    member = one_hot(support.y, support.way, support.x.dtype)
    return member.transpose(1, 2) @ support.x / member.sum(1).clamp_min(1).unsqueeze(-1)


def build_hyperparameters(
    cls: type[Hyperparameters], options: Mapping[str, Any], owner: str
) -> Hyperparameters:
    """Check and apply options.

    Args:
        cls: The algorithm's dataclass.
        options: Values by name.
        owner: The algorithm's name, for the error.

    Returns:
        An instance with the options set.

    Raises:
        UsageError: If an option is not a hyperparameter or its value is not of the declared type;
            an integer passes for a float.
    """
    hints = get_type_hints(cls)
    known = {field.name for field in dataclasses.fields(cls)}
    for field in dataclasses.fields(cls):
        if field.metadata.get("collects"):
            own = set(cls.__annotations__) - {field.name}
            others = {name: value for name, value in options.items() if name not in own}
            options = {name: options[name] for name in own & options.keys()}
            options[field.name] = others
    checked: dict[str, Any] = {}
    for name, value in options.items():
        if name not in known:
            raise unknown_name(f"{owner} hyperparameter", name, known)
        try:
            checked[name] = TypeAdapter(hints[name]).validate_python(value, strict=True)
        except ValidationError as error:
            raise UsageError(
                f"{owner} hyperparameter {name}={value!r} is not {_type_name(hints[name])}"
            ) from error
    try:
        return cls(**checked)
    except ValueError as error:
        raise UsageError(f"{owner}: {error}") from error


def _type_name(hint: Any) -> str:
    """Write a type as an author would: ``int or None``, ``'adam' or 'sgd'``."""
    arguments = get_args(hint)
    if get_origin(hint) is Literal:
        return " or ".join(repr(value) for value in arguments)
    if get_origin(hint) in {Union, UnionType}:
        return " or ".join(_type_name(argument) for argument in arguments)
    if hint is type(None):
        return "None"
    return hint.__name__ if isinstance(hint, type) and not arguments else str(hint)
