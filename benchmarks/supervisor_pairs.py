"""What a trial costs the supervisor, this checkout against another, in pairs.

    python benchmarks/supervisor_pairs.py --other FOLDER [--pairs 15] [--size 1000] [--trials 20]

Each side runs the ``supervisor_cost.py`` of its own checkout with the interpreter of its own ``.venv-test`` (this side:
the one that runs this), by turns; the order turns too. Files lie in ``$TMPDIR``: in memory (``/dev/shm``) the figure is
of computing alone. Printed are the medians of milliseconds a trial and the median of the pairs' ratios, other by this.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent.parent


def trial_ms(python: str, checkout: Path, size: int, trials: int) -> float:
    """Return milliseconds a trial as the checkout's own script finds them."""
    command = [python, "-W", "ignore", "benchmarks/supervisor_cost.py", "--sizes", str(size), "--pairs", "1"]
    done = subprocess.run([*command, "--trials", str(trials)], cwd=checkout, capture_output=True, text=True, check=True)
    (row,) = [line for line in done.stdout.splitlines() if line.startswith("| supervisor ")]
    return float(row.split("|")[3])


def main() -> None:
    """Run the pairs and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--other", type=Path, required=True, help="a checkout with its .venv-test")
    parser.add_argument("--pairs", type=int, default=15)
    parser.add_argument("--size", type=int, default=1000, help="finished trials")
    parser.add_argument("--trials", type=int, default=20, help="trials in one turn")
    options = parser.parse_args()
    sides = [(sys.executable, HERE), (str(options.other.absolute() / ".venv-test/bin/python"), options.other)]
    found: list[tuple[float, float]] = []
    for pair in range(options.pairs):
        order = (0, 1) if pair % 2 else (1, 0)
        ms = {side: trial_ms(*sides[side], options.size, options.trials) for side in order}
        found.append((ms[0], ms[1]))
    this, other = (statistics.median(side) for side in zip(*found, strict=True))
    ratios = sorted(theirs / ours for ours, theirs in found)
    print(f"this {this:.2f} ms a trial, other {other:.2f} ms; other by this, median of {len(ratios)} pairs: ", end="")
    print(f"{statistics.median(ratios):.3f} ({ratios[0]:.3f} to {ratios[-1]:.3f})")


if __name__ == "__main__":
    main()
