"""Settings of the library beside Stable-Baselines3's DQN with its own defaults, the same network and as many steps.

    python benchmarks/library_against_sb3.py MinAtar/Asterix-v1 ... --keep FOLDER [--seeds 5]

The entry's side are the runs of its verdict, trained natively; the other one's train here on fresh seeds, evaluated at
the same steps. `tune compare` trains the defaults natively, too: the column beside shows what the backend alone makes.
Scores are `late`, interquartile means with 95 % intervals. Nothing here depends on the clock, so it may run beside
other work; what is there already is kept. Entries of environments as they are: no arguments, no wrappers.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import yaml
from against_itself import JUDGES, tune

from tuner.core.statistics import iqm_interval
from tuner.library.catalog import library_entries
from tuner.library.entry import Entry
from tuner.library.words import estimate_text
from tuner.result.verdict import compare


def of_defaults(entry: Entry, seeds: int, folder: Path) -> dict[str, list[float]]:
    """Train DQN's defaults with both backends, or go on with it, and return each one's late scores."""
    folder.mkdir(parents=True, exist_ok=True)
    (defaults,) = [b.hyperparameters for b in entry.baselines if b.role == "defaults"]
    values = {"policy_kwargs": {"net_arch": list(defaults["net_arch"])}, "n_timesteps": entry.n_timesteps}
    (folder / "defaults.yaml").write_text(yaml.safe_dump({entry.env: values}))
    evaluations = ["--evaluations", str(entry.evaluations), "--eval-episodes", str(entry.eval_episodes)]
    judge = ["--seed", str(JUDGES), "--seeds", str(seeds), "--workers", "1", "-o", "compared"]
    tune(folder, "compare", "defaults.yaml", "--env", entry.env, *evaluations, *judge)
    found = json.loads((folder / "compared" / "comparison.json").read_text())["backends"]
    return {backend: found[backend]["scores"]["late"] for backend in ("native", "sb3")}


def main() -> None:
    """Train what is asked for and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("entries", nargs="+", metavar="ENTRY", help="environments, as the library names them")
    parser.add_argument("--seeds", type=int, default=5, help="runs of Stable-Baselines3")
    parser.add_argument("--keep", type=Path, required=True, help="folder of the runs, to go on with")
    options = parser.parse_args()
    known = {e.name: e for e in library_entries() if e.algorithm == "dqn" and not (e.env_kwargs or e.changes)}
    if unknown := [name for name in options.entries if name not in known]:
        parser.error(f"{unknown[0]} is not there, or not as it is; the library has {', '.join(known)}")
    print("| environment | entry | Stable-Baselines3's defaults | the same, native | entry minus Stable-Baselines3 |")
    print("|" + "---|" * 5)
    for name in options.entries:
        entry = known[name]
        beside = of_defaults(entry, options.seeds, options.keep.absolute() / name.replace("/", "-"))
        compared = compare(entry.own.scores, beside["sb3"])
        scores = " | ".join(
            estimate_text(iqm_interval(of)) for of in (entry.own.scores, beside["sb3"], beside["native"])
        )
        print(f"| {name} | {scores} | {estimate_text(compared.difference)}, {compared.result} |", flush=True)


if __name__ == "__main__":
    main()
