"""Peak memory is counted anew for each cell."""

import subprocess
import sys

import pytest

# A process of its own: elsewhere a block may come out of memory that was used and freed before.
PROGRAM = """
import numpy as np
from metabench.runs.memory import peak_memory_mb, reset_peak_memory

reset_peak_memory()
before = peak_memory_mb()
block = np.ones(60 * 2**20 // 8)
with_block = peak_memory_mb()
del block
reset_peak_memory()
print(before, with_block, peak_memory_mb())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux counts anew")
def test_a_large_cell_does_not_count_for_the_next():
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True
    )
    before, with_block, after = map(float, done.stdout.split())
    assert with_block > before + 50
    assert after < before + 30
