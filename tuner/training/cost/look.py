"""One look at an environment alone, for as long as it takes to tell whether it is a slow one."""

from __future__ import annotations

import time
from dataclasses import dataclass

from tuner.contract.spec import RunSpec
from tuner.envs.actions import Actions
from tuner.envs.bare import BareEnv
from tuner.seeding import stream

#: Seconds of stepping after which the end of an episode is no longer waited for.
LOOK_S = 3.0

#: Part of the time of stepping that a reset may have taken, for its share of a step to be nothing.
NOTHING = 0.1


@dataclass(frozen=True)
class Look:
    """What an environment's own parts take.

    Attributes:
        make_s: Seconds of making it.
        reset_s: Seconds of a reset.
        step_s: Seconds of a step, without resets.
        length: Steps of an episode of random play on average; infinite where none was over in time.
    """

    make_s: float
    reset_s: float
    step_s: float
    length: float

    @property
    def training_step_s(self) -> float:
        """Seconds of a step of training: its part of a reset included."""
        return self.step_s + self.reset_s / self.length


#: Of an environment that raises: its runs say more of that.
UNKNOWN = Look(0.0, 0.0, 0.0, float("inf"))


def look_at(spec: RunSpec, seconds: float) -> Look:
    """Make a run's environment, and act at random for so many seconds at least, or till an episode is over.

    How long episodes last is waited for where resets are slow alone, and not beyond :data:`LOOK_S`.
    """
    began = time.perf_counter()
    try:
        env = BareEnv.make(spec.env, training=True)
        try:
            return _look(env, spec.seed, seconds, time.perf_counter() - began)
        finally:
            env.close()
    except Exception:  # the environment's own code may raise anything
        return UNKNOWN


def _look(env: BareEnv, seed: int, seconds: float, make_s: float) -> Look:
    actions, draws = Actions(env.env.action_space), stream(seed, "timing")  # type: ignore[arg-type]
    resets: list[float] = []
    steps, stepping, whole, episodes = 0, 0.0, 0, 0

    def reset(seed: int | None) -> None:
        began = time.perf_counter()
        env.reset(seed=seed)
        resets.append(time.perf_counter() - began)

    reset(seed)
    while True:
        action, began = actions.draw(draws), time.perf_counter()
        _, _, terminated, truncated = env.step(action)
        stepping += time.perf_counter() - began
        steps += 1
        over = terminated or truncated
        if over:
            whole, episodes = steps, episodes + 1
        known = episodes > 0 or resets[0] <= NOTHING * stepping or stepping >= LOOK_S
        if stepping + sum(resets[1:]) >= seconds and known:
            length = whole / episodes if episodes else float("inf")
            return Look(make_s, sum(resets) / len(resets), stepping / steps, length)
        if over:
            reset(None)
