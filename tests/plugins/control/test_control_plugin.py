"""Descriptors and encoders."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch.func import functional_call

from metabench.errors import InapplicableError, UsageError
from metabench.learners.contracts import InputSpec
from metabench.registry.checks import descriptor_faults
from metabench_control import plugin
from metabench_control.encoders.identity import Identity
from metabench_control.encoders.mlp import MLP

SOURCES = list(plugin.metabench_task_sources())
INFOS = [
    *SOURCES,
    *plugin.metabench_encoders(),
    *plugin.metabench_metrics(),
]
SPEC = InputSpec("vector", {"x": (5,)}, {"x": torch.float32})


@pytest.mark.parametrize("info", INFOS, ids=lambda info: info.name)
def test_descriptors_are_sound(info):
    assert descriptor_faults(info) == []
    module, _, name = info.target.partition(":")
    assert callable(getattr(importlib.import_module(module), name))
    assert info.licence


def test_what_simulates_requires_mujoco():
    needing = {info.name for info in INFOS if "mujoco" in info.requires}
    assert needing == {"mujoco-dynamics", "reacher-imitation", "reacher-success"}


def test_quick_needs_no_files_and_every_source_is_in_the_full_suite():
    assert {s.name for s in SOURCES if "quick" in s.suites} == {
        "sinusoid", "mujoco-dynamics", "reacher-imitation",
    }  # fmt: skip
    assert not any(s.files for s in SOURCES if "quick" in s.suites)
    assert all({"standard", "full"} <= set(s.suites) for s in SOURCES)
    assert {s.domain for s in SOURCES} == {"control"}


def test_importing_the_plugin_imports_nothing_heavy():
    code = (
        "import metabench_control.plugin as m, sys;"
        "list(m.metabench_task_sources()), list(m.metabench_encoders());"
        "list(m.metabench_metrics());"
        "print({'mujoco', 'numpy', 'scipy', 'torch'} & set(sys.modules))"
    )
    run = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert run.stdout.strip() == "set()"


def test_sources_that_simulate_nothing_work_without_mujoco():
    code = (
        "import sys; sys.modules['mujoco'] = None;"
        "from metabench_control.sources import cascaded_tanks, sarcos, sinusoid;"
        "from metabench_control.encoders import identity, mlp"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_modules_are_short():
    for file in Path(plugin.__file__).parent.rglob("*.py"):
        assert len(file.read_text(encoding="utf-8").splitlines()) < 300, file


def test_identity_returns_the_vector():
    encoder = Identity(SPEC)
    x = torch.randn(7, 5)
    assert encoder.width == 5
    assert torch.equal(encoder({"x": x}), x)
    assert encoder({"x": x[:0]}).shape == (0, 5)


@pytest.mark.parametrize("hidden", [(40, 40), (7,), (16, 8, 4)])
def test_mlp_shapes(hidden):
    encoder = MLP(SPEC, hidden=hidden)
    embedded = encoder({"x": torch.randn(11, 5)})
    assert embedded.shape == (11, hidden[-1])
    assert encoder.width == hidden[-1]
    assert (embedded >= 0).all()
    assert encoder({"x": torch.randn(0, 5)}).shape == (0, hidden[-1])


def test_mlp_is_that_of_finn_et_al_by_default():
    encoder = MLP(InputSpec("vector", {"x": (1,)}, {"x": torch.float32}))
    assert sum(p.numel() for p in encoder.parameters()) == (1 + 1) * 40 + (40 + 1) * 40


@pytest.mark.parametrize("encoder", [MLP, Identity])
def test_encoders_prepare_nothing(encoder):
    inputs = {"x": torch.randn(3, 5)}
    prepared = encoder(SPEC).prepare(inputs, torch.empty(0, dtype=torch.int64))
    assert torch.equal(prepared["x"], inputs["x"])


def test_copies_equal_a_loop_to_the_second_derivative():
    torch.manual_seed(0)
    encoder = MLP(SPEC, hidden=(6, 4)).double()
    x = torch.randn(3, 9, 5, dtype=torch.float64)
    target = torch.randn(3, 9, 4, dtype=torch.float64)
    start = dict(encoder.named_parameters())

    def together(weights):
        return encoder.forward_copies(weights, {"x": x})

    def one_by_one(weights):
        rows = [
            functional_call(encoder, {k: w[t] for k, w in weights.items()}, ({"x": x[t]},))
            for t in range(3)
        ]
        return torch.stack(rows)

    def outcome(embed):
        fast = {name: p.expand(3, *p.shape) for name, p in start.items()}
        loss = (embed(fast) - target).square().sum()
        steps = torch.autograd.grad(loss, list(fast.values()), create_graph=True)
        fast = {k: w - 0.01 * g for (k, w), g in zip(fast.items(), steps, strict=True)}
        embedded = embed(fast)
        loss = (embedded - target).square().sum()
        return embedded, torch.autograd.grad(loss, list(start.values()))

    ours, our_gradients = outcome(together)
    plain, plain_gradients = outcome(one_by_one)
    torch.testing.assert_close(ours, plain)
    for ours_, plain_ in zip(our_gradients, plain_gradients, strict=True):
        torch.testing.assert_close(ours_, plain_)


@pytest.mark.parametrize("hidden", [(), (8, 0)])
def test_mlp_without_units_is_refused(hidden):
    with pytest.raises(UsageError, match="hidden"):
        MLP(SPEC, hidden=hidden)


@pytest.mark.parametrize("shapes", [{"x": (3, 4)}, {"pixels": (5,)}, {}])
@pytest.mark.parametrize("encoder", [MLP, Identity])
def test_inputs_that_are_no_vectors_are_refused(encoder, shapes):
    spec = InputSpec("vector", shapes, dict.fromkeys(shapes, torch.float32))
    with pytest.raises(InapplicableError, match="x"):
        encoder(spec)
