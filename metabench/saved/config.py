"""What a saved learner's ``config.json`` holds."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from metabench.errors import MetabenchError, UsageError
from metabench.hookspecs import TaskKind
from metabench.runs.suite import first_error

FORMAT: Literal[1] = 1
CONFIG = "config.json"
WEIGHTS = "model.safetensors"
REFERENCE = "reference.safetensors"
_CHUNK = 2**20


class _Model(BaseModel):
    # A later version may add to it; what a change of meaning needs is another format.
    model_config = ConfigDict(frozen=True, extra="ignore")


class SavedInput(_Model):
    """One input of the source that the learner was trained on.

    Attributes:
        shape: The shape of one example.
        dtype: The type of its values, such as ``uint8``.
    """

    shape: tuple[int, ...]
    dtype: str


class SavedPart(_Model):
    """An encoder or an algorithm, by the name under which its plugin offers it.

    Attributes:
        name: As in the tables; an encoder's with its argument.
        registered: The name in the plugin: that of the algorithm behind a suite's variant.
        options: Its options: hyperparameters that differ from the defaults.
        distribution: The distribution that provides it.
        version: The version of that.
        code: Digest of the source code behind it.
    """

    name: str
    registered: str
    options: Mapping[str, Any]
    distribution: str
    version: str
    code: str


class SavedEncoder(SavedPart):
    """An encoder.

    Attributes:
        trainable: Whether its weights are in the folder; a frozen one is got from its plugin.
        weights: The digest of a frozen one's weights.
    """

    trainable: bool
    weights: str = ""


class SavedAlgorithm(SavedPart):
    """An algorithm.

    Attributes:
        hyperparameters: All its settings, for readers.
        inductive: Whether each query is predicted from the support alone.
        adapts_encoder: Whether it is given raw inputs.
        takes_maps: Whether it is given maps of local features.
    """

    hyperparameters: Mapping[str, Any]
    inductive: bool
    adapts_encoder: bool
    takes_maps: bool


class SavedReader(_Model):
    """How items become inputs, where the source was a user's own data.

    Attributes:
        name: The reader's name in its plugin.
        options: Its settings.
    """

    name: str
    options: Mapping[str, Any]


class SavedScore(_Model):
    """How good the learner was on the test tasks of its source.

    Attributes:
        metric: What the numbers are of.
        mean: The mean that may be expected.
        ci95_low: Lower end of its 95 % interval, if there is one.
        ci95_high: Upper end.
        ci_over: What the interval lets vary.
        chance: The metric's value for an uninformed learner.
        optimism: What was taken off because the learner was picked by these numbers.
        way: Classes per test task.
        shot: Labelled examples per class.
        episodes: Test episodes.
        seeds: Number of seeds; the weights are those of one of them.
    """

    metric: str
    mean: float
    ci95_low: float | None
    ci95_high: float | None
    ci_over: str | None
    chance: float
    optimism: float | None
    way: str
    shot: str
    episodes: int
    seeds: int


class SavedConfig(_Model):
    """A saved learner, its weights apart.

    Attributes:
        format: The version of this layout.
        metabench: The version that wrote it.
        task_kind: What is predicted.
        modality: What the items are.
        domain: The source's domain.
        source: The source that it was trained on.
        source_digest: The digest of its data.
        inputs: What the source's inputs look like.
        reader: What read the source's items, if it was a user's own data.
        encoder: The encoder; ``None`` if the algorithm uses none.
        algorithm: The algorithm.
        way: Classes that heads of fixed size were built for; in regression the number of outputs.
        precision: Of the encoder's arithmetic.
        seed: The seed of the training.
        protocol: How it was trained and tested.
        training: Recipe, steps, learning curve.
        score: How good it was.
        record: The key of the cell that it comes from.
        weights_sha256: SHA-256 of ``model.safetensors``.
        reference_sha256: SHA-256 of ``reference.safetensors``; empty if there is none.
        reference_items: How many meta-train items that file holds, which the encoder standardises
            new items by.
    """

    format: Literal[1] = FORMAT
    metabench: str
    task_kind: TaskKind
    modality: str
    domain: str
    source: str
    source_digest: str
    inputs: Mapping[str, SavedInput]
    reader: SavedReader | None = None
    encoder: SavedEncoder | None
    algorithm: SavedAlgorithm
    way: int
    precision: Literal["fp32", "bf16"]
    seed: int
    protocol: Mapping[str, Any]
    training: Mapping[str, Any]
    score: SavedScore | None
    record: str
    weights_sha256: str
    reference_sha256: str = ""
    reference_items: int = 0


def read_config(folder: Path) -> SavedConfig:
    """Read and check ``config.json``, and that the other files are those that go with it.

    Args:
        folder: A folder that `metabench.export` wrote.

    Raises:
        UsageError: If it is no such folder.
        MetabenchError: If a file is damaged, changed, missing, or of a later format.
    """
    path = folder / CONFIG
    try:
        values = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise UsageError(
            f"{folder} is no saved learner: it holds no {CONFIG}; `metabench export {folder}` "
            "writes one"
        ) from None
    except (OSError, ValueError, RecursionError) as error:
        raise MetabenchError(f"{path} cannot be read: {error}; export it again") from error
    later = values.get("format") if isinstance(values, dict) else None
    if isinstance(later, int) and later > FORMAT:
        raise MetabenchError(
            f"{path} has format {later}, and this metabench reads format {FORMAT}: "
            "pip install --upgrade metabench"
        )
    try:
        config = SavedConfig.model_validate(values)
    except ValidationError as error:
        raise MetabenchError(f"{path}: {first_error(error)}; export it again") from error
    _check(folder / WEIGHTS, config.weights_sha256)
    if config.reference_sha256:
        _check(folder / REFERENCE, config.reference_sha256)
    return config


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file."""
    sha = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            sha.update(chunk)
    return sha.hexdigest()


def _check(path: Path, expected: str) -> None:
    try:
        found = file_sha256(path)
    except OSError as error:
        raise MetabenchError(f"{path} cannot be read: {error.strerror}") from error
    if found != expected:
        raise MetabenchError(
            f"{path} has sha256 {found[:12]}, and {CONFIG} says {expected[:12]}: one of them was "
            "changed or is torn; copy the folder again, or export it again"
        )
