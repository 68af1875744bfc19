"""One setting on several environments: which one to take, and how it stands in each, as plain data."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tuner.core.ranks import mean_ranks
from tuner.report.numbers.comparison import group_numbers
from tuner.result.confirmation import ConfirmRun
from tuner.result.verdict import compare_with_each

#: Name of the setting among the groups of an environment.
OURS = "setting"

#: Group (key, then setting) of runs by environment.
Runs = Mapping[str, Mapping[str, Sequence[ConfirmRun]]]


def chosen(
    runs: Runs,
    objective: str,
    value: Callable[[str, Sequence[float]], float],
    *,
    ties: bool = True,
    floored: bool = True,
) -> tuple[str, dict[str, float]]:
    """Return the setting with the highest mean of its normalised ranks over environments, and that mean of each.

    Args:
        runs: By environment and setting, the most promising setting first; the same settings in each.
        objective: The score.
        value: From a setting and its scores in one environment to what ranks it there; one without a score is last.
        ties: As for :func:`~tuner.core.ranks.mean_ranks`.
        floored: Whether one of which no run has completed is last, and a run that diverged lower than all others. By
            rule 5 and before it was as good as the worst of them: where all others are at the ceiling, the best.
    """
    settings = list(next(iter(runs.values())))
    table = []
    for groups in runs.values():
        numbers = group_numbers(groups, floored=floored)
        out = {key for key in settings if floored and "completed" not in numbers[key]["outcomes"]}
        scores = [[] if key in out else numbers[key]["scores"][objective] for key in settings]
        table.append([value(key, mine) if mine else float("-inf") for key, mine in zip(settings, scores, strict=True)])
    means = dict(zip(settings, mean_ranks(table, ties=ties).tolist(), strict=True))
    return max(means, key=lambda key: means[key]), means  # of equals the more promising one


def environment_row(
    env: str, n_timesteps: int, groups: Mapping[str, Sequence[ConfirmRun]], objective: str, *, held_out: bool
) -> dict[str, Any]:
    """Return how the setting stands in one environment.

    Args:
        env: Its id.
        n_timesteps: Steps of each run.
        groups: Runs of :data:`OURS`, then of ``defaults`` and, where RL Zoo has values, ``zoo``.
        objective: The score.
        held_out: Whether the search did not see it.

    Returns:
        ``env``, ``held_out``, ``n_timesteps``, ``settings`` (group to ``seeds``, ``outcomes``, ``scores`` and
        ``estimate``, or ``null``), and ``comparisons`` (group to ``difference``, ``probability``, ``result``).
    """
    numbers = group_numbers(groups)
    ours = numbers[OURS]["scores"][objective]
    others = {name: scores for name, row in numbers.items() if name != OURS and (scores := row["scores"][objective])}
    found = compare_with_each(ours, others) if ours else {}
    return {
        "env": env,
        "held_out": held_out,
        "n_timesteps": n_timesteps,
        "settings": {
            name: {
                "seeds": found["seeds"],
                "outcomes": found["outcomes"],
                "scores": found["scores"][objective],
                "estimate": found["estimates"].get(objective),
            }
            for name, found in numbers.items()
        },
        "comparisons": {name: dataclasses.asdict(comparison) for name, comparison in found.items()},
    }
