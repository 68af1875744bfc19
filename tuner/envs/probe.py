"""Tiny environments whose Q-values are known exactly: a learner that misses them is wrong, and the probe says where.

| id | what it proves |
|---|---|
| ``tune/ProbeConstant-v0`` | the reward reaches the output |
| ``tune/ProbeObservation-v0`` | the observation matters |
| ``tune/ProbeAction-v0`` | the action matters, and reward goes to the action taken |
| ``tune/ProbeBoth-v0`` | both together |
| ``tune/ProbeDiscount-v0`` | value flows back one step, discounted |
| ``tune/ProbeTruncation-v0`` | a time limit does not cut the value off |
| ``tune/ProbeIdentity-v0`` | Discrete observations, long episodes, actions that need not start at 0 |
| ``tune/ProbeMemory-v0`` | what was seen a step before is there (with ``--frame-stack 2``, and never without) |
| ``tune/ProbeOverestimation-v0`` | the largest of several uncertain values is too large; double Q-learning less so |

``make`` registers them by itself when an id begins with ``tune/``.
"""

from __future__ import annotations

from typing import Any, ClassVar

import gymnasium
import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

Array = NDArray[Any]


class Probe(gymnasium.Env[Any, Any]):
    """What probes share: a few observations, two actions, known Q-values.

    Attributes:
        observations: All observations ``[n_obs, size]``, in the order of :meth:`q_values`.
    """

    metadata: dict[str, Any] = {"render_modes": []}  # noqa: RUF012  (Gymnasium's own declaration)
    observations: ClassVar[Array] = np.zeros((1, 1), np.float32)

    def __init__(self) -> None:
        self.observation_space = spaces.Box(-1.0, 1.0, (1,), np.float32)
        self.action_space = spaces.Discrete(2)
        self._state = 0

    def q_values(self, gamma: float) -> Array:
        """Return the optimal action values ``[n_obs, n_actions]``."""
        raise NotImplementedError

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Start an episode."""
        super().reset(seed=seed)
        self._state = self._first_state()
        return self._observe(), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Take an action; unless a probe says otherwise, the episode terminates."""
        return self._observe(), self._reward(int(action)), True, False, {}

    def _first_state(self) -> int:
        return int(self.np_random.integers(len(self.observations)))

    def _observe(self) -> Any:
        return self.observations[self._state].copy()

    def _reward(self, action: int) -> float:
        raise NotImplementedError


class ProbeConstant(Probe):
    """One observation, one step, reward 1 whatever is done: Q(s, a) = 1."""

    def q_values(self, gamma: float) -> Array:
        """Return ``[[1, 1]]``."""
        return np.array([[1.0, 1.0]])

    def _reward(self, action: int) -> float:
        return 1.0


class ProbeObservation(Probe):
    """One step, reward equal to the observation, -1 or 1: Q(s, a) = s."""

    observations: ClassVar[Array] = np.array([[-1.0], [1.0]], np.float32)

    def q_values(self, gamma: float) -> Array:
        """Return ``[[-1, -1], [1, 1]]``."""
        return np.array([[-1.0, -1.0], [1.0, 1.0]])

    def _reward(self, action: int) -> float:
        return float(self.observations[self._state, 0])


class ProbeAction(Probe):
    """One observation, one step, reward -1 for action 0 and 1 for action 1: Q(s, a) = 2 a - 1."""

    def q_values(self, gamma: float) -> Array:
        """Return ``[[-1, 1]]``."""
        return np.array([[-1.0, 1.0]])

    def _reward(self, action: int) -> float:
        return 2.0 * action - 1.0


class ProbeBoth(Probe):
    """One step, reward 1 when the action points where the observation does, else -1: Q(s, a) = s (2 a - 1)."""

    observations: ClassVar[Array] = np.array([[-1.0], [1.0]], np.float32)

    def q_values(self, gamma: float) -> Array:
        """Return ``[[1, -1], [-1, 1]]``."""
        return np.array([[1.0, -1.0], [-1.0, 1.0]])

    def _reward(self, action: int) -> float:
        return float(self.observations[self._state, 0]) * (2.0 * action - 1.0)


class ProbeDiscount(Probe):
    """Two steps from -1 to 1, reward 1 at the end only: Q(-1, a) = gamma, Q(1, a) = 1."""

    observations: ClassVar[Array] = np.array([[-1.0], [1.0]], np.float32)

    def q_values(self, gamma: float) -> Array:
        """Return ``[[gamma, gamma], [1, 1]]``."""
        return np.array([[gamma, gamma], [1.0, 1.0]])

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Go from the first observation to the second, then end with reward 1."""
        last = self._state == 1
        self._state = 1
        return self._observe(), float(last), last, False, {}

    def _first_state(self) -> int:
        return 0


class ProbeTruncation(Probe):
    """One observation, reward 1 for ever, never terminated: Q(s, a) = 1 / (1 - gamma).

    Its time limit (10 steps, registered) truncates. Whoever takes that for termination learns a smaller value.
    """

    def q_values(self, gamma: float) -> Array:
        """Return ``1 / (1 - gamma)`` for both actions; gamma < 1."""
        return np.full((1, 2), 1.0 / (1.0 - gamma))

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Stay, with reward 1."""
        return self._observe(), 1.0, False, False, {}


