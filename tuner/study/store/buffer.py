"""A storage that keeps the supervisor's trials in memory and writes them in few transactions.

The supervisor is the only writer of the trials it has asked for, so what it has written need not be read back. Open
trials live here; their pending writes go to the database

- when :meth:`BufferedStorage.flush` is called (once a trial is sampled; every two seconds while trials train, so that
  a dashboard sees their curves),
- together with the end of a trial, in the same transaction: a trial is finished with all its values, or not at all.

A finished trial that the database does not take goes to a spool on the disk: it counts as finished here, and is written
at a later flush.

A process that dies loses at most two seconds of curves of running trials, and those runs start again anyway.

Where a trial is, by the memory that holds it::

    (database) --queued by anyone-------------------> others --begun by a peer, ended by a peer--+
        |                                               |                                        |
        | created or begun here                         | begun here                             |
        v                                               v                                        v
       open, with its pending writes <------------------+                                      ended
        |      |                                                                                 ^
        |      +--forgotten: a peer has it, or it was given up--> (database)                     |
        +--ended here: in the database, or in the spool until the database takes it--------------+

:meth:`BufferedStorage.check_valid` says what holds at every point of it.
"""

from __future__ import annotations

import contextlib
import copy
import json
from collections.abc import Container, Sequence
from datetime import datetime
from typing import Any

from optuna.distributions import BaseDistribution, check_distribution_compatibility
from optuna.exceptions import StorageInternalError, UpdateFinishedTrialError
from optuna.storages import BaseStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from tuner.study.store.identity import Identity
from tuner.study.store.peers import Sharing
from tuner.study.store.pending import Param, PendingWrites
from tuner.study.store.spool import Spool, Unwritten
from tuner.study.store.writer import RowWriter, row_writer

_FINISHED = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL)


