"""``tune replay``: is a stored trial what training again gives, bit for bit?"""

from __future__ import annotations

import argparse
from typing import Any

from tuner.cli.console import say
from tuner.cli.parser import add_command, add_storage, add_wrapper, whole_number
from tuner.envs.wrapper_names import canonicals
from tuner.text import counted

#: Exit code where something differs: the study cannot be trusted to be repeatable here.
DIFFERS = 1


def add_to(commands: Any) -> None:
    """Add the command."""
    replay = add_command(
        commands, "replay", command, "train a stored trial again and compare every evaluation bit for bit"
    )
    replay.add_argument("study", metavar="STUDY", help="Name of the study, as tune list shows it")
    replay.add_argument("trial", metavar="TRIAL", help="Number of the trial")
    add_storage(replay)
    replay.add_argument("--env-module", metavar="FILE|NAME", help="File or module that registers the environment")
    add_wrapper(replay, "Wrappers of the study that you trust, where no known package holds them")


def command(parsed: argparse.Namespace) -> int:
    """Train again, compare, explain; 0 when every bit is equal, 1 otherwise."""
    from tuner.contract.outcome import EvalPoint
    from tuner.study.upkeep.reproduce import explanations, first_difference, read_trial
    from tuner.training.single import train_once

    number = whole_number(parsed.trial, "TRIAL", 0)
    trial = read_trial(parsed.study, number, parsed.storage, parsed.env_module, canonicals(parsed.wrapper))
    path = str(trial.provenance.get("numeric_path", ""))
    others = explanations(trial.provenance, path)
    compared = 0
    for spec, rows in zip(trial.specs, trial.curves, strict=True):
        points: list[EvalPoint] = []
        last = int(rows[-1][0])
        say(f"training run {spec.run_id.replicate} again, seed {spec.seed}, {last:,} steps ...", stderr=True)
        outcome = train_once(spec, on_point=points.append, last_step=last)
        found = first_difference(spec.run_id.replicate, rows, points)
        if found is not None:
            say(
                f"Trial {number} of {trial.study} differs: run {found.replicate}, step {found.step:,}, {found.field}: "
                f"{found.stored} stored, {found.replayed} now."
            )
            if outcome.kind in ("failed", "diverged"):
                say(f"The run {outcome.kind} this time: {outcome.reason}")
            say(_explained(others))
            return DIFFERS
        compared += len(rows)
    what = f"{counted(compared, 'evaluation')} of {counted(len(trial.specs), 'run')}"
    say(f"Trial {number} of {trial.study} ({trial.outcome}): {what}, every bit is equal.")
    if others:
        say(f"Although this is not what it was trained with: {'; '.join(others)}.")
    return 0


def _explained(others: list[str]) -> str:
    if others:
        return "What is recorded and differs here, so may explain it: " + "; ".join(others) + "."
    return (
        "Everything recorded that could explain it (versions, threads, numeric path, device, processor, commit) is the "
        "same here: the stored numbers were changed, or training depends on something that is not recorded."
    )
