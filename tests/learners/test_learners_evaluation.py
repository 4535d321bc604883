"""Evaluation: the same numbers as a plain loop, and nothing that an algorithm must not see."""

import numpy as np
import pytest
import torch
from learner_cases import (
    CPU,
    EVEN,
    Counting,
    Means,
    RawMeans,
    blobs,
    frozen,
    model_of,
    problem_of,
    sampler_of,
    task_data,
)
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import NearestCentroid

from metabench.learners import evaluation
from metabench.learners.contracts import Algorithm, class_means
from metabench.learners.evaluation import evaluate, mean_score
from metabench.learners.metrics import accuracy
from metabench.learners.model import EMBED_BATCH, embed_source
from metabench.tasks.sampler import EpisodeBatch
from metabench.tasks.sampling import Sampling

DATA = blobs()
SHAPES = {
    "even": EVEN,
    "uneven": Sampling(way=(2, 6), shot=None, query=None),
    "groups": Sampling(way=3, shot=2, query=2, group_disjoint=True),
}


def scores_of(model, problem, sampler, episodes=30, **options):
    return evaluate(model, problem, sampler, episodes, accuracy, **options)


class Logistic(Algorithm):
    """scikit-learn's logistic regression, as a plug-in author might wrap it."""

    def adapt(self, support):
        heads = [LogisticRegression().fit(x, y) for x, y in zip(support.x, support.y, strict=True)]
        return lambda query: torch.stack(
            [torch.tensor(head.decision_function(x)) for head, x in zip(heads, query, strict=True)]
        )


@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")  # 1-shot, in scikit-learn
@pytest.mark.parametrize(
    ("shape", "learner", "plain"),
    [
        *((shape, Means, NearestCentroid) for shape in SHAPES),
        # Uneven episodes may have two classes, for which its decision function is another one.
        *((shape, Logistic, LogisticRegression) for shape in SHAPES if shape != "uneven"),
    ],
)
def test_scores_equal_a_plain_loop_with_scikit_learn(shape, learner, plain):
    episodes = 150 if learner is Means else 30
    model, problem = frozen(DATA, learner)
    sampler = sampler_of(DATA, SHAPES[shape])
    result = scores_of(model, problem, sampler, episodes)
    x = DATA.inputs["vector"].numpy()
    expected, guesses, truth = [], [], []
    for batch in sampler.batches(0, episodes, 1):
        guess = (
            plain().fit(x[batch.support[0]], batch.support_targets[0]).predict(x[batch.query[0]])
        )
        expected.append(np.mean(guess == batch.query_targets[0]))
        guesses.append(guess)
        truth.append(batch.query_targets[0])
    np.testing.assert_allclose(result.scores, expected, atol=1e-6)
    np.testing.assert_array_equal(result.predictions, np.concatenate(guesses))
    np.testing.assert_array_equal(result.targets, np.concatenate(truth))
    np.testing.assert_array_equal(np.diff(result.offsets), [len(t) for t in truth])
    np.testing.assert_allclose(result.credit, np.concatenate(guesses) == np.concatenate(truth))
    assert result.units.size == 0
    assert set(result.arrays()) == {
        "scores", "predictions", "credit", "targets", "offsets", "units",
    }  # fmt: skip


def test_each_test_item_is_embedded_once():
    model, sampler = model_of(), sampler_of(DATA)
    scores_of(model, problem_of(DATA), sampler, 300)
    assert model.encoder.embedded == len(sampler.pool.items)
    assert max(map(len, model.encoder.seen)) <= EMBED_BATCH


def test_shared_embeddings_give_the_scores_of_embedding_within_each_episode():
    encoder = Counting(dropout=0.5)
    encoder(DATA.inputs)  # batch norm has seen something
    model = model_of(encoder=encoder)
    raw = model_of(RawMeans, encoder, raw=True)
    shared = scores_of(model, problem_of(DATA), sampler_of(DATA), 60)
    alone = scores_of(raw, problem_of(DATA), sampler_of(DATA), 60)
    np.testing.assert_allclose(shared.scores, alone.scores, atol=1e-6)
    np.testing.assert_array_equal(shared.predictions, alone.predictions)


