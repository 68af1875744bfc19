import subprocess
import sys

import pytest

# What a gradient step on images does to the allocator: arrays of some megabytes come and go.
ROUNDS = 200
PROGRAM = f"""
import resource, sys
import numpy as np
from tuner.training.stack.allocation import keep_freed_memory

if not keep_freed_memory():
    sys.exit(3)

def one_round():
    arrays = [np.ones(size, np.uint8) for size in 3 * (7 << 20,)]
    del arrays

one_round()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range({ROUNDS}):
    one_round()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def page_faults() -> int:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=False)
    if done.returncode == 3:
        pytest.skip("the C library has no mallopt")
    assert done.returncode == 0, done.stderr
    return int(done.stdout)


def test_freed_memory_is_used_again_without_new_pages():
    assert page_faults() < ROUNDS  # a round's 21 MB are 5,376 pages, which glibc alone maps anew each time
