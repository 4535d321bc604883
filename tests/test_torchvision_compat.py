"""Importing torchvision, whatever torch it was built for: on packages made for it."""

import sys
import textwrap

import pytest

from metabench import torchaudio_compat, torchvision_compat
from metabench.errors import UnavailableError
from metabench.torchvision_compat import (
    NAME,
    REGISTRATIONS,
    import_torchvision,
    prepare_torchvision,
)

WORKS = "built = 'here'\n"
NEEDS_OPERATORS = "from torchvision import _meta_registrations, transforms\nbuilt = 'elsewhere'\n"
FAILS = "raise RuntimeError('operator torchvision::nms does not exist')\n"


@pytest.fixture
def package(tmp_path, monkeypatch):
    """Puts a torchvision with given files in front of any other."""
    before = {name: module for name, module in sys.modules.items() if name.split(".")[0] == NAME}
    for name in before:
        del sys.modules[name]

    def write(**files):
        folder = tmp_path / NAME
        folder.mkdir()
        for name, text in files.items():
            (folder / f"{name}.py").write_text(textwrap.dedent(text))
        monkeypatch.syspath_prepend(tmp_path)

    yield write
    for name in [name for name in sys.modules if name.split(".")[0] == NAME]:
        del sys.modules[name]
    sys.modules.update(before)


def test_one_that_works_is_not_touched(package):
    package(__init__=WORKS + "import torchvision._meta_registrations", _meta_registrations="x = 1")
    module = import_torchvision()
    assert module.built == "here"
    assert sys.modules[REGISTRATIONS].x == 1
    assert import_torchvision() is module


def test_one_without_its_operators_is_mended(package):
    package(__init__=NEEDS_OPERATORS, _meta_registrations=FAILS, transforms="made = True")
    assert import_torchvision().built == "elsewhere"
    assert sys.modules[f"{NAME}.transforms"].made
    assert not hasattr(sys.modules[REGISTRATIONS], "__file__")


def test_one_beyond_help_leaves_nothing_behind(package):
    package(__init__="raise OSError('libc10_cuda.so: cannot open')", _meta_registrations=FAILS)
    with pytest.raises(UnavailableError, match="libc10_cuda"):
        import_torchvision()
    assert not [name for name in sys.modules if name.split(".")[0] == NAME]
    prepare_torchvision()


def test_one_that_is_absent(monkeypatch):
    monkeypatch.setattr(torchvision_compat, "NAME", "no_such_torchvision")
    with pytest.raises(UnavailableError, match="`pip install torchvision`"):
        import_torchvision()
    prepare_torchvision()


def test_models_of_transformers_are_prepared_for_both(monkeypatch):
    called = []
    monkeypatch.setattr(torchaudio_compat, "prepare_torchvision", lambda: called.append("vision"))
    monkeypatch.setattr(torchaudio_compat, "import_torchaudio", lambda: called.append("audio"))
    torchaudio_compat.prepare_torchaudio()
    assert called == ["vision", "audio"]
