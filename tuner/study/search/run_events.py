"""``--tensorboard DIR``: the runs of a search and of its confirm stage as event files, ``DIR/STUDY/RUN``.

The supervisor alone writes them, from what trainers report. A run that goes again begins its folder anew, as all its
evaluations come again; one of a search keeps the number of the trial that it first was.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from tuner.contract.outcome import EvalPoint
from tuner.contract.spec import RunId
from tuner.plan.naming import file_name, safe_name
from tuner.result.confirmation import Contestant
from tuner.result.study import StudyData
from tuner.study.search.open_trials import OpenTrial, Run
from tuner.study.search.trial import TrialEnd
from tuner.training.tensorboard import EVALUATION, TAGS, EventFolder, GiveUpOnce, has_ended


class _Point(Protocol):
    """An evaluation, as it is reported or as it is stored."""

    @property
    def step(self) -> int: ...

    @property
    def returns(self) -> tuple[float, ...]: ...

    @property
    def metrics(self) -> Mapping[str, float]: ...


def trial_folder(first: int) -> str:
    """Return the folder of a search's trial, by the number that it had when it first began."""
    return f"trial-{first:04d}"


def confirm_folder(setting: str, phase: str, replicate: int) -> str:
    """Return the folder of a run of the confirm stage."""
    return f"confirm/{safe_name(setting)}/{phase}-seed-{replicate}"


class RunEvents:
    """Writes a study's event files.

    Args:
        folder: Of all studies, as ``--tensorboard`` names it.
        study: The study's name.
        say: Told once when they cannot be written; training goes on without.
    """

    def __init__(self, folder: Path, study: str, say: Callable[[str], None]) -> None:
        self._folder = folder / file_name(study)
        self._study = study
        self._open: dict[RunId, EventFolder] = {}
        self._try = GiveUpOnce(folder, say)

    def evaluated(self, trial: OpenTrial, run: Run, point: EvalPoint) -> None:
        """Write an evaluation, the last of the run's."""
        self._try(lambda: self._write(trial, run, point))

    def ended(self, trial: OpenTrial, end: TrialEnd) -> None:
        """Write how a trial ended into the folders of its runs; without any evaluation, its settings all the same."""
        seen = any(run.points for run in trial.runs.values())
        for run in trial.runs.values():
            if run.points or not seen:
                self._try(functools.partial(self._end, trial, run, end))
            self.forget(run.spec.run_id)

    def forget(self, run_id: RunId) -> None:
        """Let go of a run that this process does not finish."""
        self._open.pop(run_id, None)

    def fill(self, data: StudyData) -> None:
        """Write the runs of a study that have ended, and whose folders do not say so: it began without them."""
        self._try(lambda: self._fill(data))

    def _fill(self, data: StudyData) -> None:
        later = {trial.continued_as: trial.number for trial in data.trials if trial.continued_as is not None}
        for trial in data.trials:
            if trial.outcome in ("lost", "running", "waiting"):
                continue
            first = trial.number
            while later.get(first, first) < first:  # another program may have written any number
                first = later[first]
            values = {**trial.hyperparameters, "trial": trial.number}
            for replicate, curve in trial.curves.items():
                place = _of_seed(trial_folder(first), replicate, len(trial.seeds))
                self._write_whole(place, trial_folder(first), values, curve, trial.score, trial.outcome)
        if data.confirmation is not None:
            self._fill_trained(data.confirmation.contestants, data.confirmation.objective)

    def fill_trained(self, contestants: Iterable[Contestant], objective: str) -> None:
        """Write the runs of settings that were trained again, likewise.

        Args:
            contestants: With their runs.
            objective: What gives a run its score.
        """
        self._try(lambda: self._fill_trained(contestants, objective))

    def _fill_trained(self, contestants: Iterable[Contestant], objective: str) -> None:
        for contestant in contestants:
            for run in contestant.runs:
                place = confirm_folder(contestant.name, run.phase, run.replicate)
                score = run.score(objective)
                self._write_whole(place, place, contestant.hyperparameters, run.curve, score, run.outcome)

    def _write_whole(
        self,
        place: str,
        group: str,
        values: Mapping[str, Any],
        curve: Sequence[_Point],
        score: float | None,
        outcome: str,
    ) -> None:
        if has_ended(self._folder / place):
            return
        events = self._begin(place, group, values)
        for point in curve:
            events.scalars(point.step, _scalars(point))
        events.end(_last_step(curve), score, good=_good(outcome))

    def _write(self, trial: OpenTrial, run: Run, point: EvalPoint) -> None:
        if len(run.points) == 1:
            self._open[run.spec.run_id] = self._begin_run(trial, run)
        events = self._open.get(run.spec.run_id)
        if events is not None:
            events.scalars(point.step, _scalars(point))

    def _end(self, trial: OpenTrial, run: Run, end: TrialEnd) -> None:
        events = self._open.get(run.spec.run_id) or self._begin_run(trial, run)
        events.end(_last_step(run.points), end.score, good=_good(end.outcome))

    def _begin_run(self, trial: OpenTrial, run: Run) -> EventFolder:
        group = trial.asked.folder
        values = run.spec.hyperparameters.to_mapping()
        if not trial.asked.specs:
            values["trial"] = trial.asked.number
        return self._begin(_of_seed(group, run.spec.run_id.replicate, len(trial.runs)), group, values)

    def _begin(self, place: str, group: str, values: Mapping[str, Any]) -> EventFolder:
        events = EventFolder(self._folder / place)
        events.begin(values, f"{self._study}/{group}")
        return events


def _of_seed(folder: str, replicate: int, seeds: int) -> str:
    return folder if seeds == 1 else f"{folder}-seed-{replicate}"


def _scalars(point: _Point) -> dict[str, float]:
    named = {TAGS[name]: value for name, value in point.metrics.items() if name in TAGS}
    return {EVALUATION: sum(point.returns) / len(point.returns), **named}


def _last_step(points: Iterable[_Point]) -> int:
    return max((point.step for point in points), default=0)


def _good(outcome: str) -> bool:
    return outcome in ("completed", "pruned")
