"""Several studies trained side by side by the same workers, as one supervisor.

Each study keeps its own supervisor, ledger and rows; here their runs are told apart, as executors know one numbering,
and handed out in turn.
"""

from __future__ import annotations

import contextlib
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from tuner.contract.outcome import EvalPoint, LossCause, Outcome
from tuner.contract.roles import DONE, WAIT, Signal
from tuner.contract.spec import RunId, RunSpec
from tuner.errors import ResumeError, StudyFailedError
from tuner.plan.proposal_cost import proposal_cost
from tuner.plan.resolve import StudyPlan
from tuner.plan.several import SeveralPlan
from tuner.study.sampling.samplers import SeededByTrial, make_sampler
from tuner.study.search.open_study import open_study
from tuner.study.search.outage import Patience
from tuner.study.search.progress import NoProgress, PacedDrawing, ProgressListener, Snapshot
from tuner.study.search.run_events import RunEvents
from tuner.study.search.shared import Member, SharedProposals
from tuner.study.search.supervisor import STOPPING, Ending, StudySupervisor
from tuner.text import score_text

#: Stands for runs of other studies in a worker that is lost: it was shared.
_ANOTHER = RunId(-1, 0)


class SeveralSupervisor:
    """Implements :class:`tuner.contract.roles.Supervisor` for several studies.

    Args:
        supervisors: Of the studies, by the environment's name; none of them draws.
        name: What all of them are called together.
        progress: Draws.
        clock: Monotonic seconds.
    """

    def __init__(
        self,
        supervisors: Mapping[str, StudySupervisor],
        name: str,
        progress: ProgressListener,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._names, self._all = list(supervisors), list(supervisors.values())
        self._name, self._progress, self._clock = name, progress, clock
        self._drawing = PacedDrawing(progress)
        self._start, self._next = clock(), 0
        self._resumed = sum(each.finished for each in self._all)
        self._interrupted = self._told_of_stop = False

    def take(self, open_shapes: Mapping[tuple[object, ...], int], *, block: bool) -> RunSpec | Signal:
        """Return the next run: of the study whose turn it is, else of whichever has one."""
        answers: list[Signal] = []
        for turn in range(len(self._all)):
            place = (self._next + turn) % len(self._all)
            answer = self._all[place].take(open_shapes, block=block)
            if isinstance(answer, RunSpec):
                self._next = place + 1
                return replace(answer, run_id=self._outward(place, answer.run_id))
            answers.append(answer)
        self._end_together()
        # A study that waits for the others has nothing to do for now, and says DONE.
        return DONE if all(answer is DONE for answer in answers) else WAIT

    def report(self, points: Sequence[EvalPoint]) -> frozenset[RunId]:
        """Hand evaluations on, and return which of their runs to stop."""
        by_study: dict[int, list[EvalPoint]] = defaultdict(list)
        for point in points:
            place, run_id = self._inward(point.run_id)
            by_study[place].append(replace(point, run_id=run_id))
        stopped = {
            self._outward(place, run_id) for place, mine in by_study.items() for run_id in self._all[place].report(mine)
        }
        return frozenset(stopped)

    def finish(self, outcome: Outcome) -> None:
        """Hand a run's end on."""
        place, run_id = self._inward(outcome.run_id)
        self._all[place].finish(replace(outcome, run_id=run_id))

    def lost(self, run_ids: Sequence[RunId], reason: str, cause: LossCause = "died") -> None:
        """A worker ended: each study gets its runs, and whether they had neighbours."""
        for place, mine in self._by_study(run_ids).items():
            others = [_ANOTHER] if len(mine) < len(run_ids) else []
            self._all[place].lost([*mine, *others], reason, cause)

    def overdue(self, run_ids: Sequence[RunId], silent_s: float) -> bool:
        """Whether a worker has been silent for longer than the runs of any study together may still train."""
        found = self._by_study(run_ids)
        return bool(found) and all(self._all[place].overdue(mine, silent_s) for place, mine in found.items())

    def slept(self, seconds: float) -> None:
        """Give all runs in training the seconds."""
        for each in self._all:
            each.slept(seconds)

    def tick(self) -> bool:
        """Draw progress; return False when workers are to stop now."""
        goes_on = [each.tick() for each in self._all]
        if self._interrupted and not self._told_of_stop:
            self._told_of_stop = True
            self._progress.note(STOPPING)
        self._end_together()
        self._drawing.draw(self.snapshot)
        return all(goes_on)

    def interrupt(self) -> None:
        """Stop soon, keeping everything that is finished. Safe to call from a signal handler."""
        self._interrupted = True
        for each in self._all:
            each.interrupt()

    def close(self) -> Ending:
        """Settle whatever is in flight in every study, and return how the search ended."""
        problems, endings = [], []
        for each in self._all:
            try:
                endings.append(each.close())
            except Exception as error:  # the others' results are to be kept all the same
                problems.append(error)
        if problems:
            raise problems[0]
        if self._interrupted:
            return "interrupted"
        order: tuple[Ending, ...] = ("failed", "interrupted", "timeout")
        return next((ending for ending in order if ending in endings), "done")

    @property
    def over(self) -> bool:
        """Whether every study has all of its trials."""
        return all(each.finished >= each.snapshot().trials for each in self._all)

    @property
    def failure(self) -> StudyFailedError | None:
        """Why no trial of some study can succeed, or None."""
        return next((each.failure for each in self._all if each.failure is not None), None)

    def snapshot(self) -> Snapshot:
        """Return all studies at this moment; trials count in each environment."""
        seen = [each.snapshot() for each in self._all]
        counts: Counter[str] = Counter()
        for one in seen:
            counts.update(one.counts)
        elapsed, fresh = self._clock() - self._start, counts.total() - self._resumed
        trials = sum(one.trials for one in seen)
        running = tuple(r for one in seen for r in one.running)
        best = [
            f"{name} {score_text(one.best.score)}"
            for name, one in zip(self._names, seen, strict=True)
            if one.best is not None
        ]
        return Snapshot(
            name=self._name,
            trials=trials,
            counts=dict(counts),
            resumed=self._resumed,
            running=running,
            best=None,  # scores of different environments do not compare
            steps=sum(one.steps for one in seen),
            elapsed_s=elapsed,
            eta_s=elapsed / fresh * max(trials - counts.total(), 0) if fresh else None,
            unit="run",
            clock=seen[0].clock,
            standing=f"best of each: {', '.join(best)}" if best else "",
        )

    def _end_together(self) -> None:
        """Stop all once one has failed for good: a setting of which one environment knows nothing is worth nothing."""
        if any(each.failure is not None for each in self._all):
            for each in self._all:
                each.interrupt()

    def _outward(self, place: int, run_id: RunId) -> RunId:
        return RunId(run_id.trial * len(self._all) + place, run_id.replicate)

    def _inward(self, run_id: RunId) -> tuple[int, RunId]:
        trial, place = divmod(run_id.trial, len(self._all))
        return place, RunId(trial, run_id.replicate)

    def _by_study(self, run_ids: Sequence[RunId]) -> dict[int, list[RunId]]:
        found: dict[int, list[RunId]] = defaultdict(list)
        for run_id in run_ids:
            place, inner = self._inward(run_id)
            found[place].append(inner)
        return found


class _NotesOnly(NoProgress):
    """Says what one of several studies notes, with its environment; draws nothing."""

    def __init__(self, progress: ProgressListener, env: str) -> None:
        self._progress, self._env = progress, env

    def note(self, line: str) -> None:
        """Hand a line on."""
        self._progress.note(f"{self._env}: {line}")


def open_several(
    plan: SeveralPlan,
    provenance: Callable[[StudyPlan], Mapping[str, Any]],
    progress: ProgressListener,
    events: Mapping[str, RunEvents] | None = None,
) -> SeveralSupervisor:
    """Create the studies of several environments or resume them.

    Args:
        plan: All of them.
        provenance: What is stored with a new study, from its plan.
        progress: Draws them.
        events: Writes event files, by the study's name; where there are none, nobody does.

    Raises:
        InputError: As :func:`~tuner.study.search.open_study.open_study`.
    """
    space, recipe = plan.space, plan.members[0].recipe
    known = plan.members[0].known  # until the studies are open, when it is what they began with

    def sampler() -> SeededByTrial:
        return make_sampler(
            recipe.sampler,
            seed=recipe.seed,
            startup_trials=recipe.startup_trials,
            known=known,
            dimensions=space.dimensions,
            log_cost=proposal_cost(plan.members[0]),
        )

    shared = SharedProposals(space, sampler, len(plan.members), plan.most_open)
    members = [
        Member(shared, place, space, seed=recipe.seed, replicates=recipe.seeds_per_trial)
        for place in range(len(plan.members))
    ]
    supervisors = {}
    with contextlib.ExitStack() as on_error:
        for member, one in zip(members, plan.members, strict=True):
            opened = open_study(one, provenance(one), member)
            on_error.callback(opened.ledger.close)
            if opened.plan.space.search != space.search or opened.plan.space.fixed != space.fixed:
                raise ResumeError(
                    f"The study '{one.name}' was begun in another version of its search space. Start another with "
                    "--study."
                )
            known, settled = opened.plan.known, Patience(progress)(opened.ledger.settle)
            supervisors[one.env.id] = StudySupervisor(
                opened.plan,
                opened.ledger,
                settled,
                progress=_NotesOnly(progress, one.env.id),
                events=(events or {}).get(one.name),
            )
        shared.restore([member.trials() for member in members])
        on_error.pop_all()
    return SeveralSupervisor(supervisors, plan.name, progress)
