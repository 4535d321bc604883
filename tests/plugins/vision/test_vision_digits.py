import torch

from metabench_vision.sources.digits import digits


def test_digits():
    data = digits(None)
    assert data.inputs["pixels"].shape == (1797, 1, 8, 8)
    assert data.inputs["pixels"].dtype == torch.uint8
    assert data.inputs["pixels"].max() == 255
    names = {split: pool.names for split, pool in data.splits.items()}
    assert names == {
        "train": ("0", "1", "2", "3"),
        "val": ("4", "5", "6"),
        "test": ("7", "8", "9"),
    }
    assert sum(len(pool.items) for pool in data.splits.values()) == 1797
