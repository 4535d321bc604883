"""The training loop: selection, budget, schedule, and resuming as if nothing had happened."""

import math

import numpy as np
import pytest
import torch
from learner_cases import (
    EVEN,
    Convolutional,
    Counting,
    Means,
    RawMeans,
    Scaled,
    blobs,
    frozen,
    model_of,
    problem_of,
    same_state,
    sampler_of,
    setting_of,
    state_of,
    task_data,
)

from metabench.errors import InapplicableError
from metabench.learners import training
from metabench.learners.contracts import Hyperparameters
from metabench.learners.evaluation import evaluate
from metabench.learners.metrics import accuracy
from metabench.learners.recipes import EpisodicRecipe, Recipe, Setting
from metabench.learners.supervised import supervised_recipe
from metabench.learners.training import Budget, MetaTrainer, TrainingLog
from metabench.tasks.data import Task, TaskData, TaskPool
from metabench.tasks.sampling import Sampling

DATA = blobs()
STEP = 4 * (2 + 3)


def hyper(**changes):
    return Scaled.Hyperparameters(**changes)


def recipe_of(kind=EpisodicRecipe, data=DATA, model=None, problem=None, **changes):
    return kind(setting_of(data, model or model_of(), problem, **changes))


class Scripted(EpisodicRecipe):
    """Returns meta-val scores from a list."""

    scores: list

    def validate(self):
        return self.scores.pop(0)


def scripted(scores, **changes):
    recipe = recipe_of(Scripted, **changes)
    recipe.scores = list(scores)
    return recipe


@pytest.mark.parametrize("kind", [EpisodicRecipe, supervised_recipe])
def test_training_and_selection_never_touch_meta_test(monkeypatch, kind):
    asked = []
    plain = Setting.sampler
    monkeypatch.setattr(
        Setting,
        "sampler",
        lambda self, split, shape: (asked.append(split), plain(self, split, shape))[1],
    )
    model = model_of()
    MetaTrainer(recipe_of(kind, model=model), Budget(40 * STEP, selections=4)).run()
    assert set(asked) <= {"train", "val"}
    assert asked.count("val") == 4
    seen = {tuple(row.tolist()) for part in model.encoder.seen for row in part}
    test = DATA.inputs["vector"][torch.as_tensor(DATA.splits["test"].items)]
    assert not seen & {tuple(row.tolist()) for row in test}


def test_training_learns_something():
    model = model_of()
    before = evaluate(model, problem_of(DATA), sampler_of(DATA), 200, accuracy).scores.mean()
    MetaTrainer(recipe_of(model=model), Budget(300 * STEP)).run()
    after = evaluate(model, problem_of(DATA), sampler_of(DATA), 200, accuracy).scores.mean()
    assert after > before + 0.02


def test_the_best_weights_are_restored(monkeypatch):
    recipe = scripted([0.1, 0.9, 0.9, 0.2])
    kept = {}
    plain = MetaTrainer._select

    def select(self, step):
        kept[step] = state_of(recipe.trained)
        plain(self, step)

    monkeypatch.setattr(MetaTrainer, "_select", select)
    log = MetaTrainer(recipe, Budget(8 * STEP, selections=4)).run()
    assert log.best_step == 4  # the first of two equals
    assert same_state(state_of(recipe.trained), kept[4])
    assert not same_state(kept[4], kept[8])
    assert [score for *_, score in log.curve] == [0.1, 0.9, 0.9, 0.2]


def test_without_meta_val_the_last_weights_are_kept():
    splits = {split: pool for split, pool in DATA.splits.items() if split != "val"}
    data = TaskData("vector", DATA.inputs, splits)
    log = MetaTrainer(recipe_of(data=data), Budget(8 * STEP, selections=4)).run()
    assert log.best_step == log.steps == 8
    assert {score for *_, score in log.curve} == {None}


def test_a_meta_val_split_too_small_for_the_shape_does_not_select():
    recipe = recipe_of(sampling=Sampling(way=8, shot=2, query=3))
    assert recipe.validate() is None


