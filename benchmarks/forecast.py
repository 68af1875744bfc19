"""The forecast of ``tune --dry-run`` against the time that the same runs then take, in one process.

    python benchmarks/forecast.py [--repeats 3] [--environments CartPole-v1 Acrobot-v1 FrozenLake-v1] [--share 0.2]
                                  [--settings 16] [--space default] [--processor-time]

Each repeat forecasts a study (one worker, the space's own evaluations, runs of ``--share`` of its budget) and then
trains as many random settings of the space to the end, hardly two of one shape. Each stands for an equal share of the
space by computing: costs have a long tail, and the mean of sixteen settings drawn at will tells little.
Printed is the median of forecast / actual, with the lowest and the highest; the same of training and of evaluation
alone; and with the evaluation episodes' true mean length in the forecast's place, which tells the error of the assumed
length from the error of the timing. ``--processor-time`` takes both sides by the processor time of this process, for a
machine on which others compute.
"""

from __future__ import annotations

import argparse
import statistics
import time
from dataclasses import dataclass

ENVIRONMENTS = ("CartPole-v1", "Acrobot-v1", "FrozenLake-v1")


@dataclass(frozen=True)
class Pair:
    """One forecast and what happened: seconds, and the episodes' mean length as a share of their cap."""

    forecast_s: float
    training_s: float
    evaluation_s: float
    known_lengths_s: float
    actual_s: float
    actual_evaluation_s: float
    share: float

    def ratios(self) -> tuple[float, float, float, float]:
        """Return forecast / actual: of all, of training, of evaluation, of all with the true lengths."""
        return (
            self.forecast_s / self.actual_s,
            self.training_s / (self.actual_s - self.actual_evaluation_s),
            self.evaluation_s / self.actual_evaluation_s,
            self.known_lengths_s / self.actual_s,
        )


def pair(env: str, share: float, seed: int, count: int, space: str = "default") -> Pair:
    """Forecast a study of ``count`` runs, each ``share`` of the space's budget long, and train them."""
    from desk import Desk

    from tuner import seeding
    from tuner.contract.spec import RunId
    from tuner.plan.cost import episode_shares, forecast, time_runs, typical
    from tuner.plan.recipe import StudyRecipe
    from tuner.plan.resolve import plan_study
    from tuner.training.stack.trainer import NativeTrainer

    whole = plan_study(StudyRecipe(env=env, space=space))
    recipe = StudyRecipe(
        env=env, space=space, steps=round(whole.grid[-1] * share), executor="inline", trials=count, sampler="random"
    )  # TPE proposes cheaper ones
    plan = plan_study(recipe)
    forecast_s = forecast(plan).expected.wall_s(count)
    settings = spread(plan, count, seeding.stream(seed, "forecast"))
    specs = [plan.run_spec(RunId(i), setting, seed=100 * seed + i) for i, setting in enumerate(settings)]
    desk, started = Desk(specs, ends=("completed", "diverged")), time.perf_counter()
    NativeTrainer(1).train(desk)
    actual_s = time.perf_counter() - started
    assert not desk.failed
    points = [point for of_run in desk.points.values() for point in of_run]
    evaluating_s = sum(point.evaluation_s for point in points)
    length = statistics.mean(length for point in points for length in point.lengths) / plan.evaluation.max_steps
    specs = [plan.run_spec(RunId(i), setting, seed=i) for i, setting in enumerate(typical(plan))]
    costs = time_runs(plan, [(spec, 1) for spec in specs])
    _, expected, _ = episode_shares(plan)
    training_s, evaluation_s, known_s = (
        count * statistics.mean(seconds)
        for seconds in zip(
            *(
                (cost.training_s(spec), cost.evaluation_s(spec, expected), cost.seconds(spec, length))
                for cost, spec in zip(costs, specs, strict=True)
            ),
            strict=True,
        )
    )
    return Pair(forecast_s, training_s, evaluation_s, known_s, actual_s, evaluating_s, length)


def spread(plan, count: int, rng):
    """Return random settings, in random order: of each equal share of the space by computing one of its mean."""
    import numpy as np
    from landscape import Draw

    from tuner.plan.cost import work

    drawn = [plan.space.resolve(plan.space.sample(Draw(rng))) for _ in range(64 * count)]
    drawn.sort(key=lambda setting: work(plan, setting))
    costs = np.array([work(plan, setting) for setting in drawn]).reshape(count, 64)
    nearest = np.abs(costs - costs.mean(axis=1, keepdims=True)).argmin(axis=1)
    return [drawn[64 * share + int(nearest[share])] for share in rng.permutation(count)]


def main() -> None:
    """Measure and print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--environments", nargs="+", default=list(ENVIRONMENTS))
    parser.add_argument("--share", type=float, default=0.2, help="length of the runs, as a share of the space's budget")
    parser.add_argument("--settings", type=int, default=16)
    parser.add_argument("--space", default="default")
    parser.add_argument("--processor-time", action="store_true", help="instead of seconds")
    options = parser.parse_args()
    if options.processor_time:
        time.perf_counter = time.process_time
    print(
        "| environment | actual, s | episode length / cap | forecast / actual | training | evaluation | true lengths |"
    )
    print("|---|---:|---:|---|---|---|---|")
    for env in options.environments:
        pairs = [pair(env, options.share, repeat, options.settings, options.space) for repeat in range(options.repeats)]
        told = [
            f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
            for ratios in zip(*(p.ratios() for p in pairs), strict=True)
        ]
        actual_s, share = (
            statistics.median(side) for side in zip(*((p.actual_s, p.share) for p in pairs), strict=True)
        )
        print(f"| {env} | {actual_s:.2f} | {share:.2f} | {' | '.join(told)} |", flush=True)


if __name__ == "__main__":
    main()
