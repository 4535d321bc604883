"""Peak memory is counted anew for each cell."""

import sys

import numpy as np
import pytest

from metabench.runs.memory import peak_memory_mb, reset_peak_memory


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux counts anew")
def test_a_large_cell_does_not_count_for_the_next():
    reset_peak_memory()
    before = peak_memory_mb()
    block = np.ones(60 * 2**20 // 8)
    assert block.sum() > 0
    assert peak_memory_mb() > before + 50
    del block
    reset_peak_memory()
    assert peak_memory_mb() < before + 30
