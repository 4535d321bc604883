"""From what a user names to labelled rows, whatever it is. Needs no torch."""

from __future__ import annotations

from collections.abc import Sequence

from metabench.errors import UsageError
from metabench.hookspecs import ReaderInfo
from metabench.own.data import OwnData, flag, shown
from metabench.own.folder import read_folder
from metabench.own.rows import Rows

COLUMN_FIELDS = (
    "text", "smiles", "file", "column", "label", "targets", "group", "split_column",
)  # fmt: skip


def read_rows(own: OwnData, readers: Sequence[ReaderInfo]) -> tuple[Rows, ReaderInfo]:
    """Read a user's own data without decoding any item.

    Args:
        own: What is named.
        readers: Those that are installed.

    Returns:
        The rows, and the reader of their items.

    Raises:
        MetabenchError: If they cannot be read; the message says where and what to do.
    """
    if own.data_folder is not None:
        for field in COLUMN_FIELDS:
            if value := getattr(own, field):
                raise UsageError(
                    f"{flag(field)} {shown(value)} names a column, and --data-folder has none; "
                    "its folders are the classes"
                )
        return read_folder(own, readers)
    if own.data_table is not None:
        from metabench.own.table import read_table  # noqa: PLC0415 - pandas, for tables alone

        return read_table(own, readers)
    from metabench.own.hub import read_hub  # noqa: PLC0415 - pandas and datasets

    return read_hub(own, readers)
