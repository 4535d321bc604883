"""``fs-mol``: activity in 5,000 assays of ChEMBL (Stanley et al., 2021), in the official split.

Stanley et al., "FS-Mol: a few-shot learning dataset of molecules", NeurIPS Datasets and Benchmarks
2021. Each assay is a file ``fs-mol/{train,valid,test}/<assay>.jsonl.gz``; ``Property`` is the
label. ``fsmol-0.1.json`` lists the assays of each split; its ``valid`` is metabench's ``val``.
Test assays carry their enzyme class (EC, first digit) as the subset, as in the paper's tables.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from metabench.errors import UnavailableError
from metabench.tasks.data import TaskData
from metabench.tasks.files import SourceContext
from metabench_molecules.assays import Assays, Row
from metabench_molecules.files import (
    FSMOL_FIGSHARE,
    FSMOL_OTHERS,
    FSMOL_SPLIT,
    FSMOL_TAR,
    FSMOL_TARGETS,
)
from metabench_molecules.reading import (
    REMEDY,
    broken,
    json_lines,
    parse_csv,
    parse_json,
    read,
    tar_members,
)

SPLITS = {"train": "train", "valid": "val", "test": "test"}
SUFFIX = ".jsonl.gz"
_LABELS = {0.0: 0, 1.0: 1}
_NAMED = 5

Files = dict[tuple[str, str], tuple[str, bytes]]
"""Place and bytes of each task's file, by upstream's split and the task's name."""


def fs_mol(context: SourceContext) -> TaskData:
    """Load every assay of the official split that is there.

    Args:
        context: Where ``fs-mol-slim.tar``, ``fs-mol.tar`` or the unpacked folder ``fs-mol`` is.

    Returns:
        Binary tasks named by assay, in the order of their names.

    Raises:
        UnavailableError: If a file is missing, damaged, or not what upstream describes.
    """
    notes: list[str] = []
    listed = _split(*read(context, FSMOL_SPLIT, notes))
    subsets = _subsets(*read(context, FSMOL_TARGETS, notes))
    where = _archive(context)
    wanted = {(split, name) for split, names in listed.items() for name in names}
    files: Files = {}
    others = 0
    for split, name, place, packed in _task_files(context, where):
        if (split, name) in wanted:
            files[split, name] = (place, packed)
        else:
            others += 1
    if others:
        notes.append(f"{others} task files of {where.name} are not in {FSMOL_SPLIT.path}")
    assays = Assays(context.source)
    for split, names in listed.items():
        present = sorted(name for name in names if (split, name) in files)
        if missing := sorted(set(names) - set(present)):
            some = ", ".join(missing[:_NAMED]) + (" ..." if len(missing) > _NAMED else "")
            notes.append(f"{len(missing)} of {len(names)} {split} tasks are not there: {some}")
        for name in present:
            place, packed = files.pop((split, name))
            subset = subsets.get(name, "") if split == "test" else ""
            assays.binary(SPLITS[split], name, _rows(place, packed), subset)
    return assays.data(notes)


def _split(path: Path, text: str) -> dict[str, list[str]]:
    value = parse_json(path, text)
    if not isinstance(value, dict):
        raise broken(str(path), f"expected a JSON object, found a {type(value).__name__}")
    for split in SPLITS:
        names = value.get(split)
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise broken(str(path), f"no list of task names at {split!r}")
    return {split: value[split] for split in SPLITS}


def _subsets(path: Path, text: str) -> dict[str, str]:
    columns = ("chembl_id", "EC_super_class", "EC_super_class_name")
    return {
        row["chembl_id"]: f"EC {row['EC_super_class']} {row['EC_super_class_name']}"
        for _, row in parse_csv(path, text, columns)
        if row["EC_super_class"]
    }


def _archive(context: SourceContext) -> Path:
    if context.data_dir is None:
        return context.file(FSMOL_TAR.path)  # says that no data directory is set
    for path in (FSMOL_TAR.path, *FSMOL_OTHERS):
        if (context.data_dir / path).exists():
            return context.file(path)
    raise UnavailableError(
        f"{context.source}: there is no {FSMOL_TAR.path} below {context.data_dir}",
        f"get {FSMOL_FIGSHARE} as {FSMOL_OTHERS[0]}, or unpack that archive as {FSMOL_OTHERS[1]}",
    )


def _task_files(context: SourceContext, where: Path) -> Iterator[tuple[str, str, str, bytes]]:
    """Yield split, name, place and bytes of every task file."""
    if where.is_dir():
        for path in sorted(where.glob(f"*/*{SUFFIX}")):
            if path.parent.name in SPLITS:
                context.used.append(path)
                try:
                    packed = path.read_bytes()
                except OSError as error:
                    raise UnavailableError(
                        f"{path} cannot be read ({error.strerror})", REMEDY
                    ) from error
                yield path.parent.name, path.name.removesuffix(SUFFIX), str(path), packed
        return
    for member, packed in tar_members(where, SUFFIX):
        path_in = PurePosixPath(member)
        if path_in.parent.name in SPLITS and not path_in.name.startswith("._"):
            name = path_in.name.removesuffix(SUFFIX)
            yield path_in.parent.name, name, f"{where}: {member}", packed


def _rows(place: str, packed: bytes) -> Iterator[Row]:
    for where, line in json_lines(place, packed):
        smiles = line.get("SMILES")
        if not isinstance(smiles, str):
            raise broken(where, f"SMILES is {smiles!r}, not a string")
        yield Row(smiles, _label(where, line.get("Property")), where)


def _label(where: str, value: Any) -> int:
    try:
        return _LABELS[float(value)]
    except (KeyError, TypeError, ValueError) as error:
        raise broken(where, f"Property is {value!r}, not 0.0 or 1.0") from error