def test_scores_and_losses_that_are_no_numbers_stay_out_of_the_record():
    class Diverging(Scripted):
        def update(self, step, optimizer):
            super().update(step, optimizer)
            return math.nan if step < 2 else 1.0

    recipe = recipe_of(Diverging)
    recipe.scores = [math.nan, 0.5, math.nan, 0.4]
    log = MetaTrainer(recipe, Budget(8 * STEP, selections=4)).run()
    assert [(loss, score) for _, loss, score in log.curve] == [
        (None, None), (1.0, 0.5), (1.0, None), (1.0, 0.4),
    ]  # fmt: skip
    assert log.best_step == 4


def test_a_metric_where_less_is_better_is_turned_round():
    assert recipe_of().validate() > 0
    assert recipe_of(higher_is_better=False).validate() == -recipe_of().validate()


@pytest.mark.parametrize(
    ("patience", "steps", "stopped"), [(0, 10, "budget"), (2, 4, "patience"), (3, 10, "budget")]
)
def test_patience_stops_early(patience, steps, stopped):
    recipe = scripted([0.5, 0.9, 0.8, 0.7, 0.95, 0.1, 0.2, 0.96, 0.3, 0.3])
    log = MetaTrainer(recipe, Budget(10 * STEP, selections=10, patience=patience)).run()
    assert (log.steps, log.stopped) == (steps, stopped)
    assert log.examples == steps * STEP


def test_the_schedules():
    rate = training._rate
    assert [rate("constant", p) for p in (0, 0.5, 0.99)] == [1, 1, 1]
    assert [rate("cosine", p) for p in (0, 0.5, 1)] == pytest.approx([1, 0.5, 0])
    assert [rate("halving", step / 10) for step in range(10)] == [
        1, 1, 0.5, 0.5, 0.25, 0.25, 0.125, 0.125, 0.0625, 0.0625,
    ]  # fmt: skip


@pytest.mark.parametrize("schedule", ["constant", "cosine", "halving"])
def test_the_optimiser_gets_the_scheduled_rate(schedule):
    class Watched(EpisodicRecipe):
        rates = ()

        def update(self, step, optimizer):
            self.rates = (*self.rates, optimizer.param_groups[0]["lr"])
            return super().update(step, optimizer)

    recipe = recipe_of(Watched, hyper=hyper(schedule=schedule, learning_rate=0.01))
    MetaTrainer(recipe, Budget(10 * STEP)).run()
    assert list(recipe.rates) == [0.01 * training._rate(schedule, step / 10) for step in range(10)]


@pytest.mark.parametrize(
    ("settings", "examples"),
    [
        ({}, 20),
        ({"meta_batch": 3}, 60),
        ({"train_way": 6, "train_shot": 1, "train_query": 4}, 30),
    ],
)
def test_the_budget_counts_examples(settings, examples):
    model = model_of()
    recipe = recipe_of(model=model, hyper=hyper(**settings))
    recipe.validate = lambda: None
    assert recipe.step_examples == examples
    reports = []
    log = MetaTrainer(recipe, Budget(599), report=lambda *counts: reports.append(counts)).run()
    assert log.steps == 599 // examples
    assert log.examples == log.steps * examples == model.encoder.embedded
    assert reports[-1] == (log.examples, 599)


def test_a_budget_of_nothing_trains_nothing():
    recipe = recipe_of()
    before = state_of(recipe.trained)
    assert MetaTrainer(recipe, Budget(0)).run().steps == 0
    assert same_state(before, state_of(recipe.trained))


def test_episodes_of_varying_size_are_counted_by_their_mean():
    shape = Sampling(way=(2, 6), shot=None, query=None)
    model = model_of(way=6)
    recipe = recipe_of(model=model, sampling=shape)
    recipe.validate = lambda: None
    log = MetaTrainer(recipe, Budget(6000)).run()
    assert log.examples == pytest.approx(model.encoder.embedded, rel=0.15)


def test_seconds_end_a_run():
    log = MetaTrainer(recipe_of(), Budget(10**9, seconds=0.05)).run()
    assert log.stopped == "seconds"
    assert log.steps >= 1
    assert log.curve[-1][0] == log.examples


class StoppedError(Exception):
    pass


