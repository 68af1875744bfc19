"""A study's trials in the database: the supervisor asks, reports and tells through here, and nobody else writes.

What happens when the process dies at any point: an outcome is one attribute, written after everything it rests on, in
one transaction with Optuna's state where the database allows (``rows.py``), else just before it. At the next start
:meth:`Ledger.settle` tells Optuna of trials that have their outcome, closes trials without one as ``lost``, and
gives each lost trial exactly one successor with the same parameters and the same seeds.
"""

from __future__ import annotations

import contextlib
import os
import socket
import time
from collections.abc import Sequence

import psutil
from optuna import Study
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial, TrialState

from tuner.contract.outcome import EvalPoint
from tuner.errors import InputError, StorageLostError
from tuner.seeding import run_seed
from tuner.space.model import SearchSpace
from tuner.study.search.median_pruner import MedianMemory
from tuner.study.search.pruners import PruningRule
from tuner.study.search.shared_ledger import SharedLedger
from tuner.study.search.suggest import TrialSuggest
from tuner.study.search.trial import AskedTrial, Settled, TrialEnd
from tuner.study.store import keys as attr
from tuner.study.store.buffer import BufferedStorage
from tuner.study.store.connect import storage_errors
from tuner.study.store.keys import outcome_of
from tuner.study.store.shared_writer import NothingToClaimError

_STATES = {"completed": TrialState.COMPLETE, "failed": TrialState.FAIL}

#: Seconds before a trial is claimed again when others had them all.
RECLAIM_S = 0.5

#: Seconds after which evaluations of running trials are in the database, for others to see.
FLUSH_S = 2.0


