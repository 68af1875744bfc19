"""The random streams that a whole process shares, kept from whoever must not move them."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Iterator

import numpy as np
import torch


@contextlib.contextmanager
def global_streams_kept() -> Iterator[None]:
    """Put the process-wide random streams back afterwards: Stable-Baselines3 seeds them and draws from them."""
    python, numpy, pytorch = random.getstate(), np.random.get_state(), torch.get_rng_state()  # noqa: NPY002
    try:
        yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)  # noqa: NPY002
        torch.set_rng_state(pytorch)
