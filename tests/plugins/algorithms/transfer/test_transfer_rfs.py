"""Self-distillation: what the student learns from, and where it starts."""

import numpy as np
import pytest
import torch
from alg_cases import INFOS, TinyEncoder, build, episodes
from torch import nn
from torch.nn import functional as F

from metabench.errors import InapplicableError
from metabench.learners.contracts import TaskSpec
from metabench.learners.device import Compute
from metabench.learners.metrics import accuracy
from metabench.learners.model import FewShotModel, Problem
from metabench.learners.recipes import Setting
from metabench.learners.supervised import ClassRecipe
from metabench.learners.training import Budget, MetaTrainer
from metabench.tasks.data import ClassPool, Task, TaskData, TaskPool
from metabench.tasks.sampling import Sampling
from metabench_algorithms.transfer.rfs import RFS, DistillRecipe, reset

CLASSES, EACH = 12, 20


def blobs():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(CLASSES, 1, 8)) + 0.4 * rng.normal(size=(CLASSES, EACH, 8))
    labels = np.repeat(np.arange(CLASSES), EACH)
    bounds = {"train": range(6), "val": range(6, 9), "test": range(9, 12)}
    splits = {
        split: ClassPool.from_labels(labels, {c: f"c{c}" for c in classes})
        for split, classes in bounds.items()
    }
    return TaskData("vector", {"x": torch.tensor(x.reshape(-1, 8), dtype=torch.float32)}, splits)


def setting_of(data, encoder):
    algorithm = RFS(TaskSpec("classification", 3, encoder.width))
    return Setting(
        model=FewShotModel(encoder, algorithm, adapts_encoder=False),
        problem=Problem(dict(data.inputs), Compute(torch.device("cpu"))),
        data=data,
        sampling=Sampling(way=3, shot=1, query=5),
        seed=0,
        hyper=algorithm.hyper,
        metric=accuracy,
        higher_is_better=True,
        val_episodes=20,
    )


def trained_teacher(data, examples=64 * 60):
    """Return the setting after a supervised stage, and that stage's recipe."""
    setting = setting_of(data, TinyEncoder())
    recipe = ClassRecipe(setting, data.splits["train"])
    MetaTrainer(recipe, Budget(examples)).run()
    return setting, recipe


def test_head_is_the_logistic_probe():
    support, query = episodes()
    scores = build("rfs").adapt(support)(query.x)
    assert torch.equal(scores, build("logistic-probe").adapt(support)(query.x))
    stages = INFOS["rfs"].recipe.split("+")
    assert stages == ["supervised", "metabench_algorithms.transfer.rfs:DistillRecipe"]


def test_student_starts_anew_and_learns_from_the_teacher():
    data = blobs()
    setting, stage = trained_teacher(data)
    setting.model.eval()
    with torch.no_grad():
        lost = stage.trained["head"](setting.model.encoder(dict(data.inputs)))[stage._items]
    before = {k: v.clone() for k, v in setting.model.encoder.state_dict().items()}
    recipe = DistillRecipe(setting)
    after = setting.model.encoder.state_dict()
    assert all(not torch.equal(before[k], after[k]) for k in before if k.endswith("weight"))
    assert recipe._soft.shape == (6 * EACH, 6)
    torch.testing.assert_close(recipe._soft.sum(-1), torch.ones(6 * EACH))
    right = (recipe._soft.argmax(-1) == recipe._labels).float().mean()
    # The layer fitted anew is no worse than the one that the stage did not keep.
    assert right >= (lost.argmax(-1) == recipe._labels).float().mean()
    assert recipe._soft.max(-1).values.mean() < 0.95  # softened, so it tells more than labels do


def test_loss_is_that_of_the_paper():
    setting, _ = trained_teacher(blobs())
    recipe = DistillRecipe(setting)
    drawn = torch.as_tensor(recipe._generator(7).integers(6 * EACH, size=64))
    setting.model.eval()
    with torch.no_grad():
        found = recipe.loss(7)
        z = setting.model.encoder({"x": setting.problem.inputs["x"][recipe._items[drawn]]})
        outputs = recipe.trained["head"](z)
    p, q = recipe._soft[drawn], (outputs / 4).softmax(-1)
    divergence = (p * (p.log() - q.log())).sum(-1).mean() * 16
    expected = 0.5 * F.cross_entropy(outputs, recipe._labels[drawn]) + 0.5 * divergence
    torch.testing.assert_close(found, expected)


def test_distilled_encoder_tells_new_classes_apart():
    data = blobs()
    setting, _ = trained_teacher(data)
    recipe = DistillRecipe(setting)
    fresh = recipe.validate()
    log = MetaTrainer(recipe, Budget(64 * 120)).run()
    assert recipe.validate() > max(fresh, 0.7)
    assert log.setup["temperature"] == 4.0


def test_resuming_finds_the_same_teacher():
    data = blobs()
    setting, _ = trained_teacher(data)
    stage_one = {k: v.clone() for k, v in setting.model.encoder.state_dict().items()}
    first = DistillRecipe(setting)._soft
    setting.model.encoder.load_state_dict(stage_one)
    torch.manual_seed(99)
    assert torch.equal(DistillRecipe(setting)._soft, first)


def test_fixed_tasks_are_refused():
    data = blobs()
    tasks = TaskPool((Task("t", np.arange(20), np.arange(20) % 2),))
    fixed = TaskData("vector", data.inputs, {"train": tasks, "test": tasks_elsewhere()})
    with pytest.raises(InapplicableError, match="not tasks"):
        DistillRecipe(setting_of(fixed, TinyEncoder()))


def tasks_elsewhere():
    return TaskPool((Task("u", np.arange(20, 40), np.arange(20) % 2),))


def test_reset_prefers_the_modules_own_way():
    class Returning(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(3, 3)

        def reset_parameters(self):
            with torch.no_grad():
                self.layer.weight.fill_(7.0)

    module = nn.Sequential(Returning(), nn.Linear(3, 3))
    old = module[1].weight.clone()
    reset(module)
    assert (module[0].layer.weight == 7).all()
    assert not torch.equal(module[1].weight, old)
