"""``tune verify``: a setting of the library trained again on new seeds, and held to what its verdict predicts."""

from __future__ import annotations

import argparse
import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tuner.cli.console import INTERRUPTED, decimal, say
from tuner.cli.library_commands import add_entry_name
from tuner.cli.paired_runs import train_missing
from tuner.cli.parser import add_command, whole_number
from tuner.cli.recipe_flags import add_field, settings
from tuner.cli.train_commands import plan_runs
from tuner.durable import check_writable, make_folder
from tuner.errors import StudyFailedError
from tuner.plan.naming import safe_name
from tuner.text import counted

if TYPE_CHECKING:
    from tuner.contract.spec import RunSpec
    from tuner.hyperparameters import Hyperparameters
    from tuner.library.entry import Entry
    from tuner.plan.resolve import StudyPlan
    from tuner.result.confirmation import ConfirmRun

_VERIFY = "verify"

#: Settings of a search that it has too.
VERIFY_SETTINGS = {
    "seed": "Source of the new seeds; another one gives others (default: 0)",
    "device": None,
    "workers": None,
    "lanes": "Native runs trained together in each worker",
    "executor": None,
    "quiet": None,
}

#: Which trial of a verdict the new runs count as: those of verdicts are of trial 0.
_TRIAL = 1

#: New runs begin where no verdict comes: their episodes are none of its own either.
_FIRST = 1_000_000


def add_to(commands: Any) -> None:
    """Add the command."""
    parser = add_command(
        commands, _VERIFY, command, "train a setting of the library on new seeds and hold it to its verdict"
    )
    add_entry_name(parser, "Which setting, as tune settings lists it", needed=True)
    parser.add_argument("--seeds", metavar="N", default="10", help="New runs (default: 10)")
    for name, help in VERIFY_SETTINGS.items():
        add_field(parser, name, _VERIFY, help)
    parser.add_argument("--json", action="store_true", help="The answer as data")
    parser.add_argument(
        "-o", "--output", metavar="DIR", help="Folder of the runs (default: reports/verify-<algo>-<env>)"
    )


def command(parsed: argparse.Namespace) -> int:
    """Train what is missing and say whether the prediction holds; 1 where it does not."""
    from tuner.library.catalog import named_entry

    seeds = whole_number(parsed.seeds, "--seeds", 1, 10_000)
    entry = named_entry(parsed.env, parsed.algo or "dqn")
    asked = settings(parsed, _VERIFY)
    folder = Path(parsed.output or Path("reports") / safe_name(f"verify-{entry.algorithm}-{entry.name}"))
    check_writable(folder, f"-o {folder}")
    plan, (hyperparameters,) = plan_runs({**_surroundings(entry), **asked}, [entry.own.hyperparameters])
    specs = new_specs(plan, hyperparameters, entry, seeds, int(asked.get("seed", 0)))
    make_folder(folder)
    done = train_missing(_VERIFY, plan, [specs], folder)
    if done is None:
        say("Interrupted; the same command carries on.", stderr=True)
        return INTERRUPTED
    found = outcome_of(entry, done[0])
    say(json.dumps(found, indent=2) if parsed.json else "\n".join(_lines(entry, found)))
    return 0 if found["held"] else 1


def new_specs(
    plan: StudyPlan, hyperparameters: Hyperparameters, entry: Entry, seeds: int, source: int
) -> list[RunSpec]:
    """Return runs as the verdict's were, on seeds and episodes that it did not have.

    Args:
        plan: Surroundings of the entry.
        hyperparameters: The entry's values.
        entry: The entry.
        seeds: How many.
        source: What the seeds come from.
    """
    from tuner.contract.spec import RunId
    from tuner.seeding import evaluation_seed, run_seed
    from tuner.study.confirm.ledger import late_episodes

    known = {run.seed for judged in (entry.own, *entry.baselines) for run in judged.runs}
    specs: list[RunSpec] = []
    place = _FIRST
    while len(specs) < seeds:
        place += 1
        seed = run_seed(source, "verdict", _TRIAL, place)
        if seed in known:
            continue
        known.add(seed)
        episodes = evaluation_seed(source, "verdict", plan.rules.evaluation_seeds, place)
        evaluation = dataclasses.replace(plan.evaluation, seed=episodes, late_episodes=late_episodes(plan.evaluation))
        spec = plan.run_spec(RunId(0, len(specs)), hyperparameters, seed)
        specs.append(dataclasses.replace(spec, evaluation=evaluation))
    return specs


def outcome_of(entry: Entry, runs: Sequence[ConfirmRun]) -> dict[str, Any]:
    """Return what new runs say of an entry, as plain data.

    A run that diverged or ran out of time counts as the worst that there is, and as random play at most, as in a
    verdict; one that failed has no score.

    Raises:
        StudyFailedError: No run has a score.
    """
    by_run = [(run, run.score(entry.objective)) for run in runs]
    completed = [score for _, score in by_run if score is not None]
    played = [] if entry.random_play is None else [entry.random_play]
    worst = min([*completed, *played, *(s for judged in entry.settings for s in judged.scores)])
    rows = [
        {
            "seed": run.seed,
            "outcome": run.outcome,
            "score": worst if score is None and run.outcome in ("diverged", "timed_out") else score,
        }
        for run, score in by_run
    ]
    scores = [float(row["score"]) for row in rows if row["score"] is not None]
    if not scores:
        reason = next((run.reason for run in runs if run.reason), "")
        raise StudyFailedError(f"No run of {entry.name} has completed. {reason}".rstrip())
    mean, (low, high) = sum(scores) / len(scores), entry.predicted(len(scores))
    slack = 1e-9 * max(1.0, abs(mean))
    return {
        "name": entry.name,
        "algorithm": entry.algorithm,
        "n_timesteps": entry.n_timesteps,
        "objective": entry.objective,
        "verdict": dataclasses.asdict(entry.verdict),
        "runs": rows,
        "mean": mean,
        "predicted": {"low": low, "high": high, "runs": len(scores), "from": len(entry.own.runs)},
        "held": low - slack <= mean <= high + slack,
    }


def _lines(entry: Entry, found: dict[str, Any]) -> list[str]:
    from tuner.library.words import verdict_text

    rows, predicted = found["runs"], found["predicted"]
    lines = [f"{entry.name}: its verdict is {verdict_text(entry)}, made {entry.made}."]
    for row in rows:
        ended = "" if row["outcome"] == "completed" else f" ({row['outcome'].replace('_', ' ')})"
        lines.append(f"  seed {row['seed']:<10}  {decimal(row['score'])}{ended}")
    within = f"{decimal(predicted['low'])} to {decimal(predicted['high'])}"
    lines.append(
        f"Mean of {counted(predicted['runs'], 'new seed')}: {decimal(found['mean'])}. The {predicted['from']} of the "
        f"verdict predict {within} for it (95 %)."
    )
    other = "versions, processor or environment may differ from the verdict's: tune settings " + entry.name
    lines.append("The verdict held." if found["held"] else f"The verdict did not hold; {other}")
    return lines


def _surroundings(entry: Entry) -> dict[str, Any]:
    return {
        "env": entry.env,
        "algo": entry.algorithm,
        "backend": entry.backend,
        "steps": entry.n_timesteps,
        "evaluations": entry.evaluations,
        "eval_episodes": entry.eval_episodes,
        "env_arg": dict(entry.env_kwargs),
        **entry.changes,
    }
