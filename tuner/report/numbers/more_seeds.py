"""What certainty costs: how many more verdict seeds would decide each comparison, from the spread seen so far."""

from __future__ import annotations

from typing import Any

from tuner.report.numbers.sequential import standing_numbers
from tuner.result.confirmation import Confirmation, Contestant
from tuner.result.sequential import of_each, standing, told
from tuner.result.study import StudyData

#: Level where none was asked for.
LEVEL = 0.95


def more_seeds(data: StudyData, level: float | None = None) -> dict[str, Any] | None:
    """Return where the winner stands beside each baseline and what would decide it; None before there is a verdict.

    Seeds are counted by what ``--until`` goes by, for all comparisons together and at every look: the shares of pairs
    that the winner wins are taken to stay as they are.

    Args:
        data: The study.
        level: Of all comparisons together; None: what the verdict was asked for, else :data:`LEVEL`.

    Returns:
        ``level``, ``n_timesteps`` of a run, ``searched`` (environment steps), ``zoo_full_budget`` (whether RL Zoo's
        values trained for their own number of steps), and ``comparisons``: ``name``, ``role``, ``backend``,
        ``n_timesteps`` of its own runs, and the keys of :func:`~tuner.report.numbers.sequential.standing_numbers`.
    """
    confirmation = data.confirmation
    if confirmation is None or confirmation.winner is None:
        return None
    until = confirmation.until
    whole = level or (until.level if until is not None else LEVEL)
    baselines = [c for c in confirmation.baselines if c.key != confirmation.winner_key]
    bounds = until.bounds if until is not None else None
    plans = until.looks_of if until is not None else (confirmation.seeds,)
    different = len({c.key for c in baselines})  # one may stand twice, and is compared once
    standings = {}
    for baseline in baselines:
        pairs = paired_scores(confirmation, confirmation.winner, baseline)
        ours, theirs = [a for a, _ in pairs], [b for _, b in pairs]
        found = standing(ours, theirs, of_each(whole, different), bounds, plans)
        if found is not None:
            standings[baseline.key] = found
    standings = told(standings, different, whole, plans)
    rows = []
    for baseline in baselines:
        if baseline.key in standings:
            steps = confirmation.steps_of(baseline)
            about = {"name": baseline.name, "role": baseline.role, "backend": baseline.backend, "n_timesteps": steps}
            rows.append({**about, **standing_numbers(standings[baseline.key], plans)})
    if not rows:
        return None
    return {
        "level": whole, "n_timesteps": confirmation.grid[-1], "searched": confirmation.searched_steps,
        "zoo_full_budget": bool(confirmation.settings.get("zoo_full_budget")), "comparisons": rows,
    }  # fmt: skip


def paired_scores(confirmation: Confirmation, one: Contestant, other: Contestant) -> list[tuple[float, float]]:
    """Return the scores of two settings on the verdict seeds that both have a score on."""
    ours, theirs = (confirmation.scores_by_replicate(contestant, "verdict") for contestant in (one, other))
    return [(ours[r], theirs[r]) for r in sorted(ours.keys() & theirs.keys())]
