"""Checking the descriptors that plugins yield."""

from __future__ import annotations

import difflib
import json
import math
import re
from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any, get_args

from metabench.hookspecs import (
    PROTOCOL_SETTINGS,
    AlgorithmInfo,
    ChosenInfo,
    DataFile,
    Descriptor,
    EncoderInfo,
    MetricInfo,
    ReaderInfo,
    TaskKind,
    TaskSourceInfo,
)

NAME = re.compile(r"[a-z0-9][a-z0-9._+-]*")
TARGET = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*(\.[^\W\d]\w*)*")
MODULE = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*")
SUFFIX = re.compile(r"(\.[a-z0-9_+-]+)+")
SHA256 = re.compile(r"[0-9a-f]{64}")
TASK_KINDS: tuple[str, ...] = get_args(TaskKind)
RECIPES = ("episodic", "supervised", "none")
FEATURES = ("vector", "map", "map-if-any")


def descriptor_faults(info: Descriptor) -> list[str]:
    """Say everything that is wrong with a descriptor.

    Args:
        info: A descriptor whose fields may hold anything.

    Returns:
        One phrase per fault, with the field and its value.
    """
    faults = list(_common_faults(info))
    if isinstance(info, TaskSourceInfo):
        faults += _source_faults(info)
    elif isinstance(info, EncoderInfo):
        faults += _encoder_faults(info)
    elif isinstance(info, AlgorithmInfo):
        faults += _algorithm_faults(info)
    elif isinstance(info, MetricInfo):
        faults += _metric_faults(info)
    elif isinstance(info, ReaderInfo):
        faults += _reader_faults(info)
    return faults


def _common_faults(info: Descriptor) -> Iterator[str]:
    yield from _name_faults("name", info.name)
    if not _is_line(info.summary) or not info.summary.strip():
        yield f"summary {info.summary!r} is not one line of text"
    if not _matches(TARGET, info.target):
        yield f"target {info.target!r} is not 'package.module:Name'"
    for field in ("citation", "licence"):
        if not _is_line(getattr(info, field)):
            yield f"{field} {getattr(info, field)!r} is not one line of text"
    if not _is_json_mapping(info.options):
        yield f"options {info.options!r} are not a mapping of names to JSON values"
    if not _is_tuple_of(info.requires, MODULE):
        yield f"requires {info.requires!r} is not a tuple of module names"


def _source_faults(info: TaskSourceInfo) -> Iterator[str]:
    for field in ("domain", "modality", "metric"):
        yield from _name_faults(field, getattr(info, field))
    if info.task_kind not in TASK_KINDS:
        yield f"task_kind {info.task_kind!r} is not one of {', '.join(TASK_KINDS)}"
    if not _is_tuple_of(info.other_metrics, NAME):
        yield f"other_metrics {info.other_metrics!r} is not a tuple of names"
    yield from _flag_faults(info, "synthetic")
    files: Any = info.files
    if not isinstance(files, tuple) or not all(isinstance(file, DataFile) for file in files):
        yield f"files {files!r} is not a tuple of DataFile"
    else:
        for file in files:
            yield from _file_faults(file)
    yield from _settings_faults("protocol", info.protocol)
    suites: Any = info.suites
    if not isinstance(suites, Mapping) or not all(map(_is_suite, suites)):
        yield f"suites {suites!r} is not a mapping of suite names to protocol settings"
        return
    for name, settings in suites.items():
        yield from _settings_faults(f"suites[{name!r}]", settings, {"shots"})


def _settings_faults(
    field: str, settings: Any, more: frozenset[str] | set[str] = frozenset()
) -> Iterator[str]:
    if not _is_json_mapping(settings):
        yield f"{field} {settings!r} is not a mapping of protocol settings to JSON values"
        return
    known = PROTOCOL_SETTINGS | more
    for name in settings:
        if name not in known:
            near = difflib.get_close_matches(name, sorted(known), n=1)
            hint = f"did you mean {near[0]}?" if near else f"known: {', '.join(sorted(known))}"
            yield f"{field} has the unknown setting {name!r}; {hint}"
    shots = settings.get("shots", [1])
    if not isinstance(shots, list | tuple) or not all(_is_shot(shot) for shot in shots):
        yield f"{field} has shots {shots!r}, which is no list of numbers"


def _file_faults(file: DataFile) -> Iterator[str]:
    path = file.path
    if not _is_line(path) or not path or "\\" in path or ":" in path:
        yield f"file path {path!r} is not a path with forward slashes"
    elif PurePosixPath(path).is_absolute() or ".." in PurePosixPath(path).parts:
        yield f"file path {path!r} leads out of the data directory"
    if not _is_line(file.url) or (file.url and not file.url.startswith(("http://", "https://"))):
        yield f"url {file.url!r} of file {path!r} is neither http nor https"
    if file.sha256 != "" and not _matches(SHA256, file.sha256):
        yield f"sha256 {file.sha256!r} of file {path!r} is not 64 lower-case hexadecimal digits"