class Ledger(SharedLedger):
    """One study's trials.

    Args:
        study: The Optuna study, with its sampler and pruner.
        storage: The storage it lives in; a plain one is written value by value.
        space: What to sample from.
        rule: Decides about pruning.
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
        rule: PruningRule,
        *,
        seed: int,
        replicates: int,
        url: str,
        exclusive: bool,
    ) -> None:
        super().__init__(study, storage, url)
        self._space = space
        self._pruning_rule = rule
        self._seed = seed
        self._replicates = replicates
        self._exclusive = exclusive
        self._values: dict[int, dict[int, float]] = {}
        self._owner = self._sharing.owner if self._sharing else f"{socket.gethostname()}:{os.getpid()}"
        self._ask_again = -RECLAIM_S
        self._flushed = time.monotonic()
        self._teach_pruner()

    def ask(self) -> AskedTrial | None:
        """Create the next trial (a lost trial's successor comes first) and sample it.

        None means that there is nothing to ask for now: before another trial has ended, or while other supervisors
        of the study have the rest.

        Raises:
            StorageLostError: The database does not answer.
        """
        if time.monotonic() < self._ask_again:
            return None
        with storage_errors(self._url):
            self._reap_if_due()
            if not self._exclusive:
                self._learn_from_others()
            try:
                asked = self._ask()
            except NothingToClaimError:  # the rest is in others' hands; one may die, and its trials come back
                self._ask_again = time.monotonic() + RECLAIM_S
                return None
        with contextlib.suppress(StorageLostError):  # the trial is there; its values are kept for the next flush
            self.flush()
        return asked

    def _ask(self) -> AskedTrial | None:
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

    def flush(self) -> bool:
        """Write what is known of trials in flight and what is owed; return whether there was anything to write.

        Raises:
            StorageLostError: The database does not answer.
        """
        self._flushed = time.monotonic()
        if not isinstance(self._storage, BufferedStorage):
            return False
        with storage_errors(self._url):
            return self._storage.flush()

    def flush_if_due(self) -> bool:
        """Flush when the last time was :data:`FLUSH_S` ago."""
        return time.monotonic() - self._flushed >= FLUSH_S and self.flush()

    @property
    def owed(self) -> int:
        """Finished trials that wait in the spool."""
        return self._storage.unwritten if isinstance(self._storage, BufferedStorage) else 0

    def report(self, number: int, step: int, value: float) -> None:
        """Note a trial's value at a grid step, in place of an earlier one with fewer seeds."""
        with storage_errors(self._url):
            self._storage.set_trial_intermediate_value(self._trial_id(number), step, value)
        self._values.setdefault(number, {})[step] = value

    def stops(self, number: int, step: int) -> bool:
        """Return whether the pruner stops the trial at ``step``, the farthest it has reported.

        A trial that is to audit the pruner goes on; the first step at which it would have been stopped is noted.
        """
        if not self._pruning_rule.may_stop(step):
            return False
        with storage_errors(self._url):
            if not self._pruning_rule.stops(self._study, self._so_far(number)):
                return False
            if not self._pruning_rule.spares(number):
                return True
            if attr.SPARED not in self._open[number].user_attrs:
                self._open[number].set_user_attr(attr.SPARED, step)
            return False

    def _so_far(self, number: int) -> FrozenTrial:
        """Return an open trial as pruners look at it: from memory, as a reread costs several queries."""
        trial_id = self._trial_id(number)
        rungs = self._storage.get_trial_system_attrs(trial_id) if self._pruning_rule.keeps_rungs else {}
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
            self._teach_pruner(number)

    def _teach_pruner(self, number: int | None = None) -> None:
        """Let the median rule know of a trial that has ended, or of all."""
        pruner = self._study.pruner
        if isinstance(pruner, MedianMemory):
            if number is None:
                pruner.learn(self._study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,)))
            else:
                pruner.learn([self._storage.get_trial(self._trial_id(number))])

    def _learn_from_others(self) -> None:
        """Let the median rule know of trials that other supervisors have ended."""
        storage, pruner = self._storage, self._study.pruner
        if not isinstance(storage, BufferedStorage) or not storage.follows:
            self._teach_pruner()
        elif isinstance(pruner, MedianMemory):
            storage.look_at_others()
            pruner.learn(storage.ended_elsewhere())

    def give_up(self, number: int, reason: str) -> None:
        """Close a trial as lost and queue its successor: the study is being interrupted."""
        with storage_errors(self._url):
            del self._open[number]
            self._values.pop(number, None)
            trial = self._storage.get_trial(self._trial_id(number))
            if self._sharing is not None and isinstance(self._storage, BufferedStorage):
                self._storage.flush()
                self._storage.forget(trial._trial_id)
                self._sharing.bury([trial], reason, successors=self._successors)
            else:
                self._close_lost(trial, reason)

    def settle(self) -> Settled:
        """Bring the trials of dead owners to an end, and count what is there.

        Raises:
            StorageLostError: The database does not answer.
        """
        result = Settled()
        with storage_errors(self._url):
            if self._sharing is not None:
                result.lost = self._reap()
            trials = self._study.get_trials(deepcopy=False)
            retried = {t.user_attrs[attr.RETRY_OF] for t in trials if attr.RETRY_OF in t.user_attrs}
            for trial in trials:
                outcome = outcome_of(trial)
                if self._sharing is None and trial.state == TrialState.RUNNING:
                    if outcome in attr.COUNTED:
                        self._tell_optuna(trial.number, outcome, trial.user_attrs.get(attr.SCORE))
                        result.recovered.append(trial.number)
                    elif self._is_stale(trial):
                        self._close_lost(trial, "the process that ran it has ended")
                        result.lost.append(trial.number)
                        continue
                elif self._sharing is None and outcome == attr.LOST and trial.number not in retried:
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

    def _is_stale(self, trial: FrozenTrial) -> bool:
        if self._exclusive:
            return True
        host, _, pid = str(trial.user_attrs.get(attr.OWNER, "")).rpartition(":")
        # Another host's trials are its own business: there is no telling from here whether it lives.
        return host == socket.gethostname() and pid.isdigit() and not psutil.pid_exists(int(pid))
