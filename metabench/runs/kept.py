"""Where a user's own data lie, kept in the store for each, so that later commands find them."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from metabench.atomic import write_text
from metabench.runs.request import RunRequest

FOLDER = "own"


class OwnRun(BaseModel):
    """The last run of own data on a store.

    Attributes:
        request: What was asked for, with the paths of the data.
        digest: The digest of the data as that run found them; empty while it is not known.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    request: RunRequest
    digest: str = ""


def keep_own_run(store: Path, source: str, run: OwnRun) -> None:
    """Write down the last run of own data.

    Args:
        store: The folder of the store.
        source: The name of the own data.
        run: Their last run.

    Raises:
        MetabenchError: If the store cannot be written to.
    """
    write_text(store / FOLDER / f"{source}.json", run.model_dump_json(indent=1) + "\n")


def own_run(store: Path, source: str) -> OwnRun | None:
    """Return the last run of own data; ``None`` if nothing readable is kept of any.

    Args:
        store: The folder of the store.
        source: The name of the own data.
    """
    try:
        return OwnRun.model_validate_json((store / FOLDER / f"{source}.json").read_text("utf-8"))
    except (OSError, UnicodeDecodeError, ValidationError):
        return None
