"""Which reader reads a user's items. Needs no torch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from metabench.errors import UsageError, unknown_name
from metabench.hookspecs import ReaderInfo
from metabench.own.data import OwnData
from metabench.own.rows import counted

MOST_SUFFIXES = 4


def suffix_of(name: str) -> str:
    """Return the last suffix of a file name, in lower case."""
    base = name.rpartition("/")[2].lower()
    stem, dot, suffix = base.rpartition(".")
    return dot + suffix if stem else ""


def choose_by_files(
    own: OwnData, counts: Mapping[str, int], readers: Sequence[ReaderInfo]
) -> ReaderInfo:
    """Find the one reader whose files these are.

    Args:
        own: May name the modality.
        counts: How many files there are of each suffix.
        readers: Those that are installed.

    Raises:
        UsageError: If no reader reads any of them, several do, or the modality is unknown.
    """
    able = [reader for reader in readers if reader.suffixes]
    if own.modality:
        known = {reader.modality for reader in able}
        if own.modality not in known:
            raise unknown_name("modality", own.modality, known)
        able = [reader for reader in able if reader.modality == own.modality]
    found = Counter[str]()
    by_name = {reader.name: reader for reader in able}
    for suffix, number in counts.items():
        for reader in able:
            if suffix and any(own_suffix.endswith(suffix) for own_suffix in reader.suffixes):
                found[reader.name] += number
    if not found:
        kinds = ", ".join(f"{s or 'without suffix'} ({n:,})" for s, n in _most(counts))
        read = ", ".join(suffix for reader in able for suffix in reader.suffixes)
        raise UsageError(
            f"{own.place} holds no file that an installed plugin reads; found {kinds}; read are "
            f"{read or 'none'} (`metabench list readers`)"
        )
    if len(found) > 1:
        said = " and ".join(
            f"{counted(number, f'{by_name[name].modality} file')} "
            f"({_suffixes(by_name[name], counts)})"
            for name, number in found.most_common()
        )
        choice = by_name[found.most_common(1)[0][0]].modality
        raise UsageError(
            f"{own.place} holds {said}; one kind per run: say --modality {choice} to leave the "
            "others out, or move them elsewhere"
        )
    return by_name[next(iter(found))]


def choose_by_role(own: OwnData, role: str, readers: Sequence[ReaderInfo]) -> ReaderInfo:
    """Find the reader of a column of some role.

    Raises:
        UsageError: If there is none, or several.
    """
    able = [reader for reader in readers if reader.role == role]
    if own.modality:
        able = [reader for reader in able if reader.modality == own.modality]
    if not able:
        roles = {reader.role for reader in readers if reader.role}
        if role in roles:
            raise UsageError(f"--modality {own.modality}: no reader makes it from {role}")
        raise unknown_name("role of a column", role, roles)
    if len(able) > 1:
        names = ", ".join(f"{reader.name} ({reader.modality})" for reader in able)
        raise UsageError(f"several readers read {role}: {names}; choose one with --modality")
    return able[0]


def _most(counts: Mapping[str, int]) -> list[tuple[str, int]]:
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:MOST_SUFFIXES]


def _suffixes(reader: ReaderInfo, counts: Mapping[str, int]) -> str:
    own = [s for s, _ in _most(counts) if s and any(r.endswith(s) for r in reader.suffixes)]
    return ", ".join(own)
