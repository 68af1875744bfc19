"""How long a confirm stage still takes: what a run takes differs from setting to setting, by ten times and more."""

from __future__ import annotations

import heapq
import time
from collections.abc import Callable, Mapping, Sequence
from statistics import fmean

from tuner.study.confirm.ahead import Way
from tuner.study.confirm.run_seconds import EXPECTATION, Expected, RunTime, seconds_to_evaluations
from tuner.study.confirm.schedule import Job
from tuner.study.search.progress import SecondsLeft

#: By how much runs of a setting that has not run yet may be off. Measured: the first promises of five stages of half a
#: minute were 0.79 to 1.35 times what these took (``benchmarks/confirm_promise.py --seeds 10 11 12`` without the first
#: command, which compiled).
FORESEEN_OFF = 0.4

#: Workers are not taken for slower than this many times their runs: a search that was interrupted has gaps.
MOST_OVERHEAD = 1.6

#: Runs of each worker that what the search has shown of its workers counts for beside what the stage shows.
SEARCH_RUNS = 2.0


class TimeLeft:
    """What a stage says of the time it still takes.

    Args:
        expected: What a run of each contestant takes, before any has run.
        search: As for :class:`Pace`.
        workers: How many train.
        clock: Monotonic seconds.
    """

    def __init__(
        self,
        expected: Expected,
        search: tuple[float, float],
        workers: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._expected, self._search, self._workers, self._clock = expected, search, workers, clock
        self._elapsed: dict[Job, Sequence[float]] = {}
        self.begin({})

    def begin(self, took: Mapping[Job, float]) -> None:
        """Begin, or go on after runs that took so many seconds."""
        self._there = sum(took.values())
        self._pace = Pace(self._search, self._workers, self._clock)

    def seconds(
        self, ways: Sequence[Way], took: Mapping[Job, float], training: Mapping[Job, Sequence[float]]
    ) -> SecondsLeft:
        """Return the seconds left: the mean of the ways, the shortest with fast runs, the longest with slow ones.

        Args:
            ways: How it may go on, each as likely as the others.
            took: Seconds of each run that has completed.
            training: Seconds of each run in training at each of its evaluations so far.
        """
        self._elapsed |= training
        runs = {job: RunTime(self._elapsed.get(job, ()), seconds) for job, seconds in took.items()}
        runs |= {job: RunTime(elapsed) for job, elapsed in training.items()}
        intervals = seconds_to_evaluations(self._expected, runs)
        each = {key: sum(seconds) for key, seconds in intervals.items()}
        usual = fmean(each.values())
        begun, ran = {}, sum(took.values()) - self._there
        for job, elapsed in training.items():
            to_come = intervals.get(job.key, (usual,))[len(elapsed) :]
            half = to_come[0] / 2 if to_come else 0.0  # it is somewhere on its way to the next one
            begun[job] = sum(to_come) - half
            ran += half + (elapsed[-1] if elapsed else 0.0)
        evaluated = sum(took.values()) > self._there or any(training.values())
        self._pace.see(len(training), ran, evaluated=evaluated)
        off, overhead = self._off(runs), self._pace.overhead(usual)
        left = [seconds_left(each, way, begun, self._workers) for way in ways]
        shortest, longest = (ways[left.index(some)] for some in (min(left), max(left)))
        fast = {key: seconds / off[key] for key, seconds in each.items()}
        slow = {key: seconds * off[key] for key, seconds in each.items()}
        low = min(seconds_left(fast, shortest, begun, self._workers), min(left))
        high = max(seconds_left(slow, longest, begun, self._workers), max(left))
        return SecondsLeft(overhead * fmean(left), overhead * low, overhead * high)

    def _off(self, runs: Mapping[Job, RunTime]) -> dict[str, float]:
        """Return how many times faster or slower each setting may be than is thought: the less, the more has run."""
        ran = dict.fromkeys(self._expected, 0.0)
        for job, run in runs.items():
            if job.key in ran:
                ran[job.key] += 1.0 if run.whole is not None else len(run.elapsed) / len(self._expected[job.key])
        return {key: 1 + FORESEEN_OFF * EXPECTATION / (EXPECTATION + share) for key, share in ran.items()}


def seconds_left(each: Mapping[str, float], way: Way, begun: Mapping[Job, float], workers: int) -> float:
    """Return the seconds until a stage is done, if it goes a certain way.

    Runs begin in the order in which they are handed out, each as soon as a worker is free; a round waits for the last
    run of the one before, and workers that have nothing left to do wait too.

    Args:
        each: Seconds of a run by key.
        way: What is still to be trained, runs in training included.
        begun: Seconds that are left of each run in training; several may share a worker.
        workers: How many train, >= 1.
    """
    usual = fmean(each.values())
    takes = {job: each.get(job.key, usual) for jobs in (*way.rounds, way.free) for job in jobs}
    busy, ends = [0.0] * max(workers, 1), {}
    for seconds, job in sorted(((seconds, job) for job, seconds in begun.items()), reverse=True):
        ends[job] = busy[0] + seconds
        heapq.heapreplace(busy, ends[job])
    free, ready = [job for job in way.free if job not in begun], 0.0
    for jobs in way.rounds:
        while free and busy[0] < ready:  # instead of waiting for this round
            heapq.heapreplace(busy, busy[0] + takes[free.pop(0)])
        of_round = set(jobs) - set(begun)
        open_jobs = sorted((*free, *of_round), key=lambda job: (job.replicate, -takes[job], job))
        last = max((i for i, job in enumerate(open_jobs) if job in of_round), default=-1)
        for job in open_jobs[: last + 1]:
            ends[job] = max(busy[0], ready) + takes[job]
            heapq.heapreplace(busy, ends[job])
        free = open_jobs[last + 1 :]
        ready = max([ready, *(ends[job] for job in jobs)])
    for job in free:
        heapq.heapreplace(busy, busy[0] + takes[job])
    return max(ready, *busy)


class Pace:
    """How much longer workers take than their runs: looking for work, waiting, and what else the machine does.

    Seconds are counted from the stage's first evaluation on, so that starting the workers is left out, and only for as
    many workers as there is something to train.

    Args:
        search: (Seconds of all its workers, those of its runs) of the search.
        workers: How many train.
        clock: Monotonic seconds.
    """

    def __init__(self, search: tuple[float, float], workers: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._before = min(max(search[0] / search[1], 1.0), MOST_OVERHEAD) if search[1] > 0 else 1.0
        self._workers, self._clock = workers, clock
        self._seen: tuple[float, int] | None = None
        self._first, self._ran, self._worked = 0.0, 0.0, 0.0

    def see(self, runs: int, ran: float, *, evaluated: bool) -> None:
        """Take note of where the stage is.

        Args:
            runs: How many are in training.
            ran: Seconds that the stage's runs have taken so far.
            evaluated: Whether it has had an evaluation.
        """
        now = self._clock()
        if self._seen is None:
            if not evaluated:
                return
            self._first = ran
        else:
            self._worked += (now - self._seen[0]) * min(self._seen[1], self._workers)
        self._seen, self._ran = (now, runs), ran

    def overhead(self, run_s: float) -> float:
        """Return how many times as long as its runs the rest will take; ``run_s`` are the seconds of a usual run."""
        weight = SEARCH_RUNS * self._workers * run_s
        ran = max(self._ran - self._first, 0.0)
        if weight + ran <= 0.0:
            return self._before
        return min(max((weight * self._before + self._worked) / (weight + ran), 1.0), MOST_OVERHEAD)
