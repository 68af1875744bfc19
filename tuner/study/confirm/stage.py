"""The confirm stage of one study, from its budget to supervisors that train what it wants."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import itertools
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, cast

import optuna

from tuner.contract.rules import CURRENT, rules_of
from tuner.hyperparameters import BACKENDS, Backend, algorithm_class
from tuner.plan.naming import confirm_name
from tuner.plan.resolve import StudyPlan
from tuner.result.confirmation import Contestant, Phase
from tuner.result.study import StudyData
from tuner.study.confirm.affordable import run_work, shared_by_steps, shared_by_time
from tuner.study.confirm.ahead import Way, ways
from tuner.study.confirm.budget import too_few_runs
from tuner.study.confirm.choice import choice_of, floor_of, no_finalist
from tuner.study.confirm.contestants import baselines, finalists, lengths_of, on_backend, with_other_backend
from tuner.study.confirm.ledger import ScheduleAsker, Wanted, results_of, spec_of, took_of
from tuner.study.confirm.reuse import known_runs, take_over, taken_over_text, wanted_of
from tuner.study.confirm.run_costs import expected_seconds, worked
from tuner.study.confirm.schedule import Job, Selection, rounds, select
from tuner.study.confirm.standing import most_left, standing
from tuner.study.confirm.time_left import TimeLeft
from tuner.study.confirm.verdict import Verdict, looked_at, until_sure, verdict
from tuner.study.search.ledger import Ledger
from tuner.study.search.open_study import buffer_study, is_exclusive
from tuner.study.search.outage import Patience
from tuner.study.search.progress import ProgressListener, SecondsLeft
from tuner.study.search.run_events import RunEvents
from tuner.study.search.supervisor import StudySupervisor
from tuner.study.store import keys as attr
from tuner.study.store.companion import open_companion
from tuner.study.store.connect import open_storage, storage_errors
from tuner.study.store.peers import leaving_on_error
from tuner.text import counted

#: Lanes of each worker. Runs differ much in cost (a baseline may have a larger network), so few are taken at a time.
LANES = 3

#: What a stage says of what was asked for.
_SETTINGS = ("confirm", "confirm_seeds", "confirm_budget", "confirm_backend", "zoo_full_budget")


class ConfirmStage:
    """What to train again after a search, and how.

    Args:
        plan: The search's plan; its recipe says how many finalists and seeds, and how large the budget is.
        data: What the search has found.
        ends: Second of ``clock`` at which it has to be done; None: its budget is one of steps.
        clock: Monotonic seconds.

    Attributes:
        contestants: Finalists, the most promising first, then baselines.
        allocation: The budget shared out; None when it is too small, or nothing has completed.
        runs: Full runs that the budget pays for.
    """

    def __init__(
        self,
        plan: StudyPlan,
        data: StudyData,
        ends: float | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._recipe = recipe = plan.recipe
        self._ends, self._clock = ends, clock
        backend, algorithm = plan.backend, plan.algorithm
        main = backend if recipe.confirm_backend in (None, "both") else str(recipe.confirm_backend)
        self._plan = plan
        self._searched_steps = data.steps_spent
        found = finalists(data, recipe.confirm, backend)
        if main != backend:
            moved = [on_backend(contestant, main, algorithm) for contestant in found]
            found = [dataclasses.replace(c, role="finalist") for c in moved if c is not None]
        self._nobody = no_finalist(data, found, main)
        beside = plan.grid[-1] if recipe.zoo_full_budget else None
        against = baselines(data, main, zoo_beside=beside, images=plan.sees_images)
        self._other = next(b for b in BACKENDS if b != main) if recipe.confirm_backend == "both" else None
        twins = 1 if self._other is not None else 0
        self.runs = int(recipe.confirm_budget * data.steps_spent / plan.grid[-1])
        self._works = {c.key: run_work(plan, c.hyperparameters, c.n_timesteps) for c in (*found, *against)}
        everyone = (plan, data, found, against)
        if ends is not None:
            shared = shared_by_time(*everyone, seconds=ends - clock(), twins=twins)
        else:
            shared = shared_by_steps(*everyone, self._works, runs=self.runs, twins=twins)
        self.allocation, self._select_share, self._seconds = shared.allocation, shared.select_share, shared.seconds
        self._left_out = [c.title for c in against if c not in shared.baselines]
        found, against = shared.finalists, shared.baselines
        self.contestants = (*found, *against)
        self._floor = floor_of(data)
        self._choice = choice_of(recipe.objective, found, self._floor, data.rules.finalists)
        self._left = TimeLeft(self._expect(data), worked(data, plan.workers), plan.workers, clock)
        self._ways: tuple[object, list[Way]] = (None, [])
        self._lengths = lengths_of(self.contestants, plan.grid)
        self._before = data.confirmation
        looked = looked_at(self._before)
        self.until = until_sure(recipe, self.allocation, self._lengths, shared.paid_for, looked)

    @property
    def problem(self) -> str:
        """Why nothing can be confirmed, in one line; empty when it can."""
        if self._nobody:
            return self._nobody
        if self.allocation is None and self._ends is not None:
            return "The finalists were not trained again: there is no time left for it. Give --within longer."
        if self.allocation is None:
            few = sum(c.role == "finalist" for c in self.contestants)
            why = too_few_runs(self._searched_steps / self._plan.grid[-1], few, "spent")
            return f"The finalists were not trained again: {why}"
        return ""

    def describe(self) -> dict[str, Any]:
        """Return plain data for the database: enough to read the stage without the search's plan."""
        assert self.allocation is not None
        recipe = self._recipe
        plain = ("key", "role", "name", "trial", "backend", "hyperparameters", "search_score", "tuned_for")
        own = ("n_timesteps", "searched")  # where there is one: earlier versions read the others
        looked = looked_at(self._before, self.allocation.verdict_seeds) if self.until is None else ()
        return {
            "contestants": [
                {n: getattr(c, n) for n in (*plain, *own) if n in plain or getattr(c, n) not in (None, ())}
                for c in self.contestants
            ],
            "allocation": dataclasses.asdict(self.allocation),
            "algorithm": self._plan.algorithm,
            "objective": recipe.objective,
            "floor": self._floor,
            "other_backend": self._other,
            "until": None if self.until is None else dataclasses.asdict(self.until),
            **({"looked": list(looked)} if looked else {}),
            "grid": list(self._plan.grid),
            "searched_steps": self._searched_steps,
            "settings": {name: getattr(recipe, name) for name in _SETTINGS},
            "report_dir": recipe.report_dir,
        }

    def summary(self) -> str:
        """Return what will be trained, in one line."""
        allocation = self.allocation
        assert allocation is not None
        against = len([c for c in self.contestants if c.role != "finalist"])
        choosing = (
            f"{allocation.finalists} finalists train again on {allocation.first_seeds} fresh seeds each or more; then "
            if allocation.select_runs
            else ""
        )
        seeds = f"{allocation.verdict_seeds} fresher ones"
        if self.until is not None:
            seeds = (
                f"fresher ones, until each comparison is sure ({self.until.level:g}) or has {self.until.seeds} seeds"
            )
        left_out = f" No time to compare with {' and '.join(self._left_out)}." if self._ends and self._left_out else ""
        most = f"at most {counted(allocation.runs, 'run')}"
        return f"Confirming: {choosing}the winner and {counted(against, 'baseline')} on {seeds} ({most}).{left_out}"

    def passes(
        self, provenance: Mapping[str, Any], progress: ProgressListener, events: RunEvents | None = None
    ) -> Iterator[tuple[StudyPlan, StudySupervisor]]:
        """Yield supervisors to run one after the other, one for each backend that still has something to train.

        A database that is away before, between or after them is waited for.
        """
        patience = Patience(progress)
        ledger, results, took, taken = patience(self._open, provenance)
        if taken:
            progress.note(taken)
        backends = dict.fromkeys([*(c.backend for c in self.contestants), *([self._other] if self._other else [])])
        parts: tuple[tuple[Phase, ...], ...] = (("select", "verdict"),)
        if self._ends is not None:  # each has its own time
            parts = (("select",), ("verdict",))
        kept = {c.key for c in self.contestants if c.role == "finalist"}  # of these the verdict has the winner alone
        with contextlib.closing(ledger):  # where there is nothing to train, too
            for backend, phases in itertools.product(backends, parts):
                # The winner on the other backend is known only once the first pass has selected it.
                by_key = {c.key: c for c in self._everyone(results)}
                wanted = functools.partial(self._wanted, backend, phases)
                until = self._deadline(phases[0])
                in_time = functools.partial(self._in_time, wanted, until)
                views = (self._standing, self._time_left, took)
                self._left.begin(took)
                ledger.asker = ScheduleAsker(self._plan, by_key, in_time, results, *views, kept)
                settled = patience(ledger.settle)
                if not wanted(results):
                    continue
                left = max(self._most_left(results), len(wanted(results)))
                plan = self._pass_plan(backend, sum(settled.counts.values()) + left)
                plan = dataclasses.replace(plan, deadline=until)
                yield plan, StudySupervisor(plan, ledger, settled, progress=progress, events=events, clock=self._clock)
                if self._ends is not None and wanted(results):
                    self._cut_short(phases[0], results)
                    patience(self._describe)

    def _deadline(self, phase: Phase) -> float | None:
        if self._ends is None or phase == "verdict":
            return self._ends
        now = self._clock()
        return now + self._select_share * (self._ends - now)

    def _cut_short(self, phase: Phase, results: Mapping[Job, float | None]) -> None:
        """Settle for the seeds that every contestant left in a phase has been trained with: its time is up."""
        assert self.allocation is not None
        jobs = [job for job in results if job.phase == phase]
        if phase == "select":
            seeds = min(rounds(jobs, key) for key in self.selection(results).alive)
            if seeds >= self.allocation.first_seeds:
                self.allocation = dataclasses.replace(self.allocation, select_until=seeds)
            else:  # nobody has been dropped
                self.allocation = dataclasses.replace(
                    self.allocation, first_seeds=seeds, select_runs=seeds * self.allocation.finalists
                )
        else:
            judged = {job.key for job in jobs}
            if self.selection(results).winner in judged:  # a baseline without a run is none
                if any(c.role == "other_backend" and c.key not in judged for c in self._everyone(results)):
                    self._other = None
                self.contestants = tuple(c for c in self.contestants if c.role == "finalist" or c.key in judged)
            going = {job.key for job in self._verdict(results).wanted}
            everyone = self._in_verdict(results)
            of_each = (rounds(jobs, key) for key in everyone if self.until is None or key in going)
            seeds = max(min(of_each, default=self.allocation.verdict_seeds), 1)  # nobody goes on: it is over
            self.allocation = dataclasses.replace(self.allocation, verdict_seeds=seeds)
            if self.until is not None:
                self.until = dataclasses.replace(self.until, seeds=seeds)

    def _describe(self) -> None:
        with storage_errors(self._plan.storage):
            self._study.set_user_attr(attr.CONFIRM, self.describe())

    def _in_verdict(self, results: Mapping[Job, float | None]) -> list[str]:
        everyone, winner = self._everyone(results), self.selection(results).winner
        return [c.key for c in everyone if c.key == winner or c.role != "finalist"]

    def _wanted(self, backend: str, phases: tuple[Phase, ...], results: Mapping[Job, float | None]) -> tuple[Job, ...]:
        everyone = self._everyone(results)
        of_backend = {c.key for c in everyone if c.backend == backend}
        selection = self.selection(results)
        jobs = selection.wanted
        if selection.winner is not None:
            jobs = self._verdict(results).wanted
        elif self.until is None:
            # A baseline's verdict waits for nothing, and keeps busy who would wait for the end of a round. Its first
            # runs also tell early what they take.
            jobs += tuple(job for job in self._baselines_wanted() if job not in results)
        # Seed by seed, the costliest first: however the runs fall to workers, each gets some of every cost.
        ordered = sorted(jobs, key=lambda job: (job.replicate, -self._works.get(job.key, 0.0)))
        return tuple(job for job in ordered if job.key in of_backend and job.phase in phases)

    def _in_time(self, wanted: Wanted, until: float | None, results: Mapping[Job, float | None]) -> Sequence[Job]:
        """Return the wanted runs that would end in time, as far as their setting's cost is known."""
        jobs = wanted(results)
        if until is None:
            return jobs
        left = until - self._clock()
        return tuple(job for job in jobs if self._seconds.get(job.key, 0.0) <= left)

    def _verdict(self, results: Mapping[Job, float | None]) -> Verdict:
        assert self.allocation is not None
        return verdict(self._in_verdict(results), self.allocation, results, self.until, self._lengths, self._floor)

    def selection(self, results: Mapping[Job, float | None]) -> Selection:
        """Return where the select phase stands."""
        assert self.allocation is not None
        everyone, choice = [c.key for c in self.contestants if c.role == "finalist"], self._choice
        return select(everyone, self.allocation, results, choice.beaten, choice.worth, choice.floor)

    def _standing(self, results: Mapping[Job, float | None]) -> str:
        assert self.allocation is not None
        selection, seeds = self.selection(results), self.allocation.verdict_seeds
        if self.until is None or selection.winner is None:
            return standing(self._everyone(results), selection, results, seeds, self._choice)
        sure = self._verdict(results).standings
        return standing(self._everyone(results), selection, results, self.until.seeds, self._choice, sure)

    def _time_left(
        self, results: Mapping[Job, float | None], took: Mapping[Job, float], training: Mapping[Job, Sequence[float]]
    ) -> SecondsLeft:
        left = self._left.seconds(self._ahead(results), took, training)
        return left if self._ends is None else left.at_most(max(self._ends - self._clock(), 0.0))

    def _ahead(self, results: Mapping[Job, float | None]) -> list[Way]:
        """Return how the stage may go on; the same as long as nothing has ended."""
        assert self.allocation is not None
        state = (self.allocation, self.until, len(results))
        if self._ways[0] != state:
            finalists = [c.key for c in self.contestants if c.role == "finalist"]
            against = [c.key for c in self._everyone(results) if c.role != "finalist"]
            if self._other is not None and self.selection(results).winner is None:
                against.append(self._other)  # the winner there, whoever it will be
            budget = (self.allocation, results, self._choice, self.until, self._lengths)
            self._ways = state, ways(finalists, against, *budget)
        return self._ways[1]

    def _expect(self, data: StudyData) -> dict[str, tuple[float, ...]]:
        """Return the seconds that a run of each contestant will take of a worker to each of its evaluations."""
        plan, specs = self._plan, {c.key: spec_of(self._plan, c, Job(c.key, "select", 0)) for c in self.contestants}
        ran = [t for t in data.trials if t.steps and t.hyperparameters]
        trials = {t.number: (t, t.steps / plan.grid[-1] * run_work(plan, t.hyperparameters)) for t in ran}
        return expected_seconds(self.contestants, specs, self._works, trials)

    def _everyone(self, results: Mapping[Job, float | None]) -> tuple[Contestant, ...]:
        return with_other_backend(self.contestants, self.selection(results).winner, self._other, self._plan.algorithm)

    def _most_left(self, results: Mapping[Job, float | None]) -> int:
        assert self.allocation is not None
        selection, fixed = self.selection(results), self._baselines_wanted() if self.until is None else ()
        seeds: Mapping[str, int] = {job.key: self.allocation.verdict_seeds for job in fixed}
        if selection.winner is not None:
            seeds = self._verdict(results).seeds
        return most_left(self.allocation, selection, seeds, results.keys())

    def _pass_plan(self, backend: str, trials: int) -> StudyPlan:
        plan = self._plan
        lanes = min(LANES, self._recipe.lanes or LANES) if algorithm_class(plan.algorithm).stacked(backend) else 1
        if self._ends is not None:  # so that the first seeds end first, and the end cuts off few
            lanes = 1
        places = lanes * plan.workers
        return dataclasses.replace(
            plan,
            name=confirm_name(plan.name),
            backend=cast("Backend", backend),
            trials=trials,
            timeout=None,
            lanes=lanes,
            trials_in_flight=places,
            runs_in_flight=places,
            unit="run",
        )

    def known(self) -> str:
        """Return which runs of a verdict that has not begun other studies have trained, in a sentence or nothing."""
        assert self.allocation is not None
        return known_runs(self._plan, self._baselines_wanted())

    def _baselines_wanted(self) -> dict[Job, Contestant]:
        assert self.allocation is not None
        return wanted_of(self.contestants, self.allocation.verdict_seeds if self.until is None else self.until.seeds)

    def _open(self, provenance: Mapping[str, Any]) -> tuple[Ledger, dict[Job, float | None], dict[Job, float], str]:
        """Return the stage's rows, its results so far, what its runs took, and what it has just taken over."""
        plan = self._plan
        storage = open_storage(plan.storage, create=True)
        name = confirm_name(plan.name)
        with storage_errors(plan.storage):
            study, began = open_companion(optuna.load_study(study_name=plan.name, storage=storage), storage)
            version = rules_of(study.user_attrs).evaluation_seeds
            if not began:  # a new stage follows new rules, whoever searched
                version = CURRENT.evaluation_seeds
                study.set_user_attr("evaluation_seeds", version)
            rules = dataclasses.replace(plan.rules, evaluation_seeds=version)
            self._plan = plan = dataclasses.replace(plan, rules=rules)
            self._study = study
            study.set_user_attr(attr.CONFIRM, self.describe())
            study.set_user_attr(attr.PROVENANCE, dict(provenance))
            buffered = buffer_study(storage, name, plan.storage)  # which tells what has waited to be told
            with leaving_on_error(buffered.sharing):
                study = optuna.load_study(study_name=name, storage=buffered)
                there = results_of(study.get_trials(deepcopy=False))
                missing = {job: c for job, c in self._baselines_wanted().items() if job not in there}
                taken = take_over(plan, missing, study, storage)
                exclusive = is_exclusive(plan.storage)
                ledger = Ledger(study, buffered, url=plan.storage, exclusive=exclusive, successors=False)
                trials = study.get_trials(deepcopy=False)
            return ledger, results_of(trials), took_of(trials), taken_over_text(taken)