class ProbeIdentity(Probe):
    """Name the number that is shown: reward 1 when right, else 0; the next number is uniformly random.

    Truncated after 100 steps (registered). As the next state does not depend on the action,
    Q(s, a) = [a = s] + gamma / (1 - gamma).

    Args:
        n: Numbers and actions, >= 2.
        start: Smallest observation and smallest action.
    """

    def __init__(self, n: int = 4, start: int = 0) -> None:
        super().__init__()
        self._n, self._start = n, start
        self.observation_space = spaces.Discrete(n, start=start)
        self.action_space = spaces.Discrete(n, start=start)

    def q_values(self, gamma: float) -> Array:
        """Return ``eye(n) + gamma / (1 - gamma)``; gamma < 1. Rows and columns count from ``start``."""
        return np.eye(self._n) + gamma / (1.0 - gamma)

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Reward a right answer and show the next number."""
        if not self.action_space.contains(action):
            raise ValueError(f"action {action} is outside {self.action_space}.")
        reward = float(int(action) - self._start == self._state)
        self._state = self._first_state()
        return self._observe(), reward, False, False, {}

    def _first_state(self) -> int:
        return int(self.np_random.integers(self._n))

    def _observe(self) -> Any:
        return self._start + self._state


class ProbeMemory(Probe):
    """Two steps, each shows -1 or 1 at random; the last pays 1 when the action points where the first one did, else -1.

    Seen through its last two observations, :meth:`q_values` are its values: Q((0, s), a) = gamma and
    Q((s, t), a) = s (2 a - 1). Whoever sees one at a time can earn no more than 0 on average.
    """

    #: The first alone, and both together.
    observations: ClassVar[Array] = np.array([[0, -1], [0, 1], [-1, -1], [-1, 1], [1, -1], [1, 1]], np.float32)

    def __init__(self) -> None:
        super().__init__()
        self._first, self._shown = 0.0, np.zeros(1, np.float32)

    def q_values(self, gamma: float) -> Array:
        """Return ``[6, 2]``, of the last two observations."""
        first = self.observations[:, 0]
        return np.where(first[:, None] == 0, gamma, np.stack([-first, first], axis=1)).astype(np.float64)

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Show another observation, then end with the reward."""
        if self._first == 0.0:
            self._first = float(self._shown[0])
            self._shown = self._draw()
            return self._shown.copy(), 0.0, False, False, {}
        return self._shown.copy(), self._first * (2.0 * int(action) - 1.0), True, False, {}

    def _observe(self) -> Any:
        self._first, self._shown = 0.0, self._draw()
        return self._shown.copy()

    def _draw(self) -> Array:
        return np.array([self.np_random.choice((-1.0, 1.0))], np.float32)


class ProbeOverestimation(Probe):
    """Two steps from -1 to 1; the second pays noise of mean 0 whichever of many actions is taken: Q(s, a) = 0.

    Whoever takes the largest of several uncertain values for the value of the best action sees a reward in the noise
    (the maximisation bias: van Hasselt 2010; Sutton and Barto 2018, 6.7).

    Args:
        n: Actions, >= 2: the more, the larger the bias.
        noise: Standard deviation of the last reward.
    """

    observations: ClassVar[Array] = np.array([[-1.0], [1.0]], np.float32)

    def __init__(self, n: int = 8, noise: float = 1.0) -> None:
        super().__init__()
        self._n, self._noise = n, noise
        self.action_space = spaces.Discrete(n)

    def q_values(self, gamma: float) -> Array:
        """Return zeros ``[2, n]``."""
        return np.zeros((2, self._n))

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Go from the first observation to the second, then end with noise."""
        last = self._state == 1
        self._state = 1
        return self._observe(), float(self.np_random.normal(0.0, self._noise)) if last else 0.0, last, False, {}

    def _first_state(self) -> int:
        return 0


#: Id -> (class, time limit in steps).
PROBES: dict[str, tuple[type[Probe], int | None]] = {
    "tune/ProbeConstant-v0": (ProbeConstant, None),
    "tune/ProbeObservation-v0": (ProbeObservation, None),
    "tune/ProbeAction-v0": (ProbeAction, None),
    "tune/ProbeBoth-v0": (ProbeBoth, None),
    "tune/ProbeDiscount-v0": (ProbeDiscount, None),
    "tune/ProbeTruncation-v0": (ProbeTruncation, 10),
    "tune/ProbeIdentity-v0": (ProbeIdentity, 100),
}

#: Probes that a single observation does not tell apart.
HIDING_PROBES: dict[str, tuple[type[Probe], int | None]] = {
    "tune/ProbeMemory-v0": (ProbeMemory, None),
}

#: Probes with noise in their rewards: values are learned on average only.
NOISY_PROBES: dict[str, tuple[type[Probe], int | None]] = {
    "tune/ProbeOverestimation-v0": (ProbeOverestimation, None),
}


def register_probes() -> None:
    """Register every probe with Gymnasium; again does nothing."""
    for probe_id, (entry_point, limit) in (PROBES | HIDING_PROBES | NOISY_PROBES).items():
        if probe_id not in gymnasium.registry:
            gymnasium.register(
                probe_id,
                entry_point=f"{__name__}:{entry_point.__name__}",
                max_episode_steps=limit,
                nondeterministic=False,
            )
