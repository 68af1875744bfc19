"""All that a run on a lane has become, as plain arrays, and a fresh run brought to the same place."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tuner.agents.dqn.stack import DQNStack
from tuner.contract.outcome import describe
from tuner.core.named_arrays import joined, part_of
from tuner.training.stack.lane import LaneRun

Array = NDArray[Any]

logger = logging.getLogger(__name__)


def run_state(run: LaneRun, stack: DQNStack, current: Array) -> dict[str, Array]:
    """Return a run's state between two rounds, as views: to be used before the next one.

    Args:
        run: It keeps a journal.
        stack: The stack it is on.
        current: The stored observation it acts on next, flat.
    """
    assert run.journal is not None
    parts = {"agent": stack.snapshot(run.index), "env": run.journal.snapshot()}
    return {**joined(parts), "run": run.snapshot(), "current": current}


def restore_run(
    run: LaneRun, stack: DQNStack, current: Array, saved: Mapping[str, Array], store: Callable[[Any], Array]
) -> bool:
    """Bring a run that has just begun to where another one was, and return whether that has worked.

    Where it has not, run and lane are in no state to go on: begin anew.

    Args:
        run: It keeps a journal.
        stack: The stack it is on.
        current: The stored observation it acts on next, flat; overwritten.
        saved: The other one's :func:`run_state`.
        store: From an observation to the numbers that are stored.
    """
    assert run.journal is not None
    try:
        there = run.journal.repeat(part_of("env", saved), current.copy(), store)
        if there is None or not np.array_equal(there, saved["current"]):
            raise ValueError("its environment does not come to the same place again")
        stack.restore(run.index, part_of("agent", saved))
        run.restore(saved["run"])
        current[...] = saved["current"]
    except Exception as error:  # a file may hold anything, and an environment's own code raise anything
        logger.info("Run %s cannot go on: %s.", tuple(run.spec.run_id), describe(error))
        return False
    return True
