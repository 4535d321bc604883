"""The scale of regression targets against the moments of all targets at once."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from metabench.learners.contracts import TaskSpec
from metabench_algorithms.shared.targets import TargetScale


@settings(max_examples=30)
@given(
    seed=st.integers(0, 9999),
    sizes=st.lists(st.tuples(st.integers(1, 4), st.integers(1, 9)), min_size=1, max_size=5),
    outputs=st.integers(1, 3),
)
def test_moments_are_those_of_all_targets(seed, sizes, outputs):
    g = torch.Generator().manual_seed(seed)
    parts = [7 + 3 * torch.randn(b, n, outputs, generator=g) for b, n in sizes]
    scale = TargetScale(TaskSpec("regression", outputs, 1))
    scale.update(*parts)
    everything = torch.cat([p.flatten(0, 1) for p in parts]).double()
    deviation = everything.std(0, correction=0)
    deviation = torch.where(deviation > 1e-9, deviation, 1)
    encoded = scale.encode(parts[0])
    expected = (parts[0].double() - everything.mean(0)) / deviation
    torch.testing.assert_close(encoded, expected.float(), atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(scale.decode(encoded), parts[0], atol=1e-4, rtol=1e-4)


def test_only_meta_training_updates_and_the_weights_keep_it():
    task = TaskSpec("regression", 2, 1)
    scale, other = TargetScale(task), TargetScale(task)
    y = torch.tensor([[[1.0, 10.0], [3.0, 10.0]]])
    assert torch.equal(scale.eval().encode(y), y)
    scale.update(y)
    assert torch.equal(scale.encode(y), y)
    scale.train().update(y)
    assert torch.equal(scale.encode(y), torch.tensor([[[-1.0, 0.0], [1.0, 0.0]]]))
    other.load_state_dict(scale.state_dict())
    assert torch.equal(other.encode(y), scale.encode(y))


def test_labels_and_raw_targets_pass():
    labels, logits = torch.tensor([[0, 1]]), torch.randn(1, 2, 3)
    scale = TargetScale(TaskSpec("classification", 3, 1))
    scale.update(labels)
    assert scale.encode(labels) is labels
    assert scale.decode(logits) is logits
    raw = TargetScale(TaskSpec("regression", 3, 1), enabled=False)
    raw.update(logits)
    assert raw.encode(logits) is logits
    assert not list(raw.buffers()) + list(scale.buffers())
