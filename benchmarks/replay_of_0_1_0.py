"""Whether trials that version 0.1.0 stored replay to the last bit on the machine that trained them, networks included.

    python benchmarks/replay_of_0_1_0.py OLD_TUNE [--trials 6]

OLD_TUNE is the ``tune`` executable of a checkout of commit 8ff3b66 (``tests/data/v0_1_0/README.md`` says how to make
one). It trains one small study per row of :data:`STUDIES`; this checkout's ``tune replay`` trains every trial again.
Exit code 1 where a bit differs.
"""

from __future__ import annotations

import argparse
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

STORAGE = "sqlite:///study.db"

#: Study -> what is said to the old version: every update function, every sampler of minibatches, images, both backends.
STUDIES = {
    "default": "--env CartPole-v1 --steps 2000",
    "extended": "--env CartPole-v1 --steps 2000 --space extended",
    "wide": "--env Acrobot-v1 --steps 1000 --set net_arch=256,256 --set train_freq=1 --set gradient_steps=1",
    "seeds": "--env LunarLander-v3 --steps 1000 --seeds-per-trial 2 --lanes 6",
    "images": "--env MinAtar/Breakout-v1 --steps 600 --lanes 2",
    "sb3": "--env CartPole-v1 --steps 1000 --backend sb3",
    "q_learning": "--env Taxi-v4 --algo q_learning --steps 3000",
    "fqi": "--env CartPole-v1 --algo fqi --set n_transitions=500 --steps 5",
}


def main() -> int:
    """Train with the old version, replay with this one, and print a row for each study."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("old", type=Path, metavar="OLD_TUNE")
    parser.add_argument("--trials", type=int, default=6)
    parser.add_argument("--only", nargs="+", default=list(STUDIES), choices=list(STUDIES))
    asked = parser.parse_args()
    differs = 0
    for name in asked.only:
        with tempfile.TemporaryDirectory() as folder:
            said = [*shlex.split(STUDIES[name]), "--trials", str(asked.trials), "--confirm", "0", "--quiet"]
            said += ["--evaluations", "4", "--eval-episodes", "3", "--workers", "1", "--study", name]
            subprocess.run(
                [asked.old.absolute(), *said, "--storage", STORAGE], cwd=folder, check=True, stdout=subprocess.DEVNULL
            )
            equal = sum(replays(name, number, folder) for number in range(asked.trials))
        print(f"{name:12} {equal} of {asked.trials} trials are equal in every bit", flush=True)
        differs += asked.trials - equal
    return 1 if differs else 0


def replays(study: str, number: int, folder: str) -> bool:
    """Return whether a trial of the study in a folder replays to the last bit; what differs is printed."""
    command = [Path(sys.executable).with_name("tune"), "replay", study, str(number), "--storage", STORAGE]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        print(done.stdout + done.stderr[-500:], file=sys.stderr)
    return done.returncode == 0


if __name__ == "__main__":
    sys.exit(main())
