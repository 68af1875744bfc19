"""What certainty costs, in plain words."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from tuner.report.words.evidence import contestant_title
from tuner.result.confirmation import MOST_SEEDS, VERDICT_SHARE
from tuner.text import counted, large, score_text, sentence


def more_seeds_lines(found: Mapping[str, Any], study: str) -> list[str]:
    """Return a line for each comparison, what they rest on, and the command that would train the seeds.

    Args:
        found: What :func:`tuner.report.numbers.more_seeds.more_seeds` gives.
        study: The study, as a command names it.
    """
    lines = [_line(row, found["n_timesteps"]) for row in found["comparisons"]]
    lines.append(
        f"By a rank test, at {found['level']:g} for all comparisons together and at every look, were the shares of "
        "pairs of runs in which the winner does better to stay as they are."
    )
    open_ones = [row["seeds_needed"] for row in found["comparisons"] if row["sure_after"] is None]
    wanted = [needed for needed in open_ones if needed is not None and needed <= MOST_SEEDS]
    if wanted:
        own = [row["n_timesteps"] for row in found["comparisons"]]
        steps = max(wanted) * (found["n_timesteps"] + sum(own)) / VERDICT_SHARE
        budget = math.ceil(10 * steps / max(found["searched"], 1)) / 10
        full = " --zoo-full-budget" if found["zoo_full_budget"] else ""
        lines.append(
            f"To train them: tune confirm {study} --until {found['level']:g} --confirm-seeds {max(wanted)} "
            f"--confirm-budget {budget:g}{full}"
        )
    return [*lines, "Nothing was written: this was a dry run."]


def _line(row: Mapping[str, Any], n_timesteps: int) -> str:
    title, seeds = sentence(contestant_title(row)), counted(row["n"], "seed")
    gap = f"mean difference {score_text(row['mean'])}"
    gap += f", better in {score_text(row['probability'], 2)} of all pairs of runs"
    if row["sure_after"] is not None:
        how = "ahead of it" if row["result"] == "better" else "behind it"
        return f"{title}: decided, the winner is {how} ({gap} over {seeds})."
    if row["seeds_needed"] is None:
        why = "every run of both scores the same" if row["result"] == "tie" else f"{gap} over {seeds}"
        return f"{title}: open, and no number of seeds up to 10,000 would decide it ({why})."
    more = max(row["seeds_needed"] - row["n"], 1)
    steps = large(more * (n_timesteps + row["n_timesteps"]))
    return (
        f"{title}: open after {seeds} ({gap}); about {more:,} more of both would decide it, {row['seeds_needed']:,} in "
        f"all, {steps} steps."
    )
