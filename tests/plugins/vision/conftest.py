import os
from pathlib import Path

import pytest

from metabench.tasks.files import SourceContext


@pytest.fixture(scope="session")
def vision_data():
    """The real data directory."""
    root = os.environ.get("METABENCH_DATA")
    if not root:
        pytest.skip("METABENCH_DATA is not set")
    if not (Path(root) / "vision").is_dir():
        pytest.skip(f"{root} has no folder vision")
    return Path(root)


@pytest.fixture
def context(tmp_path):
    """A source context on an empty data directory."""
    return SourceContext("a-source", tmp_path)