class Only:
    """A sampler of one query of each episode."""

    def __init__(self, sampler, position):
        self._sampler, self._position = sampler, position
        self.pool, self.stream, self.groups = sampler.pool, sampler.stream, sampler.groups

    def batches(self, start, stop, size):
        kept = slice(self._position, self._position + 1)
        for batch in self._sampler.batches(start, stop, size):
            yield EpisodeBatch(
                batch.support, batch.support_targets, batch.query[:, kept],
                batch.query_targets[:, kept], batch.way, batch.origins,
            )  # fmt: skip


@pytest.mark.parametrize("raw", [False, True])
def test_queries_one_by_one_and_together_give_the_same_scores(raw):
    encoder = Counting()
    encoder(DATA.inputs)
    model = model_of(RawMeans if raw else Means, encoder, raw=raw)
    together = scores_of(model, problem_of(DATA), sampler_of(DATA), 20)
    queries = EVEN.way * EVEN.query
    credit = together.credit.reshape(20, queries)
    for position in range(queries):
        one = scores_of(model, problem_of(DATA), Only(sampler_of(DATA), position), 20)
        np.testing.assert_array_equal(one.credit, credit[:, position])


@pytest.mark.parametrize(
    "shape", [lambda b, q, _: (b, q), lambda b, q, w: (b, w, q), lambda b, q, w: (b * q, w)]
)
def test_scores_of_the_wrong_shape_are_refused_with_both_shapes(shape):
    class Wrong(Algorithm):
        def adapt(self, support):
            return lambda query: torch.zeros(shape(*query.shape[:2], support.way))

    model, problem = frozen(DATA, Wrong)
    with pytest.raises(ValueError, match=r"shape \(.*\[episodes, queries, way\] = \(30, 12, 4\)"):
        scores_of(model, problem, sampler_of(DATA))


class Transductive(Algorithm):
    """Moves the means to the queries; refuses to be used without them."""

    def adapt(self, support):  # noqa: ARG002
        raise AssertionError("a transductive learner needs the queries")

    def adapt_transductive(self, support, query):
        assert isinstance(query, torch.Tensor)
        means = class_means(support)
        share = (-torch.cdist(query, means)).softmax(-1)
        means = (means + share.transpose(1, 2) @ query) / (1 + share.sum(1).unsqueeze(-1))

        def predict(asked):
            assert asked is query
            return -torch.cdist(asked, means)

        return predict


def poisoned(sampler, monkeypatch):
    """Replace every query target by the next label."""
    plain = sampler.batches

    def batches(start, stop, size):
        for batch in plain(start, stop, size):
            yield EpisodeBatch(
                batch.support, batch.support_targets, batch.query,
                (batch.query_targets + 1) % batch.way, batch.way, batch.origins,
            )  # fmt: skip

    monkeypatch.setattr(sampler, "batches", batches)
    return sampler


@pytest.mark.parametrize("learner", [Means, Transductive])
def test_query_targets_never_reach_an_algorithm(monkeypatch, learner):
    model, problem = frozen(DATA, learner)
    options = {"transductive": learner is Transductive}
    clean = scores_of(model, problem, sampler_of(DATA), **options)
    other = scores_of(model, problem, poisoned(sampler_of(DATA), monkeypatch), **options)
    np.testing.assert_array_equal(clean.predictions, other.predictions)
    np.testing.assert_array_equal((clean.targets + 1) % EVEN.way, other.targets)
    assert clean.scores.mean() > 0.5 > other.scores.mean()


def test_an_algorithm_cannot_spoil_the_features_of_other_episodes(monkeypatch):
    class Vandal(Means):
        def adapt(self, support):
            predict = super().adapt(support)
            support.x.fill_(1e9)
            support.y.zero_()

            def spoil(query):
                scores = predict(query)
                query.fill_(-1e9)
                return scores

            return spoil

    monkeypatch.setattr(evaluation, "EPISODES_AT_ONCE", 3)
    features = DATA.inputs["vector"].clone()
    clean, problem = frozen(DATA, Means)
    vandal, _ = frozen(DATA, Vandal)
    expected = scores_of(clean, problem, sampler_of(DATA)).scores
    np.testing.assert_array_equal(scores_of(vandal, problem, sampler_of(DATA)).scores, expected)
    assert torch.equal(DATA.inputs["vector"], features)
    trained = model_of(Vandal)
    expected = scores_of(model_of(Means), problem_of(DATA), sampler_of(DATA)).scores
    np.testing.assert_array_equal(
        scores_of(trained, problem_of(DATA), sampler_of(DATA)).scores, expected
    )


