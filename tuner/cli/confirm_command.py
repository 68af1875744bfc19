"""``tune confirm STUDY``: train the finalists of a search again on fresh seeds; and the verdict in words."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from tuner.cli.console import number
from tuner.cli.parser import add_command, add_storage
from tuner.cli.progress import progress_view
from tuner.cli.recipe_flags import add_field, settings
from tuner.errors import InputError

if TYPE_CHECKING:
    from tuner.core.statistics import Estimate
    from tuner.result.study import StudyData

PREFIX = "confirm"

#: Recipe settings that this command takes.
SETTINGS = (
    "confirm", "confirm_seeds", "confirm_budget", "confirm_backend", "workers", "lanes", "executor", "device",
    "report_dir", "quiet",
)  # fmt: skip


def add_to(commands: Any) -> None:
    """Add the command."""
    parser = add_command(commands, "confirm", confirm_command, "train a study's finalists again on fresh seeds")
    parser.add_argument("study", metavar="STUDY", help="Name of the study, as tune list shows it")
    add_storage(parser)
    for name in SETTINGS:
        add_field(parser, name, PREFIX)


def confirm_command(parsed: argparse.Namespace) -> int:
    """Confirm, and print the verdict."""
    from tuner.api import confirm

    given = settings(parsed, PREFIX)
    if given.get("confirm") == 0:
        raise InputError("--confirm must be at least 1 here, got 0: that many finalists are trained again.")
    result = confirm(
        parsed.study, storage=parsed.storage, settings=given, progress=progress_view(quiet=given.get("quiet", False))
    )
    print("\n".join([*verdict_lines(result.data), f"Report: {result.report}"]))
    if result.export is not None:
        print(f"Export: {result.export}")
    if result.ending == "interrupted":
        print("Interrupted; every finished run is kept, and the same command carries on.")
        return 130
    return 0


def verdict_lines(data: StudyData) -> list[str]:
    """Return what the confirm stage says, in lines; none where there was no such stage."""
    from tuner.result.verdict import judge

    confirmation = data.confirmation
    if confirmation is None:
        return []
    winner, judgement = confirmation.winner, judge(confirmation)
    if winner is None or judgement is None:
        done = sum(len(c.runs) for c in confirmation.contestants)
        return [f"Confirming: {done} runs so far; tune confirm {data.name} carries on."]
    searched = "" if winner.search_score is None else f"; the search had seen {number(winner.search_score)}"
    lines = [
        f"Confirmed: {winner.name}, score {_interval(judgement.score)} on {judgement.score.n} fresh seeds{searched}"
    ]
    if confirmation.tied:
        lines.append(f"  not told apart from {', '.join(confirmation.tied)}")
    for comparison in judgement.comparisons:
        chance = f"{comparison.probability.value:.0%}"
        sure = "" if comparison.difference.excludes(0.0) else "; the interval includes zero"
        lines.append(
            f"  {_signed(comparison.difference)} against {comparison.baseline.title}, "
            f"better in {chance} of pairs of runs{sure}"
        )
    return lines


def _interval(estimate: Estimate) -> str:
    if estimate.low is None or estimate.high is None:
        return number(estimate.value)
    return f"{number(estimate.value)} ({number(estimate.low)} to {number(estimate.high)})"


def _signed(estimate: Estimate) -> str:
    text = f"{'+' if estimate.value >= 0 else ''}{number(estimate.value)}"
    if estimate.low is None or estimate.high is None:
        return text
    return f"{text} ({number(estimate.low)} to {number(estimate.high)})"
