"""What an environment pays whoever acts at random: the least that learning has to beat. And how long its steps take."""

from __future__ import annotations

import math
import time
from pathlib import Path

from tuner.envs.actions import Actions
from tuner.envs.bare import BareEnv
from tuner.envs.make import RandomPlay
from tuner.envs.spec import EnvSpec
from tuner.seeding import stream

#: Episodes played at most, and seconds after which no further one begins.
EPISODES, SECONDS = 50, 2.0

#: Seconds that the first episode may take. One that is not over by then is left out.
PATIENCE_S = 10.0


def play_at_random(spec: EnvSpec, seed: int, max_steps: int) -> RandomPlay | None:
    """Play, as greedy policies are evaluated: the same first episodes, the same cap.

    Args:
        spec: The environment.
        seed: Episode i resets with ``seed + i``.
        max_steps: Cap on an episode's steps.

    Returns:
        None where the environment raises, or a return is no finite number: training says more of that.
    """
    try:
        env = BareEnv.make(spec)
        try:
            return _play(env, seed, max_steps)
        finally:
            env.close()
    except (Exception, SystemExit):  # the environment's own code may raise anything
        return None


def _play(env: BareEnv, seed: int, max_steps: int) -> RandomPlay | None:
    draws, actions = stream(seed, "random play"), Actions(env.env.action_space)  # type: ignore[arg-type]
    returns: list[float] = []
    whole = 0  # steps of the episodes that count
    steps, began, computing, delayed = 0, time.perf_counter(), time.process_time(), _delayed_s()

    def spent() -> float:
        return time.perf_counter() - began

    while len(returns) < EPISODES and spent() < SECONDS:
        env.reset(seed=seed + len(returns))
        total, over = 0.0, False
        for _ in range(max_steps):
            _, reward, terminated, truncated = env.step(actions.draw(draws))
            total, steps = total + reward, steps + 1
            over = terminated or truncated
            if over or spent() > PATIENCE_S:
                break
        if spent() > PATIENCE_S and not over:
            break
        returns.append(total)
        whole = steps
    if not all(map(math.isfinite, returns)) or not steps:
        return None
    length = whole / len(returns) if returns else 0.0
    taken = spent() - (_delayed_s() - delayed)
    return RandomPlay(tuple(returns), taken / steps, (time.process_time() - computing) / steps, length)


def _delayed_s() -> float:
    """Return the seconds in which this thread could have run and others did; 0 where the system does not say."""
    try:
        return int(Path("/proc/thread-self/schedstat").read_text(encoding="ascii").split()[1]) / 1e9
    except (OSError, IndexError, ValueError):
        return 0.0
