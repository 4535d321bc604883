"""From a saved folder to a learner that can be used."""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import torch

from metabench.errors import MetabenchError, UnavailableError, UsageError
from metabench.hookspecs import Descriptor, EncoderInfo
from metabench.learners.contracts import Encoder, InputSpec, TaskSpec, build_hyperparameters
from metabench.learners.device import Compute
from metabench.learners.files import read_tensors
from metabench.learners.model import Blank, Embedded, FewShotModel
from metabench.registry.catalogue import Catalogue, Entry
from metabench.registry.discovery import load_plugins
from metabench.registry.home import HERE
from metabench.registry.targets import missing_modules, resolve_target
from metabench.saved.config import (
    REFERENCE,
    WEIGHTS,
    SavedConfig,
    SavedEncoder,
    SavedPart,
    read_config,
)
from metabench.saved.items import ItemInputs, input_spec
from metabench.saved.learner import SavedLearner

D = TypeVar("D", bound=Descriptor)


def load(
    folder: Path, *, device: str = "auto", encoder: str = "", catalogue: Catalogue | None = None
) -> SavedLearner:
    """Load a saved learner.

    Args:
        folder: What `metabench.export` wrote.
        device: ``auto`` or a torch device.
        encoder: The frozen encoder under another name, ``hf-vision:NEW/PLACE``, where its files lie
            elsewhere; its weights must be the same.
        catalogue: What is installed; by default found out.

    Returns:
        The learner.

    Raises:
        UsageError: If the folder holds no saved learner, or the device does not exist.
        UnavailableError: If the encoder or the algorithm is not installed, with what to install.
        MetabenchError: If weights are damaged, or not those that the learner was saved with.
    """
    config = read_config(folder)
    if catalogue is None:
        catalogue = load_plugins()
    compute = Compute.choose(device, config.precision)
    if encoder:
        config = _renamed(config, encoder)
    spec = input_spec(config)
    model = _build(config, spec, catalogue, compute)
    found = read_tensors(folder / WEIGHTS)
    if found is None:
        raise MetabenchError(f"{folder / WEIGHTS} is no whole safetensors file; export it again")
    try:
        model.load_state_dict(found[0])
    except RuntimeError as error:
        detail = " ".join(str(error).split())[:200]
        raise MetabenchError(
            f"{folder / WEIGHTS} does not fit what is installed here ({detail}); it was saved with "
            f"{_origin(config)}: install that version, or export it again"
        ) from error
    reference = None
    if config.reference_sha256:
        known = read_tensors(folder / REFERENCE)
        if known is None:
            raise MetabenchError(f"{folder / REFERENCE} is no whole safetensors file")
        reference = known[0]
    return SavedLearner(
        config, model, compute, ItemInputs(spec, catalogue, config.reader), reference
    )


def _build(
    config: SavedConfig, spec: InputSpec, catalogue: Catalogue, compute: Compute
) -> FewShotModel:
    """Build encoder and algorithm as a cell does, with weights that are still to be loaded."""
    encoder: Encoder = Blank()
    if config.encoder is not None:
        entry = _installed(config.encoder, "encoder", catalogue)
        encoder = _encoder(config.encoder, entry, spec)
    encoder = encoder.to(compute.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    algorithm = config.algorithm
    learner = _installed(algorithm, "algorithm", catalogue)
    algorithm_class = resolve_target(learner.info.target)
    hyper = build_hyperparameters(
        algorithm_class.Hyperparameters, learner.info.options, algorithm.name
    )
    task = TaskSpec(
        kind=config.task_kind,
        way=config.way,
        width=encoder.width,
        encoder=encoder if algorithm.adapts_encoder else None,
        map_shape=encoder.map_shape if algorithm.takes_maps else None,
    )
    return FewShotModel(
        encoder,
        algorithm_class(task, hyper).to(compute.device),
        adapts_encoder=algorithm.adapts_encoder,
        takes_maps=algorithm.takes_maps,
    )


def _encoder(saved: SavedEncoder, entry: Entry[EncoderInfo], spec: InputSpec) -> Encoder:
    """Build an encoder; a frozen one stays outside the model, as in a cell."""
    built = resolve_target(entry.info.target)(spec, **entry.info.options)
    if not isinstance(built, Encoder):
        raise MetabenchError(f"encoder {saved.name} built {type(built).__name__}, no Encoder")
    if saved.trainable:
        return built
    if (digest := built.weights_digest()) != saved.weights:
        raise MetabenchError(
            f"the weights of the encoder {saved.name} are {digest[:12]} here, and the learner was "
            f"saved with {saved.weights[:12]}: its embeddings would mean something else; get the "
            f"same weights ({saved.distribution} {saved.version}), or export it again"
        )
    built.requires_grad_(requires_grad=False)
    return Embedded(built.width, partial(_same, built))


def _same(encoder: Encoder) -> Encoder:
    return encoder


def _installed(saved: SavedPart, kind: str, catalogue: Catalogue) -> Entry[Any]:
    """Find a part among what is installed, with the options that it was saved with."""
    entries: Mapping[str, Entry[Any]] = (
        catalogue.encoders if kind == "encoder" else catalogue.algorithms
    )
    entry = entries.get(saved.registered)
    if entry is None:
        raise UnavailableError(
            f"the saved learner needs the {kind} {saved.registered!r} of {saved.distribution} "
            f"{saved.version}, and no installed plugin has it",
            f"pip install {saved.distribution}=={saved.version}",
        )
    if missing := missing_modules(entry.info.requires):
        raise UnavailableError(
            f"the {kind} {saved.registered} needs {', '.join(missing)}",
            f"pip install {' '.join(missing)}",
        )
    if HERE.code(entry.info.target) != saved.code:
        warnings.warn(
            f"the {kind} {saved.registered} of {entry.plugin} {entry.version} is other code than "
            f"that of {saved.distribution} {saved.version}, with which the learner was saved; its "
            "predictions may differ",
            stacklevel=4,
        )
    return _with_options(entry, saved)


def _with_options(entry: Entry[D], saved: SavedPart) -> Entry[D]:
    """Apply saved options, unless they are the plugin's own, which know their types."""
    if json.loads(json.dumps(dict(entry.info.options), default=list)) == dict(saved.options):
        return entry
    return replace(entry, info=replace(entry.info, options=dict(saved.options)))


def _renamed(config: SavedConfig, name: str) -> SavedConfig:
    if config.encoder is None or config.encoder.trainable:
        raise UsageError(f"encoder={name!r}: the encoder's weights are in the folder; leave it out")
    registered, colon, argument = name.partition(":")
    options = {**config.encoder.options, **({"argument": argument} if colon else {})}
    changes = {"name": name, "registered": registered, "options": options}
    return config.model_copy(update={"encoder": config.encoder.model_copy(update=changes)})


def _origin(config: SavedConfig) -> str:
    parts = [part for part in (config.encoder, config.algorithm) if part is not None]
    return " and ".join(dict.fromkeys(f"{part.distribution} {part.version}" for part in parts))