def dropped(optimizer="adam", **changes):
    torch.manual_seed(3)
    return model_of(Scaled, Counting(dropout=0.3), hyper(optimizer=optimizer, **changes))


CASES = {
    "adam": lambda: (EpisodicRecipe, dropped(schedule="cosine")),
    "sgd": lambda: (EpisodicRecipe, dropped("sgd", learning_rate=0.01, clip_norm=0.5)),
    "convolutions": lambda: (
        EpisodicRecipe,
        (torch.manual_seed(3), model_of(encoder=Convolutional(), hyper=hyper(meta_batch=2)))[1],
    ),
    "supervised": lambda: (supervised_recipe, dropped()),
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("stop", [3, 10, 17])
def test_a_resumed_run_equals_an_uninterrupted_one(tmp_path, monkeypatch, case, stop):
    monkeypatch.setattr(training, "CHECKPOINT_SECONDS", 0.0)
    budget = Budget(20 * (64 if case == "supervised" else 2 * STEP), selections=4)

    def build():
        kind, model = CASES[case]()
        return recipe_of(kind, model=model, hyper=model.algorithm.hyper)

    whole = build()
    expected = MetaTrainer(whole, budget).run()
    partial = tmp_path / "w.partial"
    broken = build()
    plain = broken.update

    def update(step, optimizer):
        if step == stop:
            raise StoppedError
        return plain(step, optimizer)

    broken.update = update
    with pytest.raises(StoppedError):
        MetaTrainer(broken, budget, partial).run()
    assert partial.exists()
    torch.manual_seed(99)
    again = build()
    steps = []
    kept = again.update
    again.update = lambda step, optimizer: (steps.append(step), kept(step, optimizer))[1]
    log = MetaTrainer(again, budget, partial).run()
    assert steps[0] == stop
    assert same_state(state_of(again.trained), state_of(whole.trained))
    assert log.curve == expected.curve
    assert (log.steps, log.examples, log.best_step) == (
        expected.steps, expected.examples, expected.best_step,
    )  # fmt: skip
    assert not partial.exists()


def test_a_damaged_checkpoint_is_not_resumed(tmp_path, monkeypatch):
    monkeypatch.setattr(training, "CHECKPOINT_SECONDS", 0.0)
    partial = tmp_path / "w.partial"
    partial.write_bytes(b"torn")
    recipe = recipe_of()
    MetaTrainer(recipe, Budget(5 * STEP), partial).run()
    whole = recipe_of()
    MetaTrainer(whole, Budget(5 * STEP)).run()
    assert same_state(state_of(recipe.trained), state_of(whole.trained))


def test_seeds_differ_in_what_dropout_drops():
    """torch's CPU generator heeds the lower 32 bits of a seed only."""

    class Masks(EpisodicRecipe):
        def update(self, step, optimizer):  # noqa: ARG002
            self.drawn = torch.rand(4).tolist()
            return 0.0

    drawn = []
    for seed in (0, 1):
        recipe = recipe_of(Masks, seed=seed)
        MetaTrainer(recipe, Budget(STEP)).run()
        drawn.append(recipe.drawn)
    assert drawn[0] != drawn[1]


def test_supervised_weights_do_not_depend_on_the_algorithm_that_came_first():
    states = []
    for algorithm, changes in ((Means, {}), (Scaled, {"learning_rate": 0.5, "optimizer": "sgd"})):
        torch.manual_seed(3)
        model = model_of(algorithm, Counting(dropout=0.2))
        torch.rand(len(states))  # another state of the generator
        recipe = recipe_of(
            supervised_recipe, model=model, hyper=hyper(**changes), sampling=EVEN
            if not states else Sampling(way=3, shot=1, query=2),
        )  # fmt: skip
        MetaTrainer(recipe, Budget(20 * 64, selections=4)).run()
        states.append(state_of(model.encoder))
    assert same_state(*states)


def test_supervised_training_learns_and_describes_itself():
    model = model_of()
    recipe = recipe_of(supervised_recipe, model=model)
    assert recipe.step_examples == 64
    assert recipe.describe() == {"train_way": 12, "batch": 64}
    log = MetaTrainer(recipe, Budget(150 * 64)).run()
    assert log.curve[-1][1] < log.curve[0][1]
    assert max(score for *_, score in log.curve) > 0.4
    assert log.setup["schedule"] == "cosine"


def regression_data():
    """Binary tasks made continuous: two linear functions of the inputs per task."""
    data = task_data()
    rng = np.random.default_rng(3)

    def valued(task):
        points = data.inputs["vector"][torch.as_tensor(task.items)].numpy()
        values = (points @ rng.normal(size=(points.shape[1], 2))).astype(np.float32)
        return Task(task.name, task.items, values)

    splits = {
        split: TaskPool(tuple(valued(task) for task in pool.tasks))
        for split, pool in data.splits.items()
    }
    return TaskData("vector", data.inputs, splits)


@pytest.mark.parametrize("data", [task_data(), regression_data()], ids=["binary", "regression"])
def test_supervised_training_on_tasks_has_an_output_layer_for_each(data):
    model = model_of()
    recipe = recipe_of(supervised_recipe, data=data, model=model, problem=problem_of(data))
    assert recipe.shared
    assert recipe.describe() == {"train_tasks": 3, "batch": 64}
    assert recipe.trained["head"].weight.shape == (3, model.encoder.width, 2)
    recipe.trained.eval()
    assert recipe.loss(3).item() == recipe.loss(3).item() != recipe.loss(4).item()
    log = MetaTrainer(recipe, Budget(150 * 64)).run()
    assert log.curve[-1][1] < log.curve[0][1]
    assert all(score is not None and score <= 1 for *_, score in log.curve)


def test_each_example_is_trained_under_the_output_layer_of_its_own_task():
    data = regression_data()
    recipe = recipe_of(supervised_recipe, data=data, problem=problem_of(data))
    recipe.trained.eval()
    recipe.loss(0).backward()
    own = recipe.trained["head"].weight.grad.abs().sum((1, 2))
    recipe.trained.zero_grad()
    tasks = recipe._generator(0).integers(3, size=64)
    assert [bool(own[n] > 0) for n in range(3)] == [n in tasks for n in range(3)]
    pool = data.splits["train"].tasks
    expected = np.concatenate([task.items for task in pool])
    assert recipe._items.tolist() == expected.tolist()
    assert recipe._starts.tolist() == [0, 30, 50]


def test_where_a_test_asks_for_all_the_rest_training_asks_for_so_many():
    recipe = recipe_of(
        data=task_data(), problem=problem_of(task_data()), sampling=Sampling(shot=6, query=None)
    )
    assert recipe.describe()["train_query"] == 128


def test_batches_of_the_supervised_recipe_are_a_function_of_the_step():
    recipe = recipe_of(supervised_recipe)
    recipe.trained.eval()
    assert recipe.loss(3).item() == recipe.loss(3).item() != recipe.loss(4).item()


def test_a_meta_batch_averages_its_episodes():
    model = model_of()
    model.eval()
    together = recipe_of(model=model, hyper=hyper(meta_batch=4))
    alone = recipe_of(model=model, hyper=hyper(meta_batch=1))
    losses = [alone.loss(step).item() for step in range(4, 8)]
    assert together.loss(1).item() == pytest.approx(np.mean(losses), rel=1e-5)


def test_train_way_differs_from_test_way():
    model = model_of()
    changes = hyper(train_way=8, train_shot=1, train_query=2)
    recipe = recipe_of(model=model, hyper=changes)
    log = MetaTrainer(recipe, Budget(10 * 24)).run()
    assert log.steps == 10
    assert {key: log.setup[key] for key in ("train_way", "train_shot", "train_query")} == {
        "train_way": 8, "train_shot": 1, "train_query": 2,
    }  # fmt: skip
    with pytest.raises(InapplicableError, match=r"13-way .* train split has 12"):
        recipe_of(hyper=hyper(train_way=13))


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_frozen_features_train_the_algorithms_own_parameters(optimizer):
    model, problem = frozen(DATA, Scaled)
    recipe = recipe_of(
        model=model, problem=problem, hyper=hyper(optimizer=optimizer, learning_rate=0.02)
    )
    log = MetaTrainer(recipe, Budget(20 * STEP)).run()
    assert log.setup["optimizer"] == optimizer
    assert (model.algorithm.scale != 1).all()
    assert torch.equal(problem.inputs["embedding"], DATA.inputs["vector"])


def test_raw_inputs_reach_an_algorithm_that_adapts_the_encoder():
    encoder = Counting()
    model = model_of(RawMeans, encoder, raw=True)
    before = state_of(encoder)
    MetaTrainer(recipe_of(model=model), Budget(10 * STEP)).run()
    assert not same_state(before, state_of(encoder))


@pytest.mark.parametrize("data", ["uneven", "groups", "tasks"])
def test_every_kind_of_episode_trains(data):
    source, shape = {
        "uneven": (DATA, Sampling(way=(2, 6), shot=None, query=None)),
        "groups": (DATA, Sampling(way=3, shot=2, query=2, group_disjoint=True)),
        "tasks": (task_data(), Sampling(shot=6, query=None)),
    }[data]
    model = model_of(way=6)
    recipe = recipe_of(data=source, model=model, sampling=shape, hyper=hyper(meta_batch=2))
    log = MetaTrainer(recipe, Budget(10 * recipe.step_examples)).run()
    assert log.steps == 10
    assert all(score is not None for *_, score in log.curve)


def test_clipping_bounds_the_gradient():
    class Watched(EpisodicRecipe):
        norm = 0.0

        def update(self, step, optimizer):
            loss = super().update(step, optimizer)
            grads = [p.grad.flatten() for p in self.trained.parameters() if p.grad is not None]
            self.norm = max(self.norm, float(torch.cat(grads).norm()))
            return loss

    recipe = recipe_of(Watched, hyper=hyper(clip_norm=0.01))
    MetaTrainer(recipe, Budget(5 * STEP)).run()
    assert recipe.norm == pytest.approx(0.01, rel=1e-3)


def test_a_recipe_may_replace_the_step():
    class Drift(Recipe):
        step_examples = 10

        @property
        def trained(self):
            return self.setting.model

        def loss(self, step):  # noqa: ARG002
            raise AssertionError("not used")

        def update(self, step, optimizer):  # noqa: ARG002
            with torch.no_grad():
                self.setting.model.algorithm.scale += 1
            return 0.0

    model = model_of(Scaled)
    MetaTrainer(recipe_of(Drift, model=model), Budget(30)).run()
    assert model.algorithm.scale.tolist() == [4.0] * 6


def test_the_log_survives_json():
    log = TrainingLog(steps=2, examples=40, curve=[(20, 0.5, None), (40, None, 0.25)])
    assert TrainingLog.from_dict(log.as_dict()) == log


def test_default_hyperparameters_are_those_of_the_papers():
    assert Hyperparameters() == Hyperparameters(
        optimizer="adam", learning_rate=1e-3, weight_decay=0.0, schedule="constant", meta_batch=1
    )


GOLDEN = {
    "episodic": [3.20086, 0.49583, 2.32239, 0.49583, 2.74025, 0.49167, 2.53107, 0.50417, 0.41625],
    "supervised": [2.63531, 0.35727, 2.69565, 0.34909, 2.64167, 0.35, 2.61012, 0.35, 0.41208],
}


@pytest.mark.parametrize("name", GOLDEN)
def test_the_arithmetic_of_a_whole_run_has_not_changed(name):
    """If this fails, published numbers no longer compare: raise ENGINE_REVISION or undo it."""
    assert golden(name) == pytest.approx(GOLDEN[name], abs=1e-3)


def golden(name):
    data = blobs(noise=1.6)
    torch.manual_seed(0)
    model = model_of(encoder=Counting(dropout=0.1))
    kind = {"episodic": EpisodicRecipe, "supervised": supervised_recipe}[name]
    recipe = recipe_of(kind, data=data, model=model, hyper=hyper(schedule="halving"))
    log = MetaTrainer(recipe, Budget(2000, selections=4)).run()
    scores = evaluate(model, problem_of(data), sampler_of(data), 200, accuracy).scores
    return [*(value for point in log.curve for value in point[1:]), float(scores.mean())]
