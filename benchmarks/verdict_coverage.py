"""How often the verdict's nominal 95 % interval holds the true score, where episodes are left to chance.

    python benchmarks/verdict_coverage.py [--pool 200] [--verdicts 1000] [--environments ENV ...] [--cache DIR]

For each environment a pool of runs of one setting is trained (tabular Q-learning, ten evaluations). The true score of
a run is the mean of its policies' exact returns at the late grid points, by dynamic programming over the environment's
own transitions within the cap on steps; the truth of a verdict is the interquartile mean over the pool. A verdict draws
its runs from the pool, with replacement, and plays the late evaluations of each: 50 episodes at the episode seeds of
versions 1 and 2 of the rule `evaluation_seeds`, for a study seed of its own. Its interval is `iqm_interval`.

Episodes are played by table, one uniform number per reset and step, as Gymnasium's toy environments draw them; the
first ones of every run of the pool are compared with what its own evaluations returned. Printed for each number of
seeds: how many of the intervals hold the truth, with the exact 95 % interval of that share; the standard deviation of
the score; the mean width. The pool is kept in the folder of ``--cache``.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
import time
from pathlib import Path
from typing import NamedTuple

import gymnasium
import numpy as np
from gymnasium.utils.seeding import np_random

from tuner.contract.grid import evaluation_grid, late_points
from tuner.contract.rules import CURRENT, VERSION_0_1_0, Rules
from tuner.contract.spec import EvaluationSpec, RunId, RunSpec
from tuner.core.dynamic_programming import Model, policy_return
from tuner.core.statistics import interquartile_mean, iqm_interval, share_interval
from tuner.envs.spec import EnvSpec
from tuner.hyperparameters import QLearningHyperparameters
from tuner.seeding import evaluation_seed, run_seed, stream
from tuner.training.lone.tabular import TabularRun

#: Environment -> (steps of a run, cap on an episode's steps).
ENVIRONMENTS = {
    "FrozenLake-v1": (40_000, 100),  # slips
    "CliffWalkingSlippery-v1": (20_000, 200),  # slips
    "Taxi-v4": (30_000, 200),  # starts anywhere
    "FrozenLake8x8-v1": (60_000, 200),  # slips
}

#: Evaluations of a run, and episodes of each late one, as in the confirm stage.
EVALUATIONS, EPISODES = 10, 50

#: Episodes of each evaluation while the pool trains, which learning does not depend on: those that are compared.
COMPARED = 2

#: Late grid points.
LATE = late_points(EVALUATIONS)

#: Seeds of a verdict.
SIZES = (5, 10)

#: Source of the pool's seeds.
SOURCE = 24_681


class World(NamedTuple):
    """Transitions as arrays: cumulated chances, successors, rewards and ends, [S, A, outcomes] each; starts [S]."""

    chances: np.ndarray
    successors: np.ndarray
    rewards: np.ndarray
    ends: np.ndarray
    starts: np.ndarray


def world_of(env: str) -> tuple[World, Model]:
    """Return an environment's transitions, as they are played and as they are solved."""
    made = gymnasium.make(env)
    table, starts = made.unwrapped.P, np.asarray(made.unwrapped.initial_state_distrib)
    made.close()
    most = max(len(outcomes) for actions in table.values() for outcomes in actions.values())
    arrays = np.zeros((4, len(table), len(table[0]), most))
    for s, actions in table.items():
        for a, outcomes in actions.items():
            rows = np.array(outcomes, dtype=float)  # [outcomes, (chance, successor, reward, end)]
            rows[:, 0] = np.cumsum(rows[:, 0])
            arrays[:, s, a, : len(rows)] = rows.T
            arrays[0, s, a, len(rows) :] = 2.0  # never drawn
    chances, successors, rewards, ends = arrays
    return World(chances, successors.astype(int), rewards, ends > 0, np.cumsum(starts)), Model.of(table)


def play(world: World, policies: np.ndarray, seeds: np.ndarray, cap: int) -> np.ndarray:
    """Return the return of each episode, [n].

    Args:
        world: The environment.
        policies: The action of each episode in each state, [n, S].
        seeds: What each episode resets with, [n].
        cap: Steps of an episode, at most.
    """
    distinct, which = np.unique(seeds, return_inverse=True)
    drawn = np.array([np_random(int(seed))[0].random(cap + 1) for seed in distinct])  # [distinct, cap + 1]
    going = np.arange(len(seeds))
    states = (world.starts > drawn[which, :1]).argmax(axis=1)
    returns = np.zeros(len(seeds))
    for step in range(1, cap + 1):
        actions = policies[going, states]
        outcome = (world.chances[states, actions] > drawn[which[going], step, None]).argmax(axis=1)
        returns[going] += world.rewards[states, actions, outcome]
        on = ~world.ends[states, actions, outcome]
        states, going = world.successors[states, actions, outcome][on], going[on]
        if not going.size:
            break
    return returns


