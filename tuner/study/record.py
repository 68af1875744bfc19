"""A study's trials in the database: the supervisor asks, reports and tells through here, and nobody else writes.

What happens when the process dies at any point: an outcome is one attribute, written after everything it rests on and
just before Optuna is told. At the next start :meth:`StudyRecord.settle` tells Optuna of trials that have their
outcome, closes trials without one as ``lost``, and gives each lost trial exactly one successor with the same
parameters and the same seeds.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import psutil
from optuna import Study
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial, Trial, TrialState

from tuner.errors import InputError
from tuner.hyperparameters import Hyperparameters
from tuner.seeding import run_seed
from tuner.space.model import SearchSpace
from tuner.study import attributes as attr
from tuner.study.pruning import Judge
from tuner.study.storage import storage_errors
from tuner.study.suggest import TrialSuggest
from tuner.training.types import EvalPoint

_STATES = {"completed": TrialState.COMPLETE, "failed": TrialState.FAIL}


@dataclass(frozen=True)
class AskedTrial:
    """A trial to train.

    Attributes:
        number: Trial number.
        params: What was sampled.
        hyperparameters: Resolved; None when the sampled values break a rule.
        seeds: Run seed of each replicate.
        problem: Why there are no hyperparameters.
    """

    number: int
    params: Mapping[str, Any]
    hyperparameters: Hyperparameters | None
    seeds: tuple[int, ...]
    problem: str = ""


@dataclass(frozen=True)
class TrialEnd:
    """How a trial ended: what :meth:`StudyRecord.tell` writes.

    Attributes:
        outcome: completed, pruned, diverged, timed_out or failed.
        score: The objective's score; only when completed.
        steps: Environment steps taken, all seeds together.
        duration_s: Training seconds, all seeds together.
        reason: Why it diverged, timed out or failed.
    """

    outcome: str
    score: float | None = None
    steps: int = 0
    duration_s: float = 0.0
    reason: str = ""


@dataclass
class Settled:
    """What :meth:`StudyRecord.settle` found and did.

    Attributes:
        counts: Counted trials by outcome.
        best: (score, number, params) of the best completed trial, or None.
        lost: Numbers of trials that their dead owner left open.
        recovered: Numbers of trials that were finished, but for Optuna's knowing.
    """

    counts: dict[str, int] = field(default_factory=dict)
    best: tuple[float, int, Mapping[str, Any]] | None = None
    lost: list[int] = field(default_factory=list)
    recovered: list[int] = field(default_factory=list)


class StudyRecord:
    """One study's trials.

    Args:
        study: The Optuna study, with its sampler and pruner.
        storage: The storage it lives in.
        space: What to sample from.
        judge: Decides about pruning.
        seed: The study's seed.
        replicates: Seeds per trial.
        url: The storage's URL, for messages (masked there).
        exclusive: This process owns the study alone (SQLite): whatever is RUNNING at the start is left over.
    """

    def __init__(
        self,
        study: Study,
        storage: BaseStorage,
        space: SearchSpace,
        judge: Judge,
        *,
        seed: int,
        replicates: int,
        url: str,
        exclusive: bool,
    ) -> None:
        self._study = study
        self._storage = storage
        self._study_id = storage.get_study_id_from_name(study.study_name)
        self._space = space
        self._judge = judge
        self._seed = seed
        self._replicates = replicates
        self._url = url
        self._exclusive = exclusive
        self._open: dict[int, Trial] = {}
        self._values: dict[int, dict[int, float]] = {}
        self._owner = f"{socket.gethostname()}:{os.getpid()}"

    def ask(self) -> AskedTrial:
        """Create the next trial (a lost trial's successor comes first) and sample it.

        Raises:
            StorageLostError: The database does not answer.
        """
        with storage_errors(self._url):
            trial = self._study.ask()
            self._open[trial.number] = trial
            trial.set_user_attr(attr.OWNER, self._owner)
            params = self._space.sample(TrialSuggest(trial))
            root = trial.user_attrs.get(attr.ROOT, trial.number)
            seeds = tuple(run_seed(self._seed, "search", root, r) for r in range(self._replicates))
            trial.set_user_attr(attr.SEEDS, list(seeds))
            try:
                hyperparameters = self._space.resolve(params)
            except InputError as error:
                return AskedTrial(trial.number, params, None, seeds, problem=f"InputError: {error}")
            trial.set_user_attr(attr.HYPERPARAMETERS, hyperparameters.to_mapping())
            return AskedTrial(trial.number, params, hyperparameters, seeds)

    def report(self, number: int, step: int, value: float) -> None:
        """Store a trial's value at a grid step, in place of an earlier one with fewer seeds."""
        with storage_errors(self._url):
            self._storage.set_trial_intermediate_value(self._trial_id(number), step, value)
        self._values.setdefault(number, {})[step] = value

    def stops(self, number: int, step: int) -> bool:
        """Return whether the pruner stops the trial at ``step``, the farthest it has reported."""
        if not self._judge.may_stop(step):
            return False
        with storage_errors(self._url):
            return self._judge.stops(self._study, self._so_far(number))

    def _so_far(self, number: int) -> FrozenTrial:
        """Return an open trial as pruners look at it: from memory, as a reread costs several queries."""
        trial_id = self._trial_id(number)
        rungs = self._storage.get_trial_system_attrs(trial_id) if self._judge.keeps_rungs else {}
        return FrozenTrial(
            number=number,
            state=TrialState.RUNNING,
            value=None,
            datetime_start=None,
            datetime_complete=None,
            params={},
            distributions={},
            user_attrs={},
            system_attrs=rungs,
            intermediate_values=self._values[number],
            trial_id=trial_id,
        )

    def write_curve(self, number: int, replicate: int, points: Sequence[EvalPoint]) -> None:
        """Store all evaluations of a run that has ended."""
        with storage_errors(self._url):
            self._open[number].set_user_attr(attr.curve_key(replicate), attr.curve_to_json(points))

    def tell(self, number: int, end: TrialEnd) -> None:
        """Finish a trial."""
        with storage_errors(self._url):
            trial = self._open.pop(number)
            self._values.pop(number, None)
            if end.score is not None:
                trial.set_user_attr(attr.SCORE, float(end.score))
            trial.set_user_attr(attr.STEPS, int(end.steps))
            trial.set_user_attr(attr.DURATION, round(float(end.duration_s), 3))
            if end.reason:
                trial.set_user_attr(attr.REASON, end.reason)
            if end.outcome in ("diverged", "timed_out"):
                # TPE ranks PRUNED trials by how far they came, so a late divergence would look good.
                # A broken constraint ranks below every trial without one, and is never the best.
                trial.set_constraint(end.outcome, 1.0)
            trial.set_user_attr(attr.OUTCOME, end.outcome)
            self._tell_optuna(number, end.outcome, end.score)

    def give_up(self, number: int, reason: str) -> None:
        """Close a trial as lost and queue its successor: the study is being interrupted."""
        with storage_errors(self._url):
            del self._open[number]
            self._values.pop(number, None)
            self._close_lost(self._storage.get_trial(self._trial_id(number)), reason)

    def settle(self) -> Settled:
        """Bring the trials of dead owners to an end, and count what is there.

        Raises:
            StorageLostError: The database does not answer.
        """
        result = Settled()
        with storage_errors(self._url):
            trials = self._study.get_trials(deepcopy=False)
            retried = {t.user_attrs[attr.RETRY_OF] for t in trials if attr.RETRY_OF in t.user_attrs}
            for trial in trials:
                outcome = outcome_of(trial)
                if trial.state == TrialState.RUNNING:
                    if outcome in attr.COUNTED:
                        self._tell_optuna(trial.number, outcome, trial.user_attrs.get(attr.SCORE))
                        result.recovered.append(trial.number)
                    elif self._is_stale(trial):
                        self._close_lost(trial, "the process that ran it has ended")
                        result.lost.append(trial.number)
                        continue
                elif outcome == attr.LOST and trial.number not in retried:
                    self._enqueue_successor(trial)
                if outcome in attr.COUNTED:
                    result.counts[outcome] = result.counts.get(outcome, 0) + 1
                score = trial.user_attrs.get(attr.SCORE, trial.value) if outcome == "completed" else None
                if score is not None and (result.best is None or score > result.best[0]):
                    result.best = (float(score), trial.number, dict(trial.params))
        return result

    def _tell_optuna(self, number: int, outcome: str, score: float | None) -> None:
        state = _STATES.get(outcome, TrialState.PRUNED)
        self._study.tell(number, score if state == TrialState.COMPLETE else None, state=state, skip_if_finished=True)

    def _close_lost(self, trial: FrozenTrial, reason: str) -> None:
        trial_id = self._trial_id(trial.number)
        self._storage.set_trial_user_attr(trial_id, attr.REASON, reason)
        self._storage.set_trial_user_attr(trial_id, attr.OUTCOME, attr.LOST)
        self._study.tell(trial.number, state=TrialState.FAIL, skip_if_finished=True)
        self._enqueue_successor(trial)

    def _enqueue_successor(self, trial: FrozenTrial) -> None:
        root = trial.user_attrs.get(attr.ROOT, trial.number)
        self._study.enqueue_trial(dict(trial.params), user_attrs={attr.RETRY_OF: trial.number, attr.ROOT: root})

    def _trial_id(self, number: int) -> int:
        return self._storage.get_trial_id_from_study_id_trial_number(self._study_id, number)

    def _is_stale(self, trial: FrozenTrial) -> bool:
        if self._exclusive:
            return True
        host, _, pid = str(trial.user_attrs.get(attr.OWNER, "")).rpartition(":")
        # Another host's trials are its own business: there is no telling from here whether it lives.
        return host == socket.gethostname() and pid.isdigit() and not psutil.pid_exists(int(pid))


def outcome_of(trial: FrozenTrial) -> str:
    """Return our outcome of a trial: its attribute, else what Optuna's state says."""
    states = {"COMPLETE": "completed", "PRUNED": "pruned", "FAIL": "failed", "RUNNING": "running", "WAITING": "waiting"}
    return str(trial.user_attrs.get(attr.OUTCOME, states[trial.state.name]))
