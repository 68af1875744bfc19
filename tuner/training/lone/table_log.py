"""A table of action values over training, beside the values that are true: what the page of a tabular run shows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tuner.core.dynamic_programming import reachable, value_iteration
from tuner.envs.spec import EnvSpec
from tuner.envs.transition_table import MAX_ENTRIES, transition_table

Array = NDArray[Any]

#: Most numbers of tables that a page shows; of many evaluations it shows some, evenly spread.
SHOWN_NUMBERS = 100_000

#: Most evaluations whose tables are shown.
SHOWN_TABLES = 40

#: Entries of the transition matrix that all sweeps of value iteration may read: seconds for small tables, less than a
#: minute for the largest; where gamma is 1 there may be no end.
MOST_WORK = 64_000_000_000

#: Share of the span of true values within which two actions are equally good: rounding, no decision.
EQUAL = 1e-9


class TableLog:
    """At each evaluation the value of each state and the action that the agent would take there.

    Attributes:
        steps: Environment step of each evaluation.
    """

    def __init__(self) -> None:
        self.steps: list[int] = []
        self._values: list[Array] = []
        self._actions: list[Array] = []

    def add(self, step: int, table: Array) -> None:
        """Keep what a table ``[S, A]`` says after so many environment steps; nothing of one too large for the truth."""
        if table.shape[0] ** 2 * table.shape[1] > MAX_ENTRIES:
            return
        self.steps.append(int(step))
        self._values.append(table.max(axis=1))
        level = table.max(axis=1) == table.min(axis=1)
        self._actions.append(np.where(level, -1, table.argmax(axis=1)).astype(np.int16))

    def snapshot(self) -> dict[str, Array]:
        """Return all that it has become, as plain arrays."""
        return {"steps": np.array(self.steps, np.int64), "values": np.array(self._values),
                "actions": np.array(self._actions)}  # fmt: skip

    def restore(self, saved: Mapping[str, Array]) -> None:
        """Go on from a snapshot."""
        self.steps = saved["steps"].tolist()
        self._values, self._actions = list(saved["values"]), list(saved["actions"])

    def beside_truth(self, env: EnvSpec, gamma: float) -> dict[str, Any] | None:
        """Return plain data for the page, or None without a log or a transition table; it makes the environment.

        ``gamma``; ``steps``, ``optimal_share`` (share of the reachable states in which the action that is taken is an
        optimal one) and ``largest_error`` (of the reachable states' values) of each evaluation; ``shown``, the numbers
        of those whose tables follow; ``values`` and ``actions``, ``[shown][S]``, the action -1 where all are worth
        the same; ``reachable``, ``[S]``; ``truth`` with ``values`` ``[S]`` and ``actions``, all that are optimal, for
        each state; ``map`` as :class:`~tuner.envs.grid_map.GridMap`, or None.
        """
        found = transition_table(env) if self.steps else None
        if found is None or len(found.start) != len(self._values[0]):
            return None
        try:
            sweeps = min(100_000, MOST_WORK // found.model.successors.size)
            true_values, q_values = value_iteration(found.model, gamma, max_sweeps=sweeps)
        except ValueError:
            return None
        counted = reachable(found.model, found.start)
        optimal = q_values >= true_values[:, None] - EQUAL * max(1.0, float(np.ptp(true_values)))  # [S, A]
        values, actions = np.array(self._values), np.array(self._actions)  # [evaluations, S]
        taken = np.maximum(actions, 0)  # of equals the first
        right = optimal[np.arange(len(true_values)), taken]
        errors = np.abs(values - true_values)
        shown = _evenly(len(self.steps), max(2, min(SHOWN_TABLES, SHOWN_NUMBERS // len(true_values))))
        return {
            "gamma": gamma,
            "steps": self.steps,
            "optimal_share": right[:, counted].mean(axis=1).tolist(),
            "largest_error": errors[:, counted].max(axis=1).tolist(),
            "shown": shown,
            "values": [[float(f"{v:.5g}") for v in row] for row in values[shown].tolist()],
            "actions": actions[shown].tolist(),
            "reachable": counted.tolist(),
            "truth": {
                "values": [float(f"{v:.5g}") for v in true_values.tolist()],
                "actions": [np.flatnonzero(row).tolist() for row in optimal],
            },
            "map": None if found.map is None else asdict(found.map),
        }


def tables_beside_truth(
    env: EnvSpec, tables: Sequence[tuple[int, Array, float] | None], tell: Callable[[str], None]
) -> list[dict[str, Any] | None]:
    """Return :meth:`TableLog.beside_truth` of several tables of one environment, each after its last step.

    Args:
        env: Made here.
        tables: (environment steps, ``[S, A]``, gamma), or None.
        tell: Told what comes next.
    """
    found: list[dict[str, Any] | None] = []
    for given in tables:
        tell("its transition table")
        log = TableLog()
        if given is not None:
            log.add(*given[:2])
        found.append(None if given is None else log.beside_truth(env, given[2]))
    return found


def _evenly(n: int, most: int) -> list[int]:
    """Return at most ``most`` numbers below ``n``, evenly spread, the last among them."""
    return sorted({round(i) for i in np.linspace(0, n - 1, min(n, most))})