def spec_of(env: str, study: int, replicate: int, rules: Rules) -> RunSpec:
    """Return the run of a verdict: the seeds of its evaluations are what counts."""
    steps, cap = ENVIRONMENTS[env]
    first = evaluation_seed(study, "verdict", rules.evaluation_seeds, replicate)
    return RunSpec(
        RunId(replicate), EnvSpec(env), "native", QLearningHyperparameters(),
        run_seed(study, "verdict", 0, replicate), evaluation_grid(steps, EVALUATIONS),
        EvaluationSpec(1, first, cap, late_episodes=COMPARED), rules=rules,
    )  # fmt: skip


def late_seeds(spec: RunSpec, episodes: int = EPISODES) -> np.ndarray:
    """Return the seeds of the late evaluations' episodes, [LATE, episodes]."""
    firsts = np.array([spec.evaluation_seed_at(step) for step in spec.grid[-LATE:]])
    return firsts[:, None] + np.arange(episodes)


def train(env: str, runs: int, world: World, cache: Path | None) -> np.ndarray:
    """Return the greedy action of each run at each late grid point in each state, [runs, LATE, S]."""
    steps, cap = ENVIRONMENTS[env]
    kept = cache / f"{env}-{steps}.npy" if cache else None
    pool = list(np.load(kept)[:runs]) if kept and kept.exists() else []
    for replicate in range(len(pool), runs):
        spec = spec_of(env, SOURCE, replicate, CURRENT)
        run, policies, returns = TabularRun(spec, None), [], []
        for point in run.points(time.perf_counter()):
            policies.append(run.policy().arrays()["table"].argmax(axis=1))
            returns.append(point.returns)
        run.close()
        seeds, late = late_seeds(spec, COMPARED), np.array(policies[-LATE:])
        played = play(world, late.repeat(COMPARED, axis=0), seeds.ravel(), cap).reshape(seeds.shape)
        np.testing.assert_allclose(played, returns[-LATE:], err_msg=f"{env}: the table plays other episodes")
        pool.append(late.astype(np.int8))
    if kept:
        kept.parent.mkdir(parents=True, exist_ok=True)
        np.save(kept, np.array(pool))
    return np.array(pool)


def main() -> None:
    """Train pools, draw verdicts, print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--environments", nargs="+", choices=ENVIRONMENTS, default=list(ENVIRONMENTS))
    parser.add_argument("--pool", type=int, default=200)
    parser.add_argument("--verdicts", type=int, default=1000)
    parser.add_argument("--cache", type=Path)
    options = parser.parse_args()
    print("| environment | seeds | episode seeds | truth held | of the score: standard deviation | mean width |")
    print("|---|---:|---|---|---:|---:|")
    for env in options.environments:
        _, cap = ENVIRONMENTS[env]
        world, model = world_of(env)
        pool = train(env, options.pool, world, options.cache)
        start = np.diff(world.starts, prepend=0.0)
        exact = [np.mean([start @ policy_return(model, p, cap) for p in policies]) for policies in pool]
        truth = interquartile_mean(exact)
        scores: dict[int, list[np.ndarray]] = {1: [], 2: []}
        draw = stream(SOURCE, env)
        for study in range(options.verdicts):
            chosen = pool[draw.integers(0, len(pool), max(SIZES))]  # [runs, LATE, S]
            for rules in (VERSION_0_1_0, dataclasses.replace(VERSION_0_1_0, evaluation_seeds=2)):
                seeds = np.array([late_seeds(spec_of(env, study, r, rules)) for r in range(len(chosen))])
                policies = chosen.reshape(-1, chosen.shape[-1]).repeat(EPISODES, axis=0)
                returns = play(world, policies, seeds.ravel(), cap).reshape(len(chosen), -1)
                scores[rules.evaluation_seeds].append(returns.mean(axis=1))
        for size in SIZES:
            for version, samples in scores.items():
                found = [iqm_interval(sample[:size]) for sample in samples]
                # Without any spread there is no interval: its one value must be the truth.
                ends = [(e.value, e.value) if e.low is None or e.high is None else (e.low, e.high) for e in found]
                held = sum(low <= truth <= high for low, high in ends)
                low, high = share_interval(held, len(found))
                spread, width = np.std([e.value for e in found]), np.mean([high - low for low, high in ends])
                print(
                    f"| {env} | {size} | version {version} | {held / len(found):.1%} ({low:.1%} to {high:.1%}) "
                    f"| {spread:.4g} | {width:.4g} |",
                    flush=True,
                )
    print(f"{time.process_time():.0f} s of processor time", file=sys.stderr)


if __name__ == "__main__":
    main()