def _encoder_faults(info: EncoderInfo) -> Iterator[str]:
    if info.modalities != ("*",) and not (_is_tuple_of(info.modalities, NAME) and info.modalities):
        yield f"modalities {info.modalities!r} is not a tuple of names, or ('*',)"
    yield from _flag_faults(info, "trainable", "feature_map")
    if info.feature_map is True and info.trainable is False:
        yield "feature_map is set and trainable is not; only embeddings of frozen encoders are kept"
    yield from _chosen_faults(info)


def _algorithm_faults(info: AlgorithmInfo) -> Iterator[str]:
    yield from _task_kinds_faults(info.task_kinds)
    yield from _flag_faults(info, "inductive", "adapts_encoder", "uses_encoder")
    yield from _recipe_faults(info.recipe)
    if info.features not in FEATURES:
        yield f"features {info.features!r} is none of {', '.join(FEATURES)}"
    elif info.features != "vector" and (info.adapts_encoder or info.uses_encoder is False):
        yield f"features {info.features!r} is for learners on an encoder that they do not adapt"
    if info.adapts_encoder is True and info.uses_encoder is False:
        yield "adapts_encoder is set and uses_encoder is not"
    yield from _chosen_faults(info)


def _recipe_faults(recipe: Any) -> Iterator[str]:
    stages = recipe.split("+") if isinstance(recipe, str) else [recipe]
    for stage in stages:
        if stage not in RECIPES and not _matches(TARGET, stage):
            yield (
                f"recipe {stage!r} is neither of {', '.join(RECIPES)} nor 'package.module:Name', "
                "nor several of them joined by +"
            )
    if len(stages) > 1 and "none" in stages:
        yield f"recipe {recipe!r} joins 'none' to other stages"


def _metric_faults(info: MetricInfo) -> Iterator[str]:
    yield from _task_kinds_faults(info.task_kinds)
    if info.best != "1-base-rate" and not _is_number(info.best):
        yield f"best {info.best!r} is neither a finite number nor '1-base-rate'"
    if info.chance not in ("1/way", "base-rate") and not _is_number(info.chance):
        yield f"chance {info.chance!r} is neither a finite number nor '1/way' nor 'base-rate'"
    elif info.chance == info.best:
        yield f"chance and best are both {info.best!r}, so nothing can be normalised"


def _reader_faults(info: ReaderInfo) -> Iterator[str]:
    for field in ("domain", "modality", *(("role",) if info.role != "" else ())):
        yield from _name_faults(field, getattr(info, field))
    if not _is_tuple_of(info.suffixes, SUFFIX):
        yield f"suffixes {info.suffixes!r} is not a tuple like ('.png', '.jpg'), in lower case"
    elif not info.suffixes and not info.role:
        yield "it has neither suffixes nor a role, so nothing would ever be given to it"


def _name_faults(field: str, value: Any) -> Iterator[str]:
    if not _matches(NAME, value):
        yield f"{field} {value!r} is not a name like 'my-name' ([a-z0-9][a-z0-9._+-]*)"


def _task_kinds_faults(kinds: Any) -> Iterator[str]:
    if not isinstance(kinds, tuple) or not kinds or not all(kind in TASK_KINDS for kind in kinds):
        yield f"task_kinds {kinds!r} is not a tuple out of {', '.join(TASK_KINDS)}"


def _chosen_faults(info: ChosenInfo) -> Iterator[str]:
    suites: Any = info.suites
    if not isinstance(suites, tuple) or not all(_is_suite(name) for name in suites):
        yield f"suites {suites!r} is not a tuple of suite names"
    if not _is_line(info.argument):
        yield f"argument {info.argument!r} is not one line of text"
    if not _is_tuple_of(info.libraries, MODULE):
        yield f"libraries {info.libraries!r} is not a tuple of package names"


def _flag_faults(info: Descriptor, *fields: str) -> Iterator[str]:
    for field in fields:
        if not isinstance(getattr(info, field), bool):
            yield f"{field} {getattr(info, field)!r} is neither True nor False"


def _matches(pattern: re.Pattern[str], value: Any) -> bool:
    return isinstance(value, str) and pattern.fullmatch(value) is not None


def _is_line(value: Any) -> bool:
    return isinstance(value, str) and value.isprintable()


def _is_suite(value: Any) -> bool:
    return value == "*" or _matches(NAME, value)


def _is_shot(value: Any) -> bool:
    return isinstance(value, int | str) and not isinstance(value, bool)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _is_tuple_of(value: Any, pattern: re.Pattern[str]) -> bool:
    return isinstance(value, tuple) and all(_matches(pattern, item) for item in value)


def _is_json_mapping(value: Any) -> bool:
    if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
        return False
    try:
        json.dumps(dict(value), allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        return False
    return True
