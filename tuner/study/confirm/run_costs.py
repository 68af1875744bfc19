"""What a run of a setting will take in a confirm stage, from what the search's runs have taken.

A run trains, which its settings decide, and plays evaluation episodes, which its policy decides: in the confirm stage
the late ones have five times as many episodes, so a run may take twice its time in the search, or hardly longer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median

import numpy as np
from scipy.optimize import nnls

from tuner.contract.spec import RunSpec
from tuner.result.confirmation import Contestant
from tuner.result.study import TrialRow


def expected_seconds(
    contestants: Sequence[Contestant],
    specs: Mapping[str, RunSpec],
    works: Mapping[str, float],
    trials: Mapping[int, tuple[TrialRow, float]],
) -> dict[str, float]:
    """Return the seconds of a worker that a run of each contestant takes, by key.

    Seconds of the search's runs are taken for a sum of a rate times their computing and another times the steps of
    their evaluations; both rates are fitted to all of them, each as important as any other. A finalist takes what its
    own trial took and the further episodes; a baseline that has not trained, what its computing takes and the
    evaluations of the middling trial.

    Args:
        contestants: Whose runs.
        specs: A run of each as the stage trains it, by key.
        works: The computing of a run of each, by key, in any unit.
        trials: By number, those that have run: the trial, and the computing of what it has run, in the same unit.
    """
    evaluated = {number: _evaluation_steps(trial) for number, (trial, _) in trials.items()}
    rates = _rates([(work, evaluated[n], trial.duration_s) for n, (trial, work) in trials.items()])
    usual = median([_episode_steps(trial) for trial, _ in trials.values()] or [0.0])
    found = {}
    for contestant in contestants:
        spec = specs[contestant.key]
        own = trials.get(contestant.trial) if contestant.trial is not None else None
        if own is None:
            steps = usual * sum(spec.episodes_at(step) for step in spec.grid)
            found[contestant.key] = rates[0] * works[contestant.key] + rates[1] * steps
            continue
        trial = own[0]
        further = _late_steps(trial, spec) - evaluated[trial.number] / max(len(trial.curves), 1)
        found[contestant.key] = trial.duration_s * works[contestant.key] / own[1] + rates[1] * max(further, 0.0)
    return found


def _rates(runs: Sequence[tuple[float, float, float]]) -> tuple[float, float]:
    """Return the seconds of a unit of computing and of an evaluation step, from (computing, steps, seconds)."""
    rows = np.array([run for run in runs if run[2] > 0.0])
    if not len(rows):
        return 0.0, 0.0
    scale = np.maximum(rows[:, :2].max(axis=0), 1e-300)
    rates, _ = nnls(rows[:, :2] / scale / rows[:, 2:], np.ones(len(rows)))
    return float(rates[0] / scale[0]), float(rates[1] / scale[1])


def _evaluation_steps(trial: TrialRow) -> float:
    return float(sum(point.steps for curve in trial.curves.values() for point in curve))


def _episode_steps(trial: TrialRow) -> float:
    """Return the mean length of a trial's evaluation episodes."""
    episodes = sum(len(point.returns) for curve in trial.curves.values() for point in curve)
    return _evaluation_steps(trial) / max(episodes, 1)


def _late_steps(trial: TrialRow, spec: RunSpec) -> float:
    """Return the steps of a run's evaluations in the stage, where a trial's first seed had episodes as long."""
    curve = next(iter(trial.curves.values()), ())
    lengths = {point.step: point.steps / max(len(point.returns), 1) for point in curve}
    last = curve[-1].step if curve else 0
    return sum(spec.episodes_at(step) * lengths.get(step, lengths.get(last, 0.0)) for step in spec.grid)
