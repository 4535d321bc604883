"""Targets: importing them, what they need, and the digest of their code."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from metabench.errors import MetabenchError, UnavailableError
from metabench.registry.source_code import code_files, imported_packages
from metabench.registry.targets import code_digest, missing_modules, resolve_target

PACKAGE = {
    "__init__.py": "def run():\n    from digested import command\n",
    "command.py": "",
    "plugin.py": "raise SystemExit('never executed')",
    "protonet.py": "from digested.common import distance\nclass ProtoNet: pass\n",
    "maml.py": "from . import inner\nfrom .deep.tools import tool\nclass Maml: pass\n",
    "inner.py": "def f():\n    import digested.lazy\n",
    "lazy.py": "",
    "common.py": "import numpy\ndistance = 1\n",
    "typed.py": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import digested.maml\n",
    "deep/__init__.py": "",
    "deep/tools.py": "from .. import common\nfrom ..base import x as tool\n",
    "deep/deeper.py": "",
    "deep/data/table.json": "[1]",
    "base.py": "x = 1",
    "unused.py": "",
    "broken.py": "def (",
}


@pytest.fixture
def package(site):
    root = site.path / "digested"
    for name, content in PACKAGE.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return root


TARGETS = {
    "protonet": "digested.protonet:ProtoNet",
    "maml": "digested.maml:Maml",
    "typed": "digested.typed:X",
}


@pytest.mark.parametrize(
    ("edited", "changed"),
    [
        ("protonet.py", {"protonet"}),
        ("maml.py", {"maml"}),
        ("inner.py", {"maml"}),
        ("lazy.py", {"maml"}),
        ("common.py", {"protonet", "maml"}),
        ("deep/tools.py", {"maml"}),
        ("deep/__init__.py", {"maml"}),
        ("base.py", {"maml"}),
        ("deep/data/table.json", {"maml"}),
        ("deep/deeper.py", set()),
        ("unused.py", set()),
        ("plugin.py", set()),
        ("command.py", set()),
        ("__init__.py", {"protonet", "maml", "typed"}),
    ],
)
def test_an_edit_changes_the_digests_that_depend_on_it(package, edited, changed):
    before = {name: code_digest(target) for name, target in TARGETS.items()}
    with (package / edited).open("a") as stream:
        stream.write("\nedited = []\n")
    after = {name: code_digest(target) for name, target in TARGETS.items()}
    assert {name for name in TARGETS if before[name] != after[name]} == changed


@pytest.mark.parametrize(
    ("added", "counts"),
    [
        ('"""Docs."""\n__version__ = "2"\n', False),
        ("def run():\n    import digested.maml\n", False),
        ("from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import digested.maml\n", True),
        ("import digested.maml\n", True),
        ("import os\nos.environ['X'] = '1'\n", True),
        ("def run():\n    pass\nrun()\n", True),
        ("@print\ndef run():\n    pass\n", True),
    ],
)
def test_what_counts_of_the_package_on_the_way(package, added, counts):
    (package / "__init__.py").write_text("")
    before = code_digest(TARGETS["typed"])
    (package / "__init__.py").write_text(added)
    assert (code_digest(TARGETS["typed"]) != before) == counts


def test_data_files_that_appear_count_and_bytecode_does_not(package):
    before = code_digest(TARGETS["protonet"])
    (package / "data" / "__pycache__").mkdir(parents=True)
    (package / "data" / "__pycache__" / "x.pyc").write_text("")
    (package / "data" / "x.py").write_text("")
    assert code_digest(TARGETS["protonet"]) == before
    (package / "data" / "x.bin").write_bytes(b"\0")
    assert code_digest(TARGETS["protonet"]) != before


def test_the_digest_does_not_depend_on_the_place_or_line_ends(package, new_site):
    before = code_digest(TARGETS["maml"])
    moved = new_site("elsewhere").path / "digested"
    shutil.move(package, moved)
    (moved / "maml.py").write_bytes((moved / "maml.py").read_bytes().replace(b"\n", b"\r\n"))
    assert code_digest(TARGETS["maml"]) == before
    assert "digested" not in sys.modules


def test_a_module_that_does_not_parse_still_has_a_digest(package):
    assert len(code_digest("digested.broken:X")) == 64


def test_digest_of_what_is_not_there(package):
    for target in ("digested.nothing:X", "no_such_package.x:Y"):
        with pytest.raises(UnavailableError, match="not installed"):
            code_digest(target)


def test_a_module_outside_a_package(site):
    (site.path / "single.py").write_text("x = 1\n")
    before = code_digest("single:x")
    (site.path / "single.py").write_text("x = 2\n")
    assert code_digest("single:x") != before


FLAT = "import json, flat_common\ndef f():\n    from flat_helper import g\nclass G: pass\n"


@pytest.mark.parametrize("installed", ["project", "distribution", "other"])
def test_modules_beside_a_module_count_if_they_are_of_its_distribution(site, installed):
    (site.path / "flat.py").write_text(FLAT)
    (site.path / "flat_helper.py").write_text("import flat_deeper\n")
    for name in ("flat_common", "flat_deeper", "json"):
        (site.path / f"{name}.py").write_text("x = 1\n")
    if installed != "project":
        own = ["flat", "flat_helper", "flat_deeper"] + ["flat_common"] * (installed != "other")
        record = "".join(f"{name}.py,sha256=0,10\n" for name in own)
        (site.metadata("flat") / "RECORD").write_text(record)
        (site.metadata("other") / "RECORD").write_text("flat_common.py,sha256=0,10\n")
    changed = set()
    for name in ("flat_common", "flat_helper", "flat_deeper", "json"):
        before = code_digest("flat:G")
        (site.path / f"{name}.py").write_text("import flat_deeper\ny = 2\n")
        changed |= {name} if code_digest("flat:G") != before else set()
    expected = {"flat_common", "flat_helper", "flat_deeper"}
    assert changed == expected - ({"flat_common"} if installed == "other" else set())
    assert {file.stem for file in code_files("flat")} == {"flat", *changed}
    assert imported_packages("flat") == {"json"} | ({"flat_common"} - changed)


def test_a_module_of_the_standard_library_stands_alone():
    assert {file.stem for file in code_files("statistics")} == {"statistics"}


def test_resolve(package):
    assert resolve_target("json:JSONDecoder.decode").__name__ == "decode"
    with pytest.raises(MetabenchError, match=r"installed and has no module 'digested\.nothing'"):
        resolve_target("digested.nothing:X")
    with pytest.raises(UnavailableError, match="needs the module 'not_installed_at_all'"):
        resolve_target("not_installed_at_all.deep:X")
    (package / "needy.py").write_text("import not_installed_at_all.deep")
    with pytest.raises(UnavailableError, match="needs the module 'not_installed_at_all'"):
        resolve_target("digested.needy:X")
    with pytest.raises(MetabenchError, match=r"digested\.base \(.*\) has no 'y'") as caught:
        resolve_target("digested.base:y")
    assert not isinstance(caught.value, UnavailableError)


def test_missing_modules_imports_nothing(package):
    (package / "__init__.py").write_text("raise SystemExit")
    required = ("digested.deep.tools", "digested.nope", "os.path", "xml.dom.minidom", "no_such_mod")
    assert missing_modules(required) == ("digested.nope", "no_such_mod")
    assert "digested" not in sys.modules


def test_blocked_modules_are_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "blocked_module", None)
    assert missing_modules(["blocked_module"]) == ("blocked_module",)


def test_digests_import_no_torch():
    code = "import sys; from metabench.registry.targets import *; "
    code += "code_digest('metabench.learners.metrics:accuracy'); missing_modules(['torch.nn']); "
    code += "print('torch' in sys.modules)"
    environment = {"PYTHONPATH": str(Path(__file__).parents[2])}
    output = subprocess.check_output([sys.executable, "-c", code], env=environment, text=True)
    assert output.strip() == "False"
