"""What a member's range rests on: returns of uniformly random play and of a known policy, and the price of a step.

python benchmarks/lab/probe.py [--episodes 1000] [lab/Catch-v0 ...]
"""

from __future__ import annotations

import argparse
import time

import numpy as np
from environments import MEMBERS, MODULE, member
from optima import Policy, best_policy

from tuner.envs.make import make
from tuner.envs.spec import EnvSpec

#: Episodes are cut off here, as evaluations are.
CAP = 1_000


def play(env, policy: Policy, episodes: int, first_seed: int = 0) -> tuple[np.ndarray, int]:
    """Return the returns of some episodes, and the steps they took."""
    returns, steps = [], 0
    for i in range(episodes):
        observation, _ = env.reset(seed=first_seed + i)
        total = 0.0
        for _ in range(CAP):
            observation, reward, terminated, truncated, _ = env.step(policy(observation))
            total += float(reward)
            steps += 1
            if terminated or truncated:
                break
        returns.append(total)
    return np.array(returns), steps


def random_policy(env, seed: int = 0) -> Policy:
    """Return uniformly random play."""
    rng, space = np.random.default_rng(seed), env.action_space
    return lambda observation: int(space.start + rng.integers(space.n))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("ids", nargs="*")
    parser.add_argument("--episodes", type=int, default=1_000)
    options = parser.parse_args()
    chosen = [member(env_id) for env_id in options.ids] or MEMBERS
    print("| environment | floor | random play | ceiling | known policy | steps/s |\n|---|---:|---:|---:|---:|---:|")
    for m in chosen:
        env = make(EnvSpec(m.id, module=MODULE))
        started = time.process_time()
        found, steps = play(env, random_policy(env), options.episodes)
        rate = steps / (time.process_time() - started)
        cells = [f"{found.mean():.4g} +- {1.96 * found.std() / len(found) ** 0.5:.2g}", "none"]
        policy = best_policy(env)
        if policy is not None:
            found, _ = play(env, policy, options.episodes)
            cells[1] = f"{found.mean():.4g} +- {1.96 * found.std() / len(found) ** 0.5:.2g}"
        print(
            f"| {m.id} | {m.floor:g} | {cells[0]} | {m.ceiling:g} ({m.known}) | {cells[1]} | {rate:,.0f} |", flush=True
        )
        env.close()


if __name__ == "__main__":
    main()
