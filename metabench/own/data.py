"""What a user says of own data. Needs no torch."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from metabench.errors import UsageError

FILE_ROLE = "file"
"""The role of a column of paths."""


class OwnData(BaseModel):
    """Where own data lie and how they are labelled; at most one of the first three is given.

    Attributes:
        data_folder: A folder with a folder of files for each class, or a .zip of one.
        data_table: A table: .csv, .tsv, .parquet or .jsonl.
        hf_dataset: A data set of the Hugging Face hub, or a folder that ``datasets`` loads.
        text: The column of texts.
        smiles: The column of SMILES.
        file: The column of paths, relative to the table.
        column: ``ROLE=COLUMN`` for a role that a plugin adds.
        label: The column of classes.
        targets: Columns of one task each: 0 and 1, or numbers; blank where nothing was measured.
        group: The column of what must not be on both sides of an episode, such as a speaker.
        split_column: The column that says ``train``, ``val`` or ``test`` of each class.
        split_file: A file that says it: lines ``class,split``, or JSON.
        similar_labels: What becomes of labels that differ only in case or space.
        encoding: Of tables and text files.
        modality: Which kind of file is read, where a folder holds several.
        max_items: Examples that are kept, the largest classes reduced first; 0 keeps all.
        reader_options: Settings of the reader, such as ``{"size": 224}``.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    data_folder: Path | None = None
    data_table: Path | None = None
    hf_dataset: str = ""
    text: str = ""
    smiles: str = ""
    file: str = ""
    column: str = ""
    label: str = ""
    targets: tuple[str, ...] = ()
    group: str = ""
    split_column: str = ""
    split_file: Path | None = None
    similar_labels: Literal["ask", "keep", "merge"] = "ask"
    encoding: str = "utf-8"
    modality: str = ""
    max_items: int = Field(default=50_000, ge=0)
    reader_options: Mapping[str, int | float | str] = Field(default_factory=dict)

    @field_validator("column")
    @classmethod
    def _check_column(cls, column: str) -> str:
        role, equals, name = column.partition("=")
        if column and not (role and equals and name):
            raise ValueError("write ROLE=COLUMN")
        return column

    @property
    def own(self) -> OwnData | None:
        """The own data alone, with absolute paths; ``None`` if there are none.

        Raises:
            UsageError: If several are given, or settings of own data without any.
        """
        fields = {name: getattr(self, name) for name in OwnData.model_fields}
        given = [n for n in ("data_folder", "data_table", "hf_dataset") if fields[n]]
        if len(given) > 1:
            raise UsageError(f"{' and '.join(map(flag, given))}: one per run")
        if not given:
            for name, value in fields.items():
                if value != OwnData.model_fields[name].get_default(call_default_factory=True):
                    raise UsageError(
                        f"{flag(name)} {shown(value)} is about own data and none are named; "
                        "add --data-folder, --data-table or --hf-dataset"
                    )
            return None
        for name in ("data_folder", "data_table", "split_file"):
            if fields[name] is not None:
                fields[name] = fields[name].expanduser().absolute()
        if fields["hf_dataset"] and (local := Path(fields["hf_dataset"]).expanduser()).exists():
            fields["hf_dataset"] = str(local.absolute())
        return OwnData(**fields)

    @property
    def place(self) -> str:
        """The last part of the path or name, for messages and names."""
        path = self.data_folder or self.data_table or Path(self.hf_dataset)
        return path.name

    @property
    def roles(self) -> dict[str, str]:
        """The column of each role that is given."""
        roles = {"text": self.text, "smiles": self.smiles, FILE_ROLE: self.file}
        role, _, name = self.column.partition("=")
        return {role: name for role, name in {**roles, role: name}.items() if name}

    @property
    def words(self) -> list[str]:
        """The flags that name these data, for a record: names of files without their folders."""
        words = []
        for name, field in OwnData.model_fields.items():
            value = getattr(self, name)
            if value == field.get_default(call_default_factory=True):
                continue
            if name == "reader_options":
                words += [w for k, v in value.items() for w in (flag(name), f"{k}={v}")]
            elif isinstance(value, Path):
                words += [flag(name), value.name]
            elif name == "hf_dataset" and Path(value).is_absolute():
                words += [flag(name), Path(value).name]
            else:
                words += [flag(name), shown(value)]
        return words

    def to_json(self) -> dict[str, Any]:
        """Return plain values, for the options of the source."""
        return self.model_dump(mode="json")


def flag(field: str) -> str:
    """Return the flag of a field."""
    return f"--{field.replace('_', '-')}"


def pathname(path: Path) -> str:
    """Return a path for a message: from the current folder, where it lies there."""
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)


def shown(value: object) -> str:
    """Return a value as it is typed."""
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
