"""A policy at play: what it remembers of the steps before begins anew with its episodes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

#: From network inputs to actions, step by step. One that remembers takes the same number of episodes at each step.
Act = Callable[[Array], Array]


def begun(policy: Any) -> Act:
    """Return how a policy acts from the first step of its episodes on.

    It warns of no number: some kernels of BLAS raise the processor's flags for numbers that no result depends on.

    Args:
        policy: Has ``act``; one that remembers has ``begin``, which returns such a function that remembers nothing yet.
    """
    begin: Callable[[], Act] | None = getattr(policy, "begin", None)
    act: Act = np.errstate(all="ignore")(policy.act if begin is None else begin())
    return act
