"""Labelled texts from the Hugging Face hub, or a local copy, through `datasets`.

The loader of a source reads the files that upstream publishes, because it can then name the line
of a fault. ``datasets`` serves where the same data are wanted from a hub id at a pinned revision
(Lhoest et al., "Datasets: a community library for natural language processing", EMNLP 2021).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from metabench.errors import UnavailableError, UsageError
from metabench_nlp.pools import Utterance

_COMMIT = re.compile(r"[0-9a-f]{40}")


def hub_utterances(
    hub: str,
    *,
    revision: str = "",
    config: str = "",
    text: str = "text",
    label: str = "label",
    splits: Sequence[str] = ("train", "validation", "test"),
) -> Iterator[Utterance]:
    """Yield the labelled texts of a data set.

    Args:
        hub: A hub id such as ``PolyAI/banking77``, or a folder in a layout that ``datasets``
            recognises.
        revision: The commit of a hub id, 40 hexadecimal digits; a branch could move.
        config: The data set's configuration, where it has several.
        text: The column of the texts.
        label: The column of the classes: names, or integers with names in the features.
        splits: The splits to read, in this order; those that the data set lacks are left out.

    Yields:
        Texts in the order of the data set.

    Raises:
        UsageError: If a hub id comes without a commit.
        UnavailableError: If the data set cannot be had or lacks a column.
    """
    local = Path(hub).is_dir()
    if not local and not _COMMIT.fullmatch(revision):
        raise UsageError(
            f"hub data set {hub!r} needs the 40 digits of a commit as revision, not {revision!r}"
        )
    found = _load(hub, revision, config, local=local)
    for split in splits:
        if split not in found:
            continue
        table = found[split]
        if missing := [name for name in (text, label) if name not in table.column_names]:
            columns = ", ".join(table.column_names)
            raise UnavailableError(f"{hub}, {split}: no column {missing[0]!r}; found {columns}")
        names = getattr(table.features[label], "names", None)
        for row, (words, value) in enumerate(zip(table[text], table[label], strict=True)):
            place = f"{hub}, {split}, row {row}"
            if not isinstance(words, str) or not words.strip() or value is None:
                raise UnavailableError(f"{place}: empty")
            name = names[value] if names is not None and isinstance(value, int) else str(value)
            yield Utterance(words, name, place)


def _load(hub: str, revision: str, config: str, *, local: bool) -> Mapping[str, Any]:
    import datasets  # noqa: PLC0415 - a second and a half that only this path needs

    # datasets raises the errors of fsspec, pyarrow, httpx and its own for one and the same fault.
    try:
        return datasets.load_dataset(  # type: ignore[no-any-return]
            hub, config or None, revision=None if local else revision
        )
    except Exception as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise UnavailableError(
            f"data set {hub!r} cannot be loaded ({reason})",
            f"download it with `hf download --repo-type dataset {hub} --local-dir DIR`"
            if not local
            else "get it again",
        ) from error
