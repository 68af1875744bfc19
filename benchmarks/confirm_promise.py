"""How well the confirm stage's time left holds: what it says on its way beside what it then takes.

    python benchmarks/confirm_promise.py [--workers 2] [--seeds 0 1 2]

Small studies, searched and confirmed. Printed for each: the seconds that the confirm stage took, and at its start,
after a quarter, half and three quarters of its runs what it said was left, divided by what was. 1 is right; 0.7 to 1.3
is within 30 %. Where it said a range, that stands in brackets, and holds if 1 lies in it.
The first is made before anything of the stage has run, from what the search's training and evaluations took; then each
setting's own runs tell. Selecting may end sooner than it may last, so that more is promised than taken.
"""

from __future__ import annotations

import argparse
import itertools
import tempfile
import time

import tuner
from tuner.cli.progress import SURE, time_left
from tuner.study.search.progress import NoProgress, Snapshot

STUDIES = {
    "CartPole-v1": {"steps": 20_000, "trials": 24},
    "Acrobot-v1": {"steps": 10_000, "trials": 24},
}


class Watch(NoProgress):
    """Notes of the confirm stage: (second, runs done, seconds said to be left: the mean, the least, the most)."""

    def __init__(self) -> None:
        self.said: list[tuple[float, int, tuple[float, float, float]]] = []

    def start(self, snapshot: Snapshot) -> None:
        """Note the first promise."""
        self.update(snapshot)

    def update(self, snapshot: Snapshot) -> None:
        """Note a promise."""
        if snapshot.unit == "run" and snapshot.eta_s is not None:
            within = snapshot.eta_range_s or (snapshot.eta_s, snapshot.eta_s)
            self.said.append((time.monotonic(), snapshot.done, (snapshot.eta_s, *within)))

    finish = update


def ratio(said: tuple[float, float, float], left: float) -> tuple[str, bool]:
    """Return what was said beside what was left, and whether it held."""
    mean, low, high = said
    if time_left(mean, (low, high)).startswith("about"):
        return f"{mean / left:.2f}", (1 - SURE) * left <= mean <= (1 + SURE) * left
    return f"[{low / left:.2f}, {high / left:.2f}]", low <= left <= high


def main() -> None:
    """Run the studies and print a line for each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--seeds", nargs="*", type=int, default=[0], help="study seeds")
    options = parser.parse_args()
    print(f"{'environment':<14} {'runs':>5} {'seconds':>8}  said / taken at the start, a quarter, half, three quarters")
    held = list[bool]()
    for (env, sizes), seed in itertools.product(STUDIES.items(), options.seeds):
        with tempfile.TemporaryDirectory() as folder:
            watch = Watch()
            places = {"storage": f"sqlite:///{folder}/s.db", "report_dir": f"{folder}/reports"}
            recipe = tuner.StudyRecipe(env=env, seed=seed, workers=options.workers, confirm_seeds=5, **sizes, **places)
            tuner.run(recipe, progress=watch)
        if not watch.said:
            print(f"{env:<14} had too few trials for a confirm stage", flush=True)
            continue
        (began, *_), (ended, runs, _) = watch.said[0], watch.said[-1]
        ratios = []
        for share in (0.0, 0.25, 0.5, 0.75):
            at, _, said = next(row for row in watch.said if row[1] >= share * runs)
            shown, right = ratio(said, ended - at)
            ratios.append(shown)
            held.append(right)
        print(f"{env:<14} {runs:>5} {ended - began:>8.0f}  {'  '.join(ratios)}", flush=True)
    print(f"held: {sum(held)} of {len(held)}")


if __name__ == "__main__":
    main()
