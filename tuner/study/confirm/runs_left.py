"""How many runs a confirm stage still trains at most: its progress is shown by that, and its supervisor ends by it."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from tuner.study.confirm.budget import Allocation
from tuner.study.confirm.schedule import Job, Selection


def most_left(
    allocation: Allocation, selection: Selection, counted: Mapping[str, int], results: Collection[Job]
) -> int:
    """Return how many runs a stage trains at most from now on.

    What an earlier one with a larger budget has trained beyond this one's seeds takes nothing from it.

    Args:
        allocation: The budget.
        selection: Where the selection stands.
        counted: Seeds of each setting that the verdict looks at, by key.
        results: Runs that have ended.
    """
    done = sum(job.phase == "verdict" and job.replicate < counted.get(job.key, 0) for job in results)
    if selection.winner is not None:
        return allocation.runs - allocation.select_runs - done
    reached = 1 + max(job.replicate for job in selection.wanted)
    seeds = {**dict.fromkeys(selection.alive, reached), **selection.dropped_after}
    done += sum(job.phase == "select" and job.replicate < seeds.get(job.key, 0) for job in results)
    return allocation.runs - done
