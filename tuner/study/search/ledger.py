"""A study's trials in the database: the supervisor asks, reports and tells through here, and nobody else writes.

What happens when the process dies at any point: an outcome is one attribute, written after everything it rests on, in
one transaction with Optuna's state where the database allows (``writer.py``), else just before it. At the next start
:meth:`Ledger.settle` tells Optuna of trials that have their outcome, closes trials without one as ``lost``, and
gives each lost trial exactly one successor with the same parameters and the same seeds.
"""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import time
from collections import Counter
from collections.abc import Mapping, Sequence

import psutil
from optuna import Study
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial, Trial, TrialState

from tuner.contract.outcome import EvalPoint
from tuner.errors import StorageLostError
from tuner.study.sampling.samplers import point_of
from tuner.study.search.asker import Asker
from tuner.study.search.median_pruner import MedianMemory
from tuner.study.search.progress import BestTrial, SecondsLeft
from tuner.study.search.pruners import PruningRule
from tuner.study.search.trial import AskedTrial, Settled, TrialEnd
from tuner.study.store import keys as attr
from tuner.study.store.buffer import BufferedStorage
from tuner.study.store.connect import storage_errors, wait_briefly
from tuner.study.store.keys import outcome_of
from tuner.study.store.pending import running_trial
from tuner.study.store.shared_writer import NothingToClaimError

logger = logging.getLogger(__name__)

_STATES = {"completed": TrialState.COMPLETE, "failed": TrialState.FAIL}

#: Seconds before a trial is claimed again when others had them all.
RECLAIM_S = 0.5

#: Seconds after which evaluations of running trials are in the database, for others to see.
FLUSH_S = 2.0

#: Seconds between two looks for trials of supervisors that have died.
REAP_S = 5.0

#: Seconds after which what others have finished is counted again.
RECOUNT_S = 1.0


