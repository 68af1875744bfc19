"""What passes between the supervisor and the study's ledger: plain values, no Optuna object among them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tuner.contract.spec import RunSpec
from tuner.hyperparameters import Hyperparameters
from tuner.study.search.progress import BestTrial


@dataclass(frozen=True)
class AskedTrial:
    """A trial to train.

    Attributes:
        number: Trial number.
        params: What was sampled.
        hyperparameters: Resolved; None when the sampled values break a rule.
        seeds: Run seed of each replicate.
        problem: Why there are no hyperparameters.
        specs: Its runs by replicate, where they are others than the study's plan would make; else empty.
        folder: Where its event files go, below the study's; the same for all its attempts.
    """

    number: int
    params: Mapping[str, Any]
    hyperparameters: Hyperparameters | None
    seeds: tuple[int, ...]
    problem: str = ""
    specs: tuple[RunSpec, ...] = ()
    folder: str = ""


@dataclass(frozen=True)
class TrialEnd:
    """How a trial ended: what :meth:`Ledger.tell` writes.

    Attributes:
        outcome: completed, pruned, diverged, timed_out or failed.
        score: The objective's score; only when completed.
        steps: Environment steps taken, all seeds together.
        duration_s: Training seconds, all seeds together.
        reason: Why it diverged, timed out or failed.
        curve_mean: Mean return over all evaluations of all seeds.
        evaluation_s: The seconds of ``duration_s`` that evaluations took.
    """

    outcome: str
    score: float | None = None
    steps: int = 0
    duration_s: float = 0.0
    reason: str = ""
    curve_mean: float = -math.inf
    evaluation_s: float = 0.0


@dataclass
class Settled:
    """What :meth:`Ledger.settle` found and did.

    Attributes:
        counts: Counted trials by outcome.
        best: The best completed trial, or None.
        lost: Numbers of trials that their dead owner left open.
        recovered: Numbers of trials that were finished, but for Optuna's knowing.
    """

    counts: dict[str, int] = field(default_factory=dict)
    best: BestTrial | None = None
    lost: list[int] = field(default_factory=list)
    recovered: list[int] = field(default_factory=list)
