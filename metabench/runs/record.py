"""What a cell leaves behind: status, scores, cost and provenance."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

SCHEMA_VERSION = 2

Status = Literal["ok", "failed", "timeout", "killed", "inapplicable", "unavailable"]


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Cell(_Model):
    """The unit of work: which learner, on what, under which protocol, with which seed.

    Attributes:
        domain: The source's domain.
        source: The source's name.
        task_kind: What is predicted.
        encoder: The encoder as asked for, with its argument; ``none`` if the algorithm uses none.
        encoder_policy: ``trainable``, ``frozen``, or ``none``.
        algorithm: The algorithm's name.
        protocol: The protocol's name, such as ``quick-5w1s``.
        protocol_digest: SHA-256 of what the protocol fixes.
        way: Classes per test episode, such as ``5`` or ``5-50``.
        shot: Examples per class, such as ``1`` or ``uneven``; in task pools the support size.
        metric: The metric's name.
        chance: The metric's value for an uninformed learner.
        best: The metric's best possible value.
        seed: The seed.
        inductive: Whether each query is predicted from the support alone.
        plugin: The distribution that provides the algorithm.
        plugin_version: Its version.
    """

    domain: str
    source: str
    task_kind: str
    encoder: str
    encoder_policy: Literal["trainable", "frozen", "none"]
    algorithm: str
    protocol: str
    protocol_digest: str
    way: str
    shot: str
    metric: str
    chance: float
    best: float
    seed: int
    inductive: bool
    plugin: str
    plugin_version: str

    @property
    def label(self) -> str:
        """``source/encoder/algorithm/protocol/seed``: how people name a cell."""
        return "/".join(
            (self.source, self.encoder, self.algorithm, self.protocol, f"seed{self.seed}")
        )


class Cost(_Model):
    """What a cell used.

    Attributes:
        train_seconds: Time in meta-training; that of the shared checkpoint, if it was reused.
        adapt_ms_per_task: Adaptation and prediction per test task, embedding apart, in ms.
        embed_seconds: Time spent embedding test items or whole sources.
        peak_memory_mb: Largest resident size of the worker during the cell, in MB; where the system
            cannot count anew (all but Linux), since the worker began.
        parameters: Number of weights of encoder and algorithm.
        examples_seen: Meta-training examples used.
        shared_training: Whether another cell had trained the weights already.
    """

    train_seconds: float | None = None
    adapt_ms_per_task: float | None = None
    embed_seconds: float | None = None
    peak_memory_mb: float | None = None
    parameters: int | None = None
    examples_seen: int | None = None
    shared_training: bool = False


class Failure(_Model):
    """Why a cell is not ``ok``.

    Attributes:
        reason: One line for the table.
        exception: The exception's type, if one was raised.
        traceback: Path of the traceback below the store, if there is one.
    """

    reason: str
    exception: str = ""
    traceback: str = ""


class Record(_Model):
    """One cell's outcome, as kept in the store.

    Attributes:
        schema_version: Version of this layout.
        key: The cell key: SHA-256 of ``key_parts``.
        key_parts: Everything that the key is made of; a change of any part reruns the cell.
        cell: Which cell it is.
        status: How it ended.
        failure: Why it is not ``ok``.
        mean: Mean of the metric over the defined episodes, for ``ok`` cells.
        episodes: Number of test episodes on which the metric is defined.
        undefined_episodes: Number of test episodes on which it is not.
        other_metrics: Mean of further metrics over the episodes on which each is defined, and of
            the metric over each subset of the tasks, as ``nmse (inside)``; ``None`` if undefined.
        episodes_digest: SHA-256 of all test-episode indices: equal digest, equal episodes.
        scores_sha256: SHA-256 of the ``.npz`` beside the record.
        cost: What the cell used.
        training: How the weights were trained: recipe, steps, learning curve, train way and shot.
        provenance: Versions, hardware, device, precision, times.
        notes: What was left out or decided on the way.
        checksum: SHA-256 of the record without this field.
    """

    schema_version: int = SCHEMA_VERSION
    key: str
    key_parts: Mapping[str, Any]
    cell: Cell
    status: Status
    failure: Failure | None = None
    mean: float | None = None
    episodes: int = 0
    undefined_episodes: int = 0
    other_metrics: Mapping[str, float | None] = Field(default_factory=dict)
    episodes_digest: str = ""
    scores_sha256: str = ""
    cost: Cost = Field(default_factory=Cost)
    training: Mapping[str, Any] = Field(default_factory=dict)
    provenance: Mapping[str, Any] = Field(default_factory=dict)
    notes: tuple[str, ...] = ()
    checksum: str = ""

    def body(self) -> dict[str, Any]:
        """Return the record as plain JSON types, without its checksum."""
        return self.model_dump(mode="json", exclude={"checksum"})

    def sealed(self) -> Record:
        """Return a copy that carries its own checksum."""
        return self.model_copy(update={"checksum": digest_of(self.body())})

    @property
    def intact(self) -> bool:
        """Whether the checksum fits the content."""
        return self.checksum == digest_of(self.body())


def canonical_json(value: Any) -> str:
    """Return JSON with sorted keys and no spaces: equal values give equal text."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def own_data_words(provenance: Mapping[str, Any]) -> list[str]:
    """Return the flags that named a user's own data; none if the source is a plugin's."""
    words = provenance.get("own_data")
    words = words if isinstance(words, list) else []
    return [word for word in words if isinstance(word, str) and word.isprintable()]


def digest_of(value: Any) -> str:
    """Return the SHA-256 of a value's canonical JSON."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()
