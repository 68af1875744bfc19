"""Who is to blame when a worker dies: one bad run must not charge its neighbours, nor take workers down for ever.

A death charges no run unless it was alone in the worker. Runs that were there at two deaths in a row go again alone,
each in a worker of its own, where the guilty one shows itself. A silent worker, or one that took too much memory, is
proof that one of its runs is guilty, so its runs go alone at once.
"""

from __future__ import annotations

import dataclasses

from tuner.contract.outcome import LossCause
from tuner.study.search.open_trials import Run
from tuner.study.search.outcomes import Verdict

#: Deaths at one place, between the same two evaluations, before a run is given up. A run is a pure function of its
#: spec: one that kills its worker does so at the same step every time, a stranger's kill comes anywhere.
MAX_CHARGES = 3

#: Deaths anywhere, or by a signal that no run sends itself, before a run is given up.
MAX_DEATHS_ALONE = 10

#: Deaths in a row, among neighbours, after which a run goes alone.
MAX_DEATHS_IN_COMPANY = 2


def charge(run: Run, *, alone: bool, cause: LossCause, reason: str) -> Verdict | None:
    """Note a death that ``run`` was present at, and return why its trial is given up, or None: it goes again.

    Args:
        run: A run that its worker held.
        alone: Whether it was the only one.
        cause: What ended the worker.
        reason: In words.
    """
    if cause == "stopped":
        return None
    if not alone:
        run.deaths += 1
        if cause in ("silent", "memory") or run.deaths >= MAX_DEATHS_IN_COMPANY:
            run.spec = dataclasses.replace(run.spec, alone=True)
        return None
    if cause == "silent":
        return ("timed_out", reason)
    if cause == "memory":
        return ("failed", f"out of memory: {reason}")
    run.charges[run.last_step] += 1
    at_one_place = cause == "died" and run.charges[run.last_step] >= MAX_CHARGES
    if at_one_place or run.charges.total() >= MAX_DEATHS_ALONE:
        return ("failed", f"its worker died {run.charges.total()} times: {reason}")
    return None
