"""Where a confirm stage stands: its settings in a line for those who watch it, and how many runs it still trains."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from statistics import mean

from tuner.result.confirmation import Contestant, Phase
from tuner.result.sequential import Standing, standing_text
from tuner.study.confirm.budget import Allocation
from tuner.study.confirm.choice import MEAN, WORST, Choice
from tuner.study.confirm.schedule import Job, Selection
from tuner.text import counted, score_text


def standing(
    contestants: Sequence[Contestant],
    selection: Selection,
    results: Mapping[Job, float | None],
    seeds: int,
    choice: Choice = MEAN,
    sure: Mapping[str, Standing] | None = None,
) -> str:
    """Return how many settings are left and which is ahead; once one is selected, its scores beside the baselines'.

    Args:
        contestants: Finalists, then baselines.
        selection: Where the select phase stands.
        results: Score of each run that has ended, as for :func:`tuner.study.confirm.schedule.select`.
        seeds: Verdict seeds of each.
        choice: What the winner is chosen by.
        sure: How sure each comparison is, by the baseline's key, where the verdict goes on until they are.
    """
    titles = {c.key: c.title for c in contestants}
    # A finalist that is a baseline, too, is called as it will be exported: the baseline may name an earlier trial.
    names = {c.key: c.name for c in reversed(contestants)}
    if selection.winner is None:
        so_far = {
            key: choice.worth(key, found) for key in selection.alive if (found := _scores(results, key, "select"))
        }
        left = f"{counted(len(selection.alive), 'setting')} left"
        if not so_far:
            return left
        ahead = max(so_far, key=lambda key: so_far[key])  # of equal means the first, as the selection has it
        return f"{left}, ahead: {names[ahead]} at {score_text(so_far[ahead])}"
    parts = []
    for key in dict.fromkeys((selection.winner, *(c.key for c in contestants if c.role != "finalist"))):
        if sure and key in sure:
            parts.append(standing_text(titles[key], sure[key]))
        elif found := _scores(results, key, "verdict"):
            of = f" on {len(found)} of {counted(seeds, 'fresh seed')}" if key == selection.winner else ""
            parts.append(f"{names.get(key, key)}: {score_text(mean(found))}{of}")
    return "; ".join(parts) or f"{names[selection.winner]} is selected"


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


def _scores(results: Mapping[Job, float | None], key: str, phase: Phase) -> list[float]:
    mine = [score for job, score in results.items() if job.key == key and job.phase == phase]
    return [score for score in mine if score is not None and score != WORST]
