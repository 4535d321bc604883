import signal

import pytest
from run_cases import finished, shell, toy_site

__all__ = ["finished", "shell", "toy_site"]


@pytest.fixture(autouse=True, scope="session")
def _hears_ctrl_c():
    """A background job of a shell hands its children a SIGINT that is ignored: undo that."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)
