import subprocess
import sys

import pytest

from tuner.training.allocation import keep_freed_memory

# What a gradient step on images does to the allocator: arrays of some megabytes come and go.
ROUNDS = 200
PROGRAM = f"""
import resource, sys
import numpy as np
from tuner.training.allocation import keep_freed_memory

if sys.argv[1] == "kept" and not keep_freed_memory():
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


def page_faults(word: str) -> int:
    done = subprocess.run([sys.executable, "-c", PROGRAM, word], capture_output=True, text=True, check=False)
    if done.returncode == 3:
        pytest.skip("the C library has no mallopt")
    assert done.returncode == 0, done.stderr
    return int(done.stdout)


def test_freed_memory_is_used_again_without_new_pages():
    assert page_faults("kept") < ROUNDS  # a round's 21 MB are 5,376 pages, which glibc alone maps anew each time


def test_it_is_done_once_and_says_whether_it_was():
    assert keep_freed_memory() is keep_freed_memory()
