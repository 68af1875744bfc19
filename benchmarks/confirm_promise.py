"""How well the confirm stage's time left holds: what it says on its way beside what it then takes.

    python benchmarks/confirm_promise.py [--workers 2]

Two small studies, searched and confirmed. Printed for each: the seconds that the confirm stage took, and at its start,
after a quarter, half and three quarters of its runs what it said was left, divided by what was. 1 is right; 0.7 to 1.3
is within 30 %.
The first is made before anything of the stage has run, from what the search's training and evaluations took; then each
setting's own runs tell. Selecting may end sooner than it may last, so that more is promised than taken.
"""

from __future__ import annotations

import argparse
import tempfile
import time

import tuner
from tuner.study.search.progress import NoProgress, Snapshot

STUDIES = {
    "CartPole-v1": {"steps": 5_000, "trials": 24},
    "Acrobot-v1": {"steps": 4_000, "trials": 32},
}


class Watch(NoProgress):
    """Notes of the confirm stage: (second, runs done, seconds said to be left)."""

    def __init__(self) -> None:
        self.said: list[tuple[float, int, float]] = []

    def start(self, snapshot: Snapshot) -> None:
        """Note the first promise."""
        self.update(snapshot)

    def update(self, snapshot: Snapshot) -> None:
        """Note a promise."""
        if snapshot.unit == "run" and snapshot.eta_s is not None:
            self.said.append((time.monotonic(), snapshot.done, snapshot.eta_s))

    finish = update


def main() -> None:
    """Run both studies and print a line for each."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--workers", type=int, default=2)
    workers = parser.parse_args().workers
    print(f"{'environment':<14} {'runs':>5} {'seconds':>8}  said / taken at the start, a quarter, half, three quarters")
    for env, sizes in STUDIES.items():
        with tempfile.TemporaryDirectory() as folder:
            watch = Watch()
            places = {"storage": f"sqlite:///{folder}/s.db", "report_dir": f"{folder}/reports"}
            tuner.run(tuner.StudyRecipe(env=env, workers=workers, confirm_seeds=5, **sizes, **places), progress=watch)
        if not watch.said:
            print(f"{env:<14} had too few trials for a confirm stage", flush=True)
            continue
        (began, *_), (ended, runs, _) = watch.said[0], watch.said[-1]
        ratios = []
        for share in (0.0, 0.25, 0.5, 0.75):
            at, _, left = next(row for row in watch.said if row[1] >= share * runs)
            ratios.append(f"{left / (ended - at):.2f}")
        print(f"{env:<14} {runs:>5} {ended - began:>8.0f}  {'  '.join(ratios)}", flush=True)


if __name__ == "__main__":
    main()