class Ledger:
    """One study's trials.

    Args:
        study: The Optuna study, with its sampler and pruner.
        storage: The storage it lives in; a plain one is written value by value.
        asker: Says what to train; None asks for nothing.
        rule: Decides about pruning; None stops nothing.
        url: The storage's URL, for messages (masked there).
        exclusive: This process owns the study alone (SQLite): whatever is RUNNING at the start is left over.
        successors: Whether a lost trial is queued again; a schedule wants its run back by itself.
    """

    def __init__(
        self,
        study: Study,
        storage: BaseStorage,
        asker: Asker | None = None,
        rule: PruningRule | None = None,
        *,
        url: str,
        exclusive: bool,
        successors: bool = True,
    ) -> None:
        self._study = study
        self._storage = storage
        self.asker = asker
        self._rule = rule
        self._url = url
        self._exclusive = exclusive
        self._successors = successors
        self._study_id = storage.get_study_id_from_name(study.study_name)
        self._sharing = storage.sharing if isinstance(storage, BufferedStorage) else None
        self._open: dict[int, Trial] = {}
        self._unfilled: Trial | None = None  # an open one: the database went away before the asker had filled it
        self._values: dict[int, dict[int, float]] = {}
        self._owner = self._sharing.owner if self._sharing else f"{socket.gethostname()}:{os.getpid()}"
        self._ask_again = -RECLAIM_S
        self._flushed = time.monotonic()
        self._reaped = self._counted = float("-inf")
        self._overruled = False  # the database holds an end that is not the one told here
        self._teach_pruner()

    def ask(self) -> AskedTrial | None:
        """Create the next trial (a lost trial's successor comes first) and let the asker fill it.

        None means that there is nothing to ask for now: before another trial has ended, or while other supervisors
        of the study have the rest.

        Raises:
            StorageLostError: The database does not answer.
        """
        if time.monotonic() < self._ask_again:
            return None
        with storage_errors(self._url):
            if self._sharing is not None and time.monotonic() - self._reaped >= REAP_S:
                self._reap()
            if not self._exclusive:
                self._learn_from_others()
            if self.asker is None or self.asker.left() == 0 or (self._unfilled is None and self.asker.waits()):
                return None
            try:
                self._unfilled = trial = self._unfilled or self._study.ask()
            except NothingToClaimError:  # the rest is in others' hands; one may die, and its trials come back
                self._ask_again = time.monotonic() + RECLAIM_S
                return None
            self._open[trial.number] = trial
            trial.set_user_attr(attr.OWNER, self._owner)
            asked = self.asker.fill(trial)
            self._unfilled = None
        with contextlib.suppress(StorageLostError):  # the trial is there; its values are kept for the next flush
            self.flush()
        return asked

    @property
    def left(self) -> int | None:
        """How many runs may be asked for now; None: there is no end to them."""
        return 0 if self.asker is None else self.asker.left()

    @property
    def standing(self) -> str:
        """Where a schedule's settings stand, in a line; empty in a search."""
        return "" if self.asker is None else self.asker.standing()

    def seconds_left(self, elapsed: Mapping[int, Sequence[float]]) -> SecondsLeft | None:
        """Return how long a schedule still takes; None in a search.

        Args:
            elapsed: Training seconds of each open trial at each of its evaluations so far.
        """
        return None if self.asker is None else self.asker.seconds_left(elapsed)

    def flush(self) -> bool:
        """Write what is known of trials in flight and what the spool keeps; return whether there was anything to write.

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
    def unwritten(self) -> int:
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
        if self._rule is None or not self._rule.may_stop(step):
            return False
        with storage_errors(self._url):
            if not self._rule.stops(self._study, self._so_far(number)):
                return False
            if not self._rule.spares(self._open[number].user_attrs.get(attr.POINT, number)):
                return True
            if attr.SPARED not in self._open[number].user_attrs:
                self._open[number].set_user_attr(attr.SPARED, step)
            return False

    def _so_far(self, number: int) -> FrozenTrial:
        """Return an open trial as pruners look at it: from memory, as a reread costs several queries."""
        trial = running_trial(number, self._trial_id(number), None)
        trial.intermediate_values = self._values[number]
        trial.user_attrs = self._open[number].user_attrs  # what it comes from
        if self._rule is not None and self._rule.keeps_rungs:
            trial.system_attrs = self._storage.get_trial_system_attrs(trial._trial_id)
        return trial

    def write_curve(self, number: int, replicate: int, points: Sequence[EvalPoint]) -> None:
        """Store all evaluations of a run that has ended."""
        with storage_errors(self._url):
            self._open[number].set_user_attr(attr.curve_key(replicate), attr.curve_to_json(points))

    def tell(self, number: int, end: TrialEnd) -> None:
        """Finish a trial. One that neither database nor spool takes stays open."""
        if number not in self._open:  # it has been: a second Ctrl-C came right after
            return
        with storage_errors(self._url):
            trial = self._open[number]
            if end.score is not None:
                trial.set_user_attr(attr.SCORE, float(end.score))
            trial.set_user_attr(attr.STEPS, int(end.steps))
            trial.set_user_attr(attr.DURATION, round(float(end.duration_s), 3))
            trial.set_user_attr(attr.EVALUATING, round(float(end.evaluation_s), 3))
            if end.reason:
                trial.set_user_attr(attr.REASON, end.reason)
            if end.outcome in ("diverged", "timed_out"):
                # TPE ranks PRUNED trials by how far they came, so a late divergence would look good.
                # A broken constraint ranks below every trial without one, and is never the best.
                trial.set_constraint(end.outcome, 1.0)
            trial.set_user_attr(attr.OUTCOME, end.outcome)
            self._tell_optuna(number, end.outcome, end.score)
        self._let_go(number, end)
        with storage_errors(self._url):
            self._teach_pruner(number)

    def _let_go(self, number: int, end: TrialEnd | None) -> None:
        del self._open[number]
        self._values.pop(number, None)
        if self.asker is not None:
            self.asker.ended(number, end)

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
            trial = self._storage.get_trial(self._trial_id(number))
            if self._sharing is not None and isinstance(self._storage, BufferedStorage):
                self._storage.flush()
                self._storage.forget(trial._trial_id)
                self._sharing.bury([trial], reason, successors=self._successors)
            else:
                self._close_lost(trial, reason)
        self._let_go(number, None)

    def settle(self) -> Settled:
        """Bring the trials of dead owners to an end, and count what is there; workers come next, who want answers.

        Raises:
            StorageLostError: The database does not answer.
        """
        result = Settled()
        with storage_errors(self._url):
            if self._sharing is not None:
                self._sharing.arrive()  # a confirm stage settles before each of its passes, and leaves after it
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
                if score is not None and (result.best is None or score >= result.best.score):
                    mean = attr.curve_mean(trial.user_attrs)
                    found = BestTrial(trial.number, float(score), dict(trial.params), mean)
                    result.best = found if found.before(result.best) else result.best
        wait_briefly(self._storage)
        return result

    def was_taken_away(self, number: int) -> bool:
        """Whether a trial had been ended by another program, or given away by a supervisor that took this one for dead.

        Then what counts is what the database holds.
        """
        taken = self._is_taken(number)
        if taken:
            self._overruled = True
            why = "was ended by another program, or given to another supervisor"
            logger.warning("trial %d %s: its result here is dropped", number, why)
        return taken

    def recount(self) -> dict[str, int] | None:
        """Return finished trials by outcome, whoever finished them, when there may be some of others; else None."""
        if not (self._overruled if self._sharing is None else time.monotonic() - self._counted >= RECOUNT_S):
            return None
        self._counted = time.monotonic()
        with storage_errors(self._url):
            if self._sharing is not None:
                return self._sharing.counts()
            ended = [trial for trial in self._study.get_trials(deepcopy=False) if trial.state.is_finished()]
        self._overruled = False
        return Counter(outcome for outcome in map(outcome_of, ended) if outcome in attr.COUNTED)

    def others_have(self, finished: int) -> bool:
        """Whether trials beyond ``finished`` are in other supervisors' hands, and may come back."""
        return self._sharing is not None and self._sharing.total is not None and finished < self._sharing.total

    def close(self) -> None:
        """Take leave of a shared study."""
        if self._sharing is not None:
            self._sharing.leave()

    def _reap(self) -> list[int]:
        assert self._sharing is not None
        self._reaped = time.monotonic()
        trials = self._study.get_trials(deepcopy=False)
        return self._sharing.reap(trials, self._open, successors=self._successors)

    def _is_taken(self, number: int) -> bool:
        return isinstance(self._storage, BufferedStorage) and self._trial_id(number) in self._storage.taken_away

    def _trial_id(self, number: int) -> int:
        return self._storage.get_trial_id_from_study_id_trial_number(self._study_id, number)

    def _tell_optuna(self, number: int, outcome: str, score: float | None) -> None:
        state = _STATES.get(outcome, TrialState.PRUNED)
        self._study.tell(number, score if state == TrialState.COMPLETE else None, state=state, skip_if_finished=True)

    def _close_lost(self, trial: FrozenTrial, reason: str) -> None:
        trial_id = self._trial_id(trial.number)
        self._storage.set_trial_user_attr(trial_id, attr.REASON, reason)
        self._storage.set_trial_user_attr(trial_id, attr.OUTCOME, attr.LOST)
        self._study.tell(trial.number, state=TrialState.FAIL, skip_if_finished=True)
        if not self._is_taken(trial.number):
            self._enqueue_successor(trial)

    def _enqueue_successor(self, trial: FrozenTrial) -> None:
        if not self._successors:
            return
        root = trial.user_attrs.get(attr.ROOT, trial.number)
        point = point_of(self._study.get_trials(deepcopy=False), trial.number)
        self._study.enqueue_trial(
            dict(trial.params), user_attrs={attr.RETRY_OF: trial.number, attr.ROOT: root, attr.POINT: point}
        )

    def _is_stale(self, trial: FrozenTrial) -> bool:
        if self._exclusive:
            return True
        host, _, pid = str(trial.user_attrs.get(attr.OWNER, "")).rpartition(":")
        # Another host's trials are its own business: there is no telling from here whether it lives.
        return host == socket.gethostname() and pid.isdigit() and not psutil.pid_exists(int(pid))
