"""Agents that a search has kept: of the runs that its verdict rests on, that of the best seed and of the median one."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tuner.result.confirmation import ConfirmRun, Contestant
from tuner.result.curve import CurvePoint

#: Their folder, in a study's report folder.
AGENTS = "agents"

#: Which of the verdict's runs.
Place = Literal["best", "median"]


@dataclass(frozen=True)
class KeptAgent:
    """An agent of the exported setting.

    Attributes:
        folder: Where it lies; ``tuner.load_agent``, ``tune evaluate`` and ``tune record`` take it.
        trial: Number of the exported trial; None for a setting that the search has not sampled.
        seed: Seed of the run that trained it.
        score: That run's score, by the study's objective.
        runs: How many runs the verdict has of this setting.
        curve: That run's evaluations, in order of steps; the last is of this very agent.
    """

    folder: Path
    trial: int | None
    seed: int
    score: float
    runs: int
    curve: tuple[CurvePoint, ...]


def best_and_median(winner: Contestant, objective: str) -> dict[Place, ConfirmRun]:
    """Return the runs of a verdict with the best and the median score; empty where none has completed.

    Of two in the middle it is the lower one. Runs that diverged or ran out of time stand below all others; where one of
    them is in the middle, the worst that completed stands for it.
    """
    runs = [run for run in winner.phase("verdict") if run.outcome != "failed"]
    scores = {run.replicate: run.score(objective) for run in runs}
    ranked = sorted(runs, key=lambda run: (-_number(scores[run.replicate]), run.replicate))
    completed = [run for run in ranked if scores[run.replicate] is not None]
    if not completed:
        return {}
    return {"best": completed[0], "median": completed[min(len(ranked) // 2, len(completed) - 1)]}


def _number(score: float | None) -> float:
    return -math.inf if score is None else score
