"""What a search finds beside the best of ten random settings and DQN's defaults, on ten families of environments.

    python benchmarks/against_itself.py --keep FOLDER [--trials 60] [--seeds 10] [--envs ID ...] [--study-seed 0]

Each study is blind: portfolio and prior are made from ``benchmarks/lab/table`` without the environment's family (see
``real_studies.py``). The ten random settings come from a study of their own (``--sampler random --prior none``), whose
highest search score names the best. Export, best random and defaults then train on the same fresh seeds and episodes
(``tune compare``). Printed are scores and differences with 95 % intervals, results corrected for all comparisons of
the table (Holm). Nothing here depends on the clock, so it may run beside other work; what is there already is kept.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from real_studies import ENVS, HERE, blind_prior

from tuner.core.multiple_comparisons import holm
from tuner.core.statistics import Estimate, iqm_interval
from tuner.result.verdict import compare, p_value

#: Source of the seeds that judge; searches have their own, small ones.
JUDGES = 77_000

RANDOM_TRIALS = 10


def tune(folder: Path, *arguments: str, program: Sequence[str] = ("-m", "tuner")) -> None:
    """Run a command in a folder, or go on with it; ``program`` is what Python runs."""
    command = [sys.executable, "-W", "ignore", *program, *arguments, "--quiet"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"tune {' '.join(arguments)}: exit {done.returncode}\n{done.stderr[-2000:]}")


def judged(env: str, options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Search, search at random, and compare: return the comparison's document."""
    sys.path.insert(0, str(HERE / "lab"))
    from environments import MEMBERS

    folder.mkdir(parents=True, exist_ok=True)
    page = folder / "compared"
    if (document := page / "comparison.json").is_file():
        return dict(json.loads(document.read_text()))
    member = next(m for m in MEMBERS if m.id == env)
    here = ["--env", env, "--steps", str(member.steps), "--workers", str(options.workers)]
    if env.startswith("lab/"):
        here += ["--env-module", str(HERE / "lab" / "environments.py")]
    study = [*here, "--storage", "sqlite:///tuner.db", "--seed", str(options.study_seed)]
    prior = str(blind_prior(env, folder))
    tune(folder, *study, "--study", "search", "--trials", str(options.trials), "--prior", prior, "--confirm-seeds", "5")
    random = ["--sampler", "random", "--prior", "none", "--pruner", "none", "--confirm", "0"]
    tune(folder, *study, "--study", "random", "--trials", str(RANDOM_TRIALS), *random)
    (folder / "defaults.yaml").write_text(yaml.safe_dump({env: {"policy": "MlpPolicy", "n_timesteps": member.steps}}))
    for name in ("search", "random"):
        shutil.copy(folder / "reports" / name / "best.yaml", folder / f"{name}.yaml")
    files = ["search.yaml", "random.yaml", "defaults.yaml"]
    judge = ["--seed", str(JUDGES), "--seeds", str(options.seeds), "-o", str(page)]
    tune(folder, "compare", *files, *here, *judge)
    return dict(json.loads(document.read_text()))


def shown(estimate: Estimate) -> str:
    """Return an estimate with its interval."""
    return f"{estimate.value:.4g} ({estimate.low:.4g} to {estimate.high:.4g})"


def report(documents: dict[str, dict[str, Any]]) -> None:
    """Print the table."""
    scores = {
        env: {s["label"]: s["scores"]["late"] for s in document["settings"]} for env, document in documents.items()
    }
    found = [
        (
            env,
            other,
            compare(of["search"], of[other]),
            p_value(compare(of["search"], of[other]), *map(len, (of["search"], of[other]))),
        )
        for env, of in scores.items()
        for other in ("random", "defaults")
    ]
    adjusted = holm([p for *_, p in found])
    print("| environment | export | beside | its score | export minus it | p, Holm |\n|" + "---|" * 6)
    for (env, other, compared, _), p in zip(found, adjusted, strict=True):
        values = [shown(iqm_interval(scores[env][name])) for name in ("search", other)]
        result = f"{shown(compared.difference)}, {compared.result}"
        print(f"| {env} | {values[0]} | {other} | {values[1]} | {result} | {p:.2g} |")


def main() -> None:
    """Run each and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=60)
    parser.add_argument("--seeds", type=int, default=10, help="seeds that judge")
    parser.add_argument("--study-seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--envs", nargs="*", default=list(ENVS))
    parser.add_argument("--keep", type=Path, required=True, help="folder for the studies, to go on with and to look at")
    options = parser.parse_args()
    report(
        {
            env: judged(env, options, options.keep.absolute() / env.replace("/", "-") / str(options.study_seed))
            for env in options.envs
        }
    )


if __name__ == "__main__":
    main()
