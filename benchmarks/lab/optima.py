"""Policies that earn the ceilings of the lab's environments, for those where one is known.

The lab's own worlds say their best action themselves. Toy text is solved by value iteration over its transitions,
CartPole, the hills and swing-up by textbook controllers.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import gymnasium
import numpy as np
from classic import Hill, SwingUp
from gymnasium.envs.classic_control.cartpole import CartPoleEnv
from gymnasium.envs.classic_control.mountain_car import MountainCarEnv

Policy = Callable[[Any], int]


def best_policy(env: gymnasium.Env) -> Policy | None:
    """Return a policy that earns an environment's ceiling, or comes close; None where none is known."""
    inner: Any = env.unwrapped
    if hasattr(inner, "best_action"):
        return lambda observation: int(inner.best_action())
    if hasattr(inner, "P"):
        actions = solved(inner.P)
        return lambda observation: int(actions[int(observation)])
    if isinstance(inner, CartPoleEnv):
        return lambda observation: balance(inner.state)
    if isinstance(inner, MountainCarEnv | Hill):
        return lambda observation: 2 if inner.state[1] >= 0 else 0
    if isinstance(inner, SwingUp):
        return lambda observation: swing(inner)
    if type(inner).__name__ == "BlackjackEnv":
        return basic_strategy
    return None


def solved(transitions: Any, gamma: float = 0.999, sweeps: int = 3_000) -> np.ndarray:
    """Return the greedy action of each state after value iteration over toy text's table of transitions."""
    states, actions = len(transitions), len(transitions[0])
    most = max(len(transitions[s][a]) for s in range(states) for a in range(actions))
    chance, reward = np.zeros((states, actions, most)), np.zeros((states, actions, most))
    after, ends = np.zeros((states, actions, most), int), np.zeros((states, actions, most))
    for s in range(states):
        for a in range(actions):
            for i, (p, s2, r, end) in enumerate(transitions[s][a]):
                chance[s, a, i], after[s, a, i], reward[s, a, i], ends[s, a, i] = p, s2, r, end
    value = np.zeros(states)
    for _ in range(sweeps):
        q = (chance * (reward + gamma * (1 - ends) * value[after])).sum(2)
        new = q.max(1)
        if np.abs(new - value).max() < 1e-9:
            break
        value = new
    return q.argmax(1)


def balance(state: Any) -> int:
    """Push to where the pole falls, the cart's place and speed weighed in."""
    x, speed, angle, turning = state
    return int(angle + 0.4 * turning + 0.02 * x + 0.06 * speed > 0)


def swing(env: SwingUp) -> int:
    """Pump energy until it suffices, then hold: swing-up by energy (Astrom and Furuta 2000)."""
    count = int(env.action_space.n)
    most, gravity = env._torques[-1], env._gravity
    angle = (env.angle + math.pi) % (2 * math.pi) - math.pi
    energy = env.speed**2 / 2 + 1.5 * gravity * (math.cos(angle) - 1)
    if abs(angle) < 0.35:
        torque = -(12.0 * angle + 2.5 * env.speed)
    else:
        torque = most * math.copysign(1.0, env.speed) * (1.0 if energy < 0 else -1.0)
    return int(np.clip(round((torque / most + 1) * (count - 1) / 2), 0, count - 1))


def basic_strategy(observation: Any) -> int:
    """Stick (0) or hit (1) as Thorp's basic strategy does (Sutton and Barto 2018, figure 5.2)."""
    total, dealer, soft = observation
    if soft:
        return int(total <= 17 or (total == 18 and dealer in (1, 9, 10)))
    if total >= 17:
        return 0
    if total <= 11:
        return 1
    if total == 12:
        return int(dealer not in (4, 5, 6))
    return int(dealer not in (2, 3, 4, 5, 6))