def test_gradients_can_be_taken_while_adapting_and_are_off_otherwise():
    class Descends(Algorithm):
        def adapt(self, support):
            assert not torch.is_grad_enabled()
            assert not support.x.is_inference()  # such a tensor cannot be saved for backward
            with torch.enable_grad():
                weight = torch.zeros(len(support.y), 6, support.way, requires_grad=True)
                loss = (support.x.square() @ weight).logsumexp(-1).sum()
                (gradient,) = torch.autograd.grad(loss, weight)
            return lambda query: query @ gradient

    result = scores_of(model_of(Descends), problem_of(DATA), sampler_of(DATA))
    assert np.isfinite(result.scores).all()


def test_a_learner_that_draws_numbers_draws_the_same_whatever_ran_before():
    class Random(Algorithm):
        def adapt(self, support):
            return lambda query: torch.randn(*query.shape[:2], support.way)

    model, problem = frozen(DATA, Random)
    torch.manual_seed(1)
    first = scores_of(model, problem, sampler_of(DATA), 250)
    torch.manual_seed(2)
    second = scores_of(model, problem, sampler_of(DATA), 250)
    other = scores_of(model, problem, sampler_of(DATA, seed=1), 250)
    np.testing.assert_array_equal(first.predictions, second.predictions)
    assert (first.predictions != other.predictions).any()
    assert (first.predictions[:1200] != first.predictions[1200:2400]).any()  # not per batch


def test_constant_scores_give_exactly_chance():
    class Constant(Algorithm):
        def adapt(self, support):
            return lambda query: torch.zeros(*query.shape[:2], support.way)

    model, problem = frozen(DATA, Constant)
    result = scores_of(model, problem, sampler_of(DATA))
    np.testing.assert_allclose(result.scores, 0.25, rtol=0, atol=1e-15)
    assert not result.predictions.any()  # the first of the tied ones


def test_task_pools_keep_the_unit_of_each_episode():
    data = task_data()
    model, problem = frozen(data, Means, way=2)
    sampler = sampler_of(data, Sampling(shot=6, query=None, draws=4))
    result = scores_of(model, problem, sampler, sampler.test_episodes(0))
    assert np.bincount(result.units).tolist() == [4, 4, 4]
    assert result.units.tolist() == [0, 1, 2] * 4
    assert np.diff(result.offsets).tolist() == [24, 14, 18] * 4


def test_undefined_episodes_are_left_out_of_the_mean_of_validation():
    def half(answered):
        values = accuracy(answered)
        values[::2] = torch.nan
        return values

    model, problem = frozen(DATA, Means)
    score = mean_score(model, problem, sampler_of(DATA), 40, half)
    plain = scores_of(model, problem, sampler_of(DATA), 40).scores
    assert score == pytest.approx(plain[1::2].mean())


def test_progress_and_times_are_reported():
    seen = []
    model, problem = frozen(DATA, Means)
    result = scores_of(
        model, problem, sampler_of(DATA), 250, report=lambda done, total: seen.append((done, total))
    )
    assert seen == [(100, 250), (200, 250), (250, 250)]
    assert result.adapt_seconds > 0


def test_a_frozen_encoder_embeds_every_example_in_evaluation_mode():
    encoder = Counting(dropout=0.5)
    encoder.train()
    features = embed_source(encoder, DATA.inputs, torch.arange(3), CPU)
    assert encoder.embedded == len(DATA) == len(features)
    assert features.dtype == torch.float32
    assert not features.is_inference()
    torch.testing.assert_close(features, encoder.eval()(DATA.inputs).detach())
