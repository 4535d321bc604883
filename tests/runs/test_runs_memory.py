"""Peak memory is counted anew for each cell."""

import platform
import subprocess
import sys

import pytest

# A process of its own, as a worker is: what was freed before may be used again.
PROGRAM = """
import numpy as np
from metabench.runs.memory import keep_freed_memory, peak_memory_mb, reset_peak_memory

keep_freed_memory()
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


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc can be told")
def test_a_freed_block_is_used_again_without_new_pages():
    program = """
import numpy as np, resource
from metabench.runs.memory import keep_freed_memory

keep_freed_memory()
np.ones(2**22)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(10):
    np.ones(2**22)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    pages = 2**22 * 8 // 4096
    assert int(done.stdout) < pages
