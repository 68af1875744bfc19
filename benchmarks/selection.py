"""Search, select, verdict on synthetic objectives whose truth is known.

    python benchmarks/selection.py [--repeats 500] [--rules]

A study is a search of 100 trials that scores each by ONE noisy value. The confirm stage is the product's own
(`tuner.study.confirm.schedule` and `allocation`, `tuner.core.elimination`): the five best train again on fresh seeds by
sequential elimination, 29 runs at most, which is what the default budget leaves. The *verdict* trains the winner on 10
seeds that nothing has touched.

Printed, with 95 % intervals over repeats:

* how often the winner of search and select is truly better than the best of a search of 165 trials (which costs as much
  as 100 trials and the whole confirm stage, baselines included), how often worse (else they tie), and the mean gain;
* the same against the best of a search of 55 trials with three seeds each (`--seeds-per-trial 3`), at the same cost;
* how often the verdict's interval holds the winner's true interquartile mean;
* on pure noise (all trials equal): the search's best score minus its mean on the first 5 select seeds, which is the
  luck that the report calls shrinkage, beside the true gap. (Only the first, because a finalist that does badly is
  dropped and keeps its bad mean: over all its seeds the shrinkage comes out too large.)

`--rules` compares levels of elimination instead: mean regret against the best finalist, how often that one was dropped,
and the runs spent.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from tuner import seeding
from tuner.core.elimination import LEVEL, clearly_beaten
from tuner.core.statistics import interquartile_mean, iqm_interval
from tuner.study.confirm.budget import allocate
from tuner.study.confirm.schedule import Job, select

TRIALS, FINALISTS, CONFIRM_RUNS, VERDICT_RUNS = 100, 5, 65, 10

#: What `--confirm 5 --confirm-seeds 10` makes of 65 runs, full runs of a search of 100 trials.
ALLOCATION = allocate(CONFIRM_RUNS, finalists=FINALISTS, baselines=3, seeds=10)


@dataclass
class Objective:
    """Trials with known truth.

    Attributes:
        draw: (trial, n) -> n scores of fresh runs.
        mean: True mean by trial.
        middle: trial -> true interquartile mean.
    """

    draw: Callable[[int, int], np.ndarray]
    mean: np.ndarray
    middle: Callable[[int], float]


def normal(rng: np.random.Generator, trials: int) -> Objective:
    """Means from N(300, 50^2), and noise as large as their spread."""
    mean = rng.normal(300, 50, trials)
    return Objective(lambda i, n: rng.normal(mean[i], 50, n), mean, lambda i: float(mean[i]))


def bimodal(rng: np.random.Generator, trials: int) -> Objective:
    """A run solves the task (490 +- 15, cut at 500) with the trial's own probability, else it stays far below."""
    share, low = rng.beta(2, 3, trials), rng.uniform(100, 250, trials)

    def draw(i: int, n: int) -> np.ndarray:
        solved = np.minimum(500, rng.normal(490, 15, n))
        return np.where(rng.random(n) < share[i], solved, rng.normal(low[i], 60, n))

    def middle(i: int) -> float:
        return float(interquartile_mean(draw(i, 100_000)))

    # E min(500, N(490, 15)): 490 - 15 * (phi(c) - c * (1 - Phi(c))) with c = (500 - 490) / 15.
    c = 10 / 15
    tail = 0.5 * math.erfc(c / math.sqrt(2))
    capped = 490 - 15 * (math.exp(-(c**2) / 2) / math.sqrt(2 * math.pi) - c * tail)
    return Objective(draw, share * capped + (1 - share) * low, middle)


def noise(rng: np.random.Generator, trials: int) -> Objective:
    """All trials are equal."""
    return Objective(lambda i, n: rng.normal(300, 50, n), np.full(trials, 300.0), lambda i: 300.0)


OBJECTIVES = {"normal": normal, "bimodal": bimodal}


def choose(
    objective: Objective, finalists: list[int], rule: Callable = clearly_beaten
) -> tuple[int, dict[int, list[float]]]:
    """Train finalists as the confirm stage does; return (winner, select scores by finalist)."""
    results: dict[Job, float | None] = {}
    while True:
        state = select([str(i) for i in finalists], ALLOCATION, results, rule)
        if not state.wanted:
            break
        for job in state.wanted:
            results[job] = float(objective.draw(int(job.key), 1)[0])
    scores: dict[int, list[float]] = {i: [] for i in finalists}
    for job, score in sorted(results.items(), key=lambda item: item[0].replicate):
        scores[int(job.key)].append(score)
    return int(state.winner), scores


@dataclass(frozen=True)
class Study:
    """What one synthetic study came to.

    Attributes:
        gain: True mean of the winner minus that of the best of a longer search of equal cost.
        gain_over_seeds: The same against the best of a search with three seeds for each of a third of the trials.
        held: The verdict's interval holds the winner's true interquartile mean.
        shrinkage: Search score of the search's best minus its mean on its first select seeds.
        gap: The same with its true mean: how lucky it really was.
    """

    gain: float
    gain_over_seeds: float
    held: bool
    shrinkage: float
    gap: float


