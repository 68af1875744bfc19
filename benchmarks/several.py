"""One setting for three environments beside a setting for each: what the search costs, and what its export is worth.

    python benchmarks/several.py FOLDER [--trials 24] [--steps 5000] [--seeds 10] [--envs ID ID ID]

Three environments of the lab, of three families, with nothing known beforehand (`--prior none`). They are tuned at once
(`tune --env A --env B --env C`), and each by itself with the same flags. Cost is environment steps of training and
processor seconds of the whole commands, verdicts included. Then each export trains again on fresh seeds that no study
has used. Printed for each environment are the mean of the own export, of the common one, and their difference as a
share of the way from the environment's floor (see ``lab/environments.py``) to the own export's mean, with the 95 %
interval of a difference of means (percentile bootstrap). What has been run is kept in FOLDER, and the same command
carries on; a cost is noted only of a command that ran in one go.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from retest import retest

from tuner.envs.spec import EnvSpec

LAB = Path(__file__).parent / "lab"
MODULE = str((LAB / "environments.py").resolve())

ENVS = ("lab/Catch-v0", "lab/Corridor-v0", "lab/Sorting-v0")

#: Largest loss of the common export that counts as kept, as a share of the own export's range.
KEPT = 0.1

RESAMPLES = 10_000


def tune(folder: Path, name: str, envs: tuple[str, ...], options: argparse.Namespace) -> float | None:
    """Run a command, and return its processor seconds; None where it went on with an earlier one."""
    went_on = (folder / "tuner.db").exists()
    folder.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-W", "ignore", "-m", "tuner", *(word for env in envs for word in ("--env", env))]
    command += ["--env-module", MODULE, "--study", name, "--storage", "sqlite:///tuner.db", "--prior", "none"]
    command += ["--trials", str(options.trials), "--steps", str(options.steps), "--set", "net_arch=64"]
    command += ["--eval-episodes", str(options.episodes), "--quiet"]
    command += ["--confirm-seeds", str(options.seeds), "--confirm-budget", "2"]
    command += ["--workers", str(options.workers), "--seed", str(options.study_seed)]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(command)}: exit {done.returncode}\n{done.stderr[-2000:]}")
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return None if went_on else seconds


def alone(folder: Path, env: str, options: argparse.Namespace) -> dict[str, Any]:
    """Tune one environment; return its setting, steps and seconds."""
    seconds = tune(folder, "own", (env,), options)
    report = json.loads((folder / "reports" / "own" / "report.json").read_text())
    found = report["evidence"]
    setting = next(c["hyperparameters"] for c in found["contestants"] if c["key"] == found["winner"])
    return {"setting": setting, "steps": found["steps"]["searched"] + found["steps"]["confirmed"], "seconds": seconds}


def together(folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Tune all at once; return the common setting, steps and seconds."""
    seconds = tune(folder, "common", tuple(options.envs), options)
    reports = folder / "reports"
    searched = [json.loads(path.read_text())["summary"]["steps_spent"] for path in reports.glob("common.*/report.json")]
    assert len(searched) == len(options.envs)
    judged = [json.loads(line)["steps"] for line in (reports / "common" / "runs.jsonl").read_text().splitlines()]
    setting = json.loads((reports / "common" / "several.json").read_text())["hyperparameters"]
    return {"setting": setting, "steps": sum(searched) + sum(judged), "seconds": seconds}


def kept(path: Path, make: Any) -> dict[str, Any]:
    """Return what a file holds, or make it."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(make()))
    return dict(json.loads(path.read_text()))


def fresh(env: str, setting: Mapping[str, Any], options: argparse.Namespace) -> list[float]:
    """Return the `late` score of each fresh training."""
    spec = EnvSpec(env, module=MODULE)
    return [late for late, _ in retest("dqn", dict(setting), spec, options.steps, range(options.seeds), 20)]


def shares(own: list[float], common: list[float], floor: float) -> tuple[float, float, float]:
    """Return the common export's loss as a share of the own one's range, and the 95 % interval of that."""
    random = np.random.default_rng(0)
    a, b = np.array(own), np.array(common)
    lost = (a.mean() - b.mean()) / (a.mean() - floor)
    draws = [random.choice(x, (RESAMPLES, len(x))).mean(1) for x in (a, b)]
    low, high = np.percentile((draws[0] - draws[1]) / (a.mean() - floor), (2.5, 97.5))
    return float(lost), float(low), float(high)


def main() -> None:
    """Run what is missing, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--envs", nargs="+", default=list(ENVS))
    parser.add_argument("--trials", type=int, default=24)
    parser.add_argument("--steps", type=int, default=5_000)
    parser.add_argument("--episodes", type=int, default=10, help="of each evaluation of the search")
    parser.add_argument("--seeds", type=int, default=10, help="of the verdict, and fresh ones of each export")
    parser.add_argument("--study-seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=1)
    options = parser.parse_args()
    sys.path.insert(0, str(LAB))
    from environments import MEMBERS

    floors = {member.id: member.floor for member in MEMBERS}
    folder = options.folder.absolute()
    own = {
        env: kept(folder / f"own-{i}.json", lambda i=i, env=env: alone(folder / f"own-{i}", env, options))
        for i, env in enumerate(options.envs)
    }
    common = kept(folder / "common.json", lambda: together(folder / "common", options))
    apart = sum(one["steps"] for one in own.values())
    print(f"steps: {common['steps']:,} at once, {apart:,} in three studies: {common['steps'] / apart:.0%}")
    seconds = [one["seconds"] for one in own.values()]
    if common["seconds"] is not None and None not in seconds:
        share = common["seconds"] / sum(seconds)
        print(f"processor seconds: {common['seconds']:.0f} at once, {sum(seconds):.0f} in three studies: {share:.0%}")
    held = 0
    for i, env in enumerate(options.envs):
        scores = kept(
            folder / f"fresh-{i}.json",
            lambda env=env: {
                "own": fresh(env, own[env]["setting"], options),
                "common": fresh(env, common["setting"], options),
            },
        )
        lost, low, high = shares(scores["own"], scores["common"], floors[env])
        held += lost <= KEPT
        means = {name: sum(values) / len(values) for name, values in scores.items()}
        print(
            f"{env:<18} floor {floors[env]:>8.3g}, own export {means['own']:>8.3f}, common one {means['common']:>8.3f}:"
            f" {lost:+.0%} of the range lost ({low:+.0%} to {high:+.0%})"
        )
    print(f"within {KEPT:.0%} of the own export's range on {held} of {len(options.envs)}")


if __name__ == "__main__":
    main()
