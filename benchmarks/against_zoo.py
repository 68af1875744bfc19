"""Default commands against RL Zoo's tuned values: does what `tune` exports hold up on seeds that nothing has seen?

    python benchmarks/against_zoo.py [--environments CartPole-v1 Acrobot-v1 MountainCar-v0] [--studies 3] [--seeds 20]
                                     [--trials 100] [-o against_zoo.jsonl]

For each environment and study seed, `tune --env ID --trials 100 --seed S` runs as it stands, confirm stage included.
What it exports and RL Zoo's values then train natively on the same fresh seeds, both for RL Zoo's own number of steps,
and are evaluated ten times, 50 episodes each over the last third. Printed: the interquartile means of `late` over the
seeds, their difference with its 95 % interval, and whether its lower end is above -5 % of the return range.

Every finished run and study is a line of the output file: the same command carries on where it stopped.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
from dataclasses import dataclass
from pathlib import Path

from desk import Desk, judging

from tuner.contract.grid import evaluation_grid
from tuner.contract.objective import run_score
from tuner.contract.spec import EvaluationSpec
from tuner.core.statistics import iqm_difference, iqm_interval
from tuner.envs.make import inspect
from tuner.envs.spec import EnvSpec
from tuner.hyperparameters import from_mapping
from tuner.training.stack.trainer import NativeTrainer
from tuner.zoo.read import read_config
from tuner.zoo.tuned import zoo_values

#: RL Zoo's steps, and the return range (what the environment's rewards allow, as far as its time limit).
ENVIRONMENTS = {"CartPole-v1": (50_000, 500.0), "Acrobot-v1": (100_000, 500.0), "MountainCar-v0": (120_000, 200.0)}


@dataclass(frozen=True)
class Task:
    """Some seeds of one setting: what one process trains as one stack."""

    env: str
    name: str
    values: tuple[tuple[str, object], ...]
    seeds: tuple[int, ...]


def train(task: Task) -> list[dict]:
    """Train the seeds of a task and return a row for each."""
    steps, _ = ENVIRONMENTS[task.env]
    env = EnvSpec(task.env)
    hyperparameters = from_mapping("dqn", dict(task.values))
    cap = inspect(env, "dqn").eval_max_steps
    grid = evaluation_grid(steps, 10)

    evaluation = EvaluationSpec(10, 0, cap, late_episodes=50)
    desk = Desk(judging(task.seeds, env, hyperparameters, grid, evaluation))
    NativeTrainer(len(task.seeds)).train(desk)
    rows = []
    for run_id, points in desk.points.items():
        late = run_score("late", points) if run_id not in desk.failed else None
        rows.append(
            {
                "env": task.env,
                "name": task.name,
                "seed": run_id.trial,
                "late": late,
                "best": max((p.mean_return for p in points), default=None),
                "problem": desk.failed.get(run_id, ""),
            }
        )
    return rows  # fmt: skip


def search(env: str, seed: int, trials: int, workers: int) -> dict:
    """Run the default command and return what it exports, and what it promises of it."""
    import tuner
    from tuner.core.statistics import iqm_interval

    recipe = tuner.StudyRecipe(env=env, trials=trials, seed=seed, workers=workers)
    result = tuner.run(recipe)
    config = read_config(result.export, env)
    confirmation = result.data.confirmation
    verdict = iqm_interval(confirmation.scores(confirmation.winner, "verdict"))
    search_best = result.data.best
    return {
        "env": env, "study": seed, "trials": trials, "values": config.hyperparameters, "steps": config.n_timesteps,
        "trial": result.data.chosen.number, "search_best": [search_best.number, search_best.score],
        "verdict": [verdict.value, verdict.low, verdict.high],
    }  # fmt: skip


def main() -> None:
    """Search, train and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--environments", nargs="+", default=list(ENVIRONMENTS))
    parser.add_argument("--studies", type=int, default=3)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--trials", type=int, default=100)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("-o", "--output", type=Path, default=Path("against_zoo.jsonl"))
    options = parser.parse_args()
    output = options.output.resolve()
    rows = [json.loads(line) for line in output.read_text().splitlines()] if output.exists() else []

    def add(new: list[dict]) -> None:
        rows.extend(new)
        with output.open("a") as file:
            file.writelines(json.dumps(row) + "\n" for row in new)

    for env in options.environments:
        settings = {"RL Zoo": zoo_values(env)}
        for seed in range(options.studies):
            found = [r for r in rows if r["env"] == env and r.get("study") == seed and r["trials"] == options.trials]
            if not found:
                found = [search(env, seed, options.trials, options.workers)]
                add(found)
            settings[f"study {seed}"] = found[0]["values"]
        tasks = []
        for name, values in settings.items():
            there = {r["seed"] for r in rows if r["env"] == env and r.get("name") == name}
            missing = [s for s in range(options.seeds) if s not in there]
            plain = tuple((k, tuple(v) if isinstance(v, list) else v) for k, v in values.items())
            tasks += [Task(env, name, plain, tuple(missing[i::4])) for i in range(4) if missing[i::4]]
        with multiprocessing.get_context("spawn").Pool(min(options.workers, os.cpu_count() or 1)) as pool:
            for new in pool.imap_unordered(train, tasks):
                add(new)
        show(env, rows, list(settings), options.seeds)


def show(env: str, rows: list[dict], names: list[str], seeds: int) -> None:
    """Print one environment's rows of the table."""
    _, span = ENVIRONMENTS[env]
    mine = [r for r in rows if r["env"] == env and r.get("name") in names and r["seed"] < seeds]
    worst = min(r["late"] for r in mine if r["late"] is not None)
    scores = {n: [worst if r["late"] is None else r["late"] for r in mine if r["name"] == n] for n in names}
    for name in names:
        own = iqm_interval(scores[name])
        line = f"| {env} | {name} | {own.value:.1f} ({own.low or own.value:.1f} to {own.high or own.value:.1f}) |"
        if name != "RL Zoo":
            gap = iqm_difference(scores[name], scores["RL Zoo"])
            low = gap.value if gap.low is None else gap.low
            high = gap.value if gap.high is None else gap.high
            line += f" {gap.value:+.1f} ({low:+.1f} to {high:+.1f}) | {'holds' if low > -0.05 * span else 'FAILS'} |"
        print(line, flush=True)


if __name__ == "__main__":
    main()