def study(make: Callable[..., Objective], repeat: int) -> Study:
    """Run one search of 165 trials; its first 100 are the search that is followed by select and verdict."""
    rng = seeding.stream(repeat, make.__name__)
    objective = make(rng, TRIALS + CONFIRM_RUNS)
    search = np.array([objective.draw(i, 1)[0] for i in range(TRIALS + CONFIRM_RUNS)])
    finalists = [int(i) for i in np.argsort(-search[:TRIALS])[:FINALISTS]]
    winner, scores = choose(objective, finalists)
    verdict = iqm_interval(objective.draw(winner, VERDICT_RUNS))
    truth, favourite = objective.middle(winner), finalists[0]
    if verdict.low is None or verdict.high is None:
        held = abs(verdict.value - truth) <= 2.5
    else:
        held = verdict.low <= truth <= verdict.high
    thrice = [objective.draw(i, 3).mean() for i in range((TRIALS + CONFIRM_RUNS) // 3)]
    return Study(
        float(objective.mean[winner] - objective.mean[int(search.argmax())]),
        float(objective.mean[winner] - objective.mean[int(np.argmax(thrice))]),
        held,
        float(search[favourite] - np.mean(scores[favourite][: ALLOCATION.first_seeds])),
        float(search[favourite] - objective.mean[favourite]),
    )


def share(flags: list[bool]) -> tuple[float, float]:
    """Return a share and the half-width of its normal 95 % interval."""
    p = float(np.mean(flags))
    return p, 1.96 * math.sqrt(p * (1 - p) / len(flags))


def compare_rules(repeats: int) -> None:
    """Print a table of levels at which a finalist is dropped."""
    print("| objective | dropped at level | regret | best finalist dropped | runs |\n|---|---|---:|---:|---:|")
    for name, make in OBJECTIVES.items():
        for level in (0.0, 0.025, LEVEL, 0.1, 0.2):
            regret, lost, runs = [], [], []
            for repeat in range(repeats):
                rng = seeding.stream(repeat, f"rules {name}")
                objective = make(rng, TRIALS)
                search = np.array([objective.draw(i, 1)[0] for i in range(TRIALS)])
                finalists = [int(i) for i in np.argsort(-search)[:FINALISTS]]
                best, gone = max(finalists, key=lambda i: objective.mean[i]), set()

                def beaten(scores, level=level, gone=gone):
                    found = clearly_beaten(scores, level)
                    gone |= found
                    return found

                winner, scores = choose(objective, finalists, beaten)
                regret.append(objective.mean[best] - objective.mean[winner])
                lost.append(str(best) in gone)
                runs.append(sum(len(s) for s in scores.values()))
            error = 1.96 * np.std(regret) / math.sqrt(repeats)
            print(
                f"| {name} | {level:g} | {np.mean(regret):.1f} +- {error:.1f} | {100 * np.mean(lost):.0f} % "
                f"| {np.mean(runs):.1f} |",
                flush=True,
            )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=500)
    parser.add_argument("--rules", action="store_true")
    options = parser.parse_args()
    started = time.perf_counter()
    if options.rules:
        compare_rules(options.repeats)
    else:
        for name, make in OBJECTIVES.items():
            found = [study(make, repeat) for repeat in range(options.repeats)]
            held = share([s.held for s in found])
            print(f"{name}: verdict interval holds the truth in {100 * held[0]:.1f} +- {100 * held[1]:.1f} %;")
            print("  the winner")
            for label, gain in (
                ("a longer search's best", [s.gain for s in found]),
                ("a search with three seeds per trial", [s.gain_over_seeds for s in found]),
            ):
                better, worse = share([g > 0 for g in gain]), share([g < 0 for g in gain])
                error = 1.96 * np.std(gain) / math.sqrt(len(gain))
                print(
                    f"  against {label}: better in {100 * better[0]:.1f} +- {100 * better[1]:.1f} %, worse in "
                    f"{100 * worse[0]:.1f} %, mean gain {np.mean(gain):+.1f} +- {error:.1f}"
                )
        found = [study(noise, repeat) for repeat in range(options.repeats)]
        shrinkage, gap = [s.shrinkage for s in found], [s.gap for s in found]
        error = 1.96 * np.std(np.subtract(shrinkage, gap)) / math.sqrt(len(found))
        print(
            f"pure noise: shrinkage {np.mean(shrinkage):.1f}, true gap {np.mean(gap):.1f}, difference "
            f"{np.mean(shrinkage) - np.mean(gap):+.1f} +- {error:.1f}"
        )
    print(f"({options.repeats} repeats, {time.perf_counter() - started:.0f} s)")


if __name__ == "__main__":
    main()
