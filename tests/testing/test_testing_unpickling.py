"""Unpickling is found by what is called, not by how it is spelled."""

import pytest

from metabench.testing.unpickling import unsafe_calls

FOUND = {
    "import pickle\npickle.loads(x)": "calls pickle.loads",
    "import pickle as pk\npk.load(x)": "calls pickle.load",
    "from pickle import loads as read\nread(x)": "calls pickle.loads",
    "def f():\n    from torch import load\n    load(x)": "calls torch.load",
    "import torch.serialization\ntorch.serialization.load(x)": "calls torch.serialization.load",
    "import torch\ntorch.load(x, weights_only=False)": "calls torch.load",
    "import torch\ntorch.load(x, weights_only=flag)": "calls torch.load",
    "import pandas as pd\npd.read_pickle(x)": "calls pandas.read_pickle",
    "import pickle\npickle.Unpickler(x).load()": "calls pickle.Unpickler",
    "import numpy as np\nnp.load(x, allow_pickle=True)": "says allow_pickle=True",
    "import numpy as np\nnp.load(x, allow_pickle=1)": "says allow_pickle=1",
    "from numpy import load\nload(x, None, flag)": "says allow_pickle=flag",
    "f(trust_remote_code=True)": "says trust_remote_code=True",
}
SAFE = (
    "import torch\ntorch.load(x, weights_only=True)",
    "import numpy as np\nnp.load(x)\nnp.load(x, allow_pickle=False)\nnp.load(x, 'r', False)",
    "from json import load, loads\nload(x)\nloads(x)",
    "from .pickle import loads\nloads(x)",
    "from mine import pickle\npickle.loads(x)",
    "def load(x):\n    return x\nload(1)",
    "f(trust_remote_code=False)",
    "def (",
)


def unsafe(folder, source):
    file = folder / "module.py"
    file.write_text(source)
    return list(unsafe_calls(file))


@pytest.mark.parametrize("source", FOUND)
def test_unpickling_is_found(tmp_path, source):
    line = source.count("\n") + 1
    assert unsafe(tmp_path, source) == [f"module.py:{line} {FOUND[source]}"]


@pytest.mark.parametrize("source", SAFE)
def test_nothing_else_is_blamed(tmp_path, source):
    assert unsafe(tmp_path, source) == []