class BufferedStorage(BaseStorage):
    """One study of an Optuna storage, as its supervisor uses it. Not for several threads at once.

    Args:
        backend: The storage underneath. What is not about trials goes straight to it.
        study_id: The study's id in it.
        exclusive: Nobody else writes this study's trials; otherwise theirs are read whenever all are asked for.
        writer: Writes trials; None takes the fastest that fits the backend.
        spool: Keeps finished trials that the database does not take; without it that is an error.
        sharing: This supervisor's part in a study that several share; its writer is used.
        identity: The study that is meant; nothing is written to another.
    """

    def __init__(
        self,
        backend: BaseStorage,
        study_id: int,
        *,
        exclusive: bool,
        writer: RowWriter | None = None,
        spool: Spool | None = None,
        sharing: Sharing | None = None,
        identity: Identity | None = None,
    ) -> None:
        self._backend = backend
        self._study_id = study_id
        self._directions = backend.get_study_directions(study_id)
        self._exclusive = exclusive
        self.sharing = sharing
        self._writer: RowWriter = sharing.writer if sharing is not None else writer or row_writer(backend)
        self._unwritten = Unwritten(self._writer, spool, identity)
        self._pending: dict[int, PendingWrites] = {}  # by trial id: what the database lacks of open trials
        self._open: dict[int, FrozenTrial] = {}  # by trial id: trials that are not finished
        self._ended: dict[int, FrozenTrial] = {}  # by trial id: trials that are
        self._ids: dict[int, int] = {}  # trial number -> trial id
        self._all: dict[int, FrozenTrial] = {}  # by number, rising
        self._others: dict[int, FrozenTrial] = {}  # by trial id: trials of other supervisors, not finished
        self._newest = 0  # trial id up to which all are known
        self._unlearned: list[FrozenTrial] = []  # finished by others since this was last asked
        self._distributions: dict[str, BaseDistribution] = {}
        #: Finished trials that a former process had to keep and that were told when this was opened.
        self.told_late = 0
        #: Whether other supervisors' trials are read one by one, instead of all trials every time.
        self.follows = exclusive or self._writer.changes(study_id, 0, ()) is not None
        if self.follows:
            for trial in backend.get_all_trials(study_id, deepcopy=False):
                if exclusive:
                    self._take_in(trial)
                else:
                    self._look_at(trial)

    def flush(self) -> bool:
        """Write everything the database lacks, in one transaction, and return whether there was anything.

        Raises:
            StorageInternalError: The database does not take it; everything is kept for another try.
        """
        pending = [(trial_id, writes) for trial_id, writes in self._pending.items() if writes]
        if not pending and not self._unwritten:
            self._unwritten.check()
            return False
        self._unwritten.write(pending)
        for trial_id, _ in pending:
            self._pending[trial_id] = PendingWrites()
        return True

    def forget(self, trial_id: int) -> None:
        """Let go of an open trial: what becomes of it is no longer this process's business."""
        for memory in (self._open, self._pending):
            memory.pop(trial_id, None)

    @property
    def taken_away(self) -> Container[int]:
        """Ids of trials that others have ended, or given to somebody else."""
        return self._writer.taken_away

    @property
    def unwritten(self) -> int:
        """Finished trials that the database has not taken yet."""
        return len(self._unwritten)

    # Trials.

    def create_new_trial(self, study_id: int, template_trial: FrozenTrial | None = None) -> int:
        """Create a trial in the database, at once: its number is taken."""
        self._unwritten.check()
        if template_trial is None:
            trial = self._writer.create(study_id)
        else:
            trial = self._backend.get_trial(self._backend.create_new_trial(study_id, template_trial))
        self._take_in(trial)
        if self._exclusive and trial.number >= len(self._all):  # numbers before it are another program's
            for stored in self._backend.get_all_trials(study_id, deepcopy=False):
                if stored.number not in self._all:
                    self._look_at(stored)
        return int(trial._trial_id)

    def set_trial_param(
        self, trial_id: int, param_name: str, param_value_internal: float, distribution: BaseDistribution
    ) -> None:
        """Keep a sampled value."""
        trial = self._change(trial_id)
        if param_name in self._distributions:
            check_distribution_compatibility(self._distributions[param_name], distribution)
        self._distributions[param_name] = distribution
        trial.params = {**trial.params, param_name: distribution.to_external_repr(param_value_internal)}
        trial.distributions = {**trial.distributions, param_name: distribution}
        self._pending[trial_id].params[param_name] = Param(param_value_internal, distribution)

    def set_trial_intermediate_value(self, trial_id: int, step: int, intermediate_value: float) -> None:
        """Keep a reported value."""
        trial = self._change(trial_id)
        trial.intermediate_values = {**trial.intermediate_values, step: intermediate_value}
        self._pending[trial_id].reports[step] = intermediate_value

    def set_trial_user_attr(self, trial_id: int, key: str, value: Any) -> None:
        """Keep a user attribute."""
        trial, value = self._change(trial_id), json.loads(json.dumps(value))
        trial.user_attrs = {**trial.user_attrs, key: value}
        self._pending[trial_id].user.pop(key, None)  # written in order of the last change
        self._pending[trial_id].user[key] = value

    def set_trial_system_attr(self, trial_id: int, key: str, value: Any) -> None:
        """Keep an attribute of Optuna's own."""
        trial, value = self._change(trial_id), json.loads(json.dumps(value))
        trial.system_attrs = {**trial.system_attrs, key: value}
        self._pending[trial_id].system[key] = value

    def set_trial_state_values(self, trial_id: int, state: TrialState, values: Sequence[float] | None = None) -> bool:
        """Write a trial's new state at once, together with all that is new about it."""
        if not state.is_finished():
            try:
                if self.sharing is not None:
                    changed = self.sharing.writer.begin(self._study_id, trial_id)
                else:
                    changed = self._backend.set_trial_state_values(trial_id, state, values)
            except UpdateFinishedTrialError:  # another supervisor has taken it, and finished it
                changed = False
            if changed:  # a queued trial begins
                self._take_in(self._backend.get_trial(trial_id))
            return changed
        trial = self._change(trial_id)
        writes, now = self._pending[trial_id], datetime.now()
        writes.end = (state, values, now)
        try:
            self._unwritten.finish(trial.number, trial_id, writes)
        except BaseException:
            writes.end = None
            raise
        with contextlib.suppress(StorageInternalError):
            if trial_id in self.taken_away:  # what others have made of it is what there is
                stored = self._backend.get_trial(trial_id)
                self.forget(trial_id)
                self._take_in(stored)
                return False
        trial.state, trial.datetime_complete = state, now
        if values is not None:
            trial.values = list(values)
        del self._pending[trial_id], self._open[trial_id]
        self._ended[trial_id] = trial
        return True

    def get_trial_id_from_study_id_trial_number(self, study_id: int, trial_number: int) -> int:
        """Return a trial's id."""
        if trial_number in self._ids:
            return self._ids[trial_number]
        return self._backend.get_trial_id_from_study_id_trial_number(study_id, trial_number)

    def get_trial(self, trial_id: int) -> FrozenTrial:
        """Return a trial; one in flight as it is in memory."""
        return self._open.get(trial_id) or self._ended.get(trial_id) or self._backend.get_trial(trial_id)

    def get_all_trials(
        self, study_id: int, deepcopy: bool = True, states: Container[TrialState] | None = None
    ) -> list[FrozenTrial]:
        """Return all trials in order of their numbers."""
        if not self._exclusive:
            self.look_at_others()
        if not self.follows:
            stored = self._backend.get_all_trials(study_id, deepcopy=False)
            mine = {**self._open, **{trial_id: self._ended[trial_id] for trial_id in self._unwritten}}
            trials = [mine.get(t._trial_id, t) for t in stored]
        elif states is not None and not any(state in states for state in _FINISHED):
            trials = sorted([*self._open.values(), *self._others.values()], key=lambda t: t.number)
        else:
            trials = list(self._all.values())
        if states is not None:
            trials = [t for t in trials if t.state in states]
        return copy.deepcopy(trials) if deepcopy else trials

    def check_valid(self) -> None:
        """Check what holds between any two calls.

        Raises:
            AssertionError: Something does not.
        """
        memories = (self._open, self._ended, self._others)
        assert self._open.keys() == self._pending.keys(), "what is open has pending writes, and nothing else has"
        assert sum(map(len, memories)) == len({i for m in memories for i in m}), "a trial is in one memory alone"
        assert not any(t.state.is_finished() for m in (self._open, self._others) for t in m.values())
        assert all(t.state.is_finished() for t in self._ended.values())
        assert self._ended.keys() >= set(self._unwritten), "what the spool keeps has ended"
        for trial_id, trial in (item for m in memories for item in m.items()):
            assert trial._trial_id == trial_id == self._ids[trial.number]
            assert self._all[trial.number] is trial, "all trials are the newest that is known of each"
        assert list(self._all) == sorted(self._all)

    # Memory.

    def look_at_others(self) -> None:
        """Read what other supervisors have begun or finished: one short query, and the trials that it names."""
        if not self.follows:
            return
        for trial_id, state in self._writer.changes(self._study_id, self._newest, self._others) or ():
            self._newest = max(self._newest, trial_id)
            if trial_id in self._open or trial_id in self._ended:
                continue
            known = self._others.get(trial_id)
            # A trial's parameters come to the database soon after its row.
            if known is None or known.state != state or (state == TrialState.RUNNING and not known.params):
                self._look_at(self._backend.get_trial(trial_id))

    def ended_elsewhere(self) -> list[FrozenTrial]:
        """Return the trials that other supervisors have finished since this was asked last."""
        ended, self._unlearned = self._unlearned, []
        return ended

    def _look_at(self, trial: FrozenTrial) -> None:
        """Keep a trial that is another supervisor's, or nobody's yet."""
        trial_id = trial._trial_id
        self._others.pop(trial_id, None)
        if trial.state.is_finished():
            self._take_in(trial)
            self._unlearned.append(trial)
        else:
            self._others[trial_id] = trial
            self._remember(trial)
        self._newest = max(self._newest, trial_id)

    def _remember(self, trial: FrozenTrial) -> None:
        self._ids[trial.number] = trial._trial_id
        self._distributions.update(trial.distributions)
        if trial.number not in self._all and self._all and trial.number < next(reversed(self._all)):
            self._all = dict(sorted([*self._all.items(), (trial.number, trial)]))
        else:
            self._all[trial.number] = trial

    def _take_in(self, trial: FrozenTrial) -> None:
        """Keep a trial that is finished, or that is ours to write."""
        trial_id = trial._trial_id
        self._remember(trial)
        self._others.pop(trial_id, None)
        if trial.state.is_finished():
            self._ended[trial_id] = trial
        elif trial.state == TrialState.WAITING and not self._exclusive:
            self._others[trial_id] = trial  # whoever comes first takes it
        else:
            self._own(trial)

    def _own(self, trial: FrozenTrial) -> None:
        trial_id = trial._trial_id
        self._open[trial_id] = trial
        self._pending[trial_id] = PendingWrites()

    def _change(self, trial_id: int) -> FrozenTrial:
        """Return a fresh copy of an open trial, to be changed: who has read the old one keeps it as it was."""
        if trial_id not in self._open:
            trial = self.get_trial(trial_id)
            self.check_trial_is_updatable(trial_id, trial.state)
            self._remember(trial)
            self._others.pop(trial_id, None)
            self._own(trial)
        trial = copy.copy(self._open[trial_id])
        self._open[trial_id] = trial
        self._all[trial.number] = trial
        return trial

    # What is not about trials goes straight to the storage underneath.

    def create_new_study(self, directions: Sequence[StudyDirection], study_name: str | None = None) -> int:
        """Create a study."""
        return self._backend.create_new_study(directions, study_name)

    def delete_study(self, study_id: int) -> None:
        """Delete a study."""
        self._backend.delete_study(study_id)

    def set_study_user_attr(self, study_id: int, key: str, value: Any) -> None:
        """Write a user attribute of the study."""
        self._backend.set_study_user_attr(study_id, key, value)

    def set_study_system_attr(self, study_id: int, key: str, value: Any) -> None:
        """Write an attribute of Optuna's own."""
        self._backend.set_study_system_attr(study_id, key, value)

    def get_study_id_from_name(self, study_name: str) -> int:
        """Return a study's id."""
        return self._backend.get_study_id_from_name(study_name)

    def get_study_name_from_id(self, study_id: int) -> str:
        """Return a study's name."""
        return self._backend.get_study_name_from_id(study_id)

    def get_study_directions(self, study_id: int) -> list[StudyDirection]:
        """Return the study's directions."""
        return self._directions

    def get_study_user_attrs(self, study_id: int) -> dict[str, Any]:
        """Return the study's user attributes."""
        return self._backend.get_study_user_attrs(study_id)

    def get_study_system_attrs(self, study_id: int) -> dict[str, Any]:
        """Return Optuna's own attributes of the study."""
        return self._backend.get_study_system_attrs(study_id)

    def get_all_studies(self) -> list[Any]:
        """Return all studies of the database."""
        return self._backend.get_all_studies()
