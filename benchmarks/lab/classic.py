"""Classic control with other physics: lengths, masses, gravity, forces, limits; and discretised swing-up.

The equations of motion are Gymnasium's. Acrobot and Pendulum step with Python's own floats here, which takes a tenth
of the time of NumPy on six numbers; a test holds them to Gymnasium's trajectories.
"""

from __future__ import annotations

import math
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from gymnasium.envs.classic_control.acrobot import AcrobotEnv
from gymnasium.envs.classic_control.cartpole import CartPoleEnv
from gymnasium.envs.classic_control.mountain_car import MountainCarEnv


class Pole(CartPoleEnv):
    """CartPole with other physics.

    Args:
        length: Half the pole's length in metres.
        masscart: Mass of the cart in kg.
        masspole: Mass of the pole in kg.
        gravity: In m/s^2.
        force_mag: Push of an action in newtons.
    """

    def __init__(self, *, length=0.5, masscart=1.0, masspole=0.1, gravity=9.8, force_mag=10.0, render_mode=None):
        super().__init__(render_mode=render_mode)
        self.length, self.masscart, self.masspole = length, masscart, masspole
        self.gravity, self.force_mag = gravity, force_mag
        self.total_mass, self.polemass_length = masscart + masspole, masspole * length


class Hill(MountainCarEnv):
    """MountainCar with another engine and another weight.

    Args:
        force: Speed that an action adds in a step.
        gravity: Speed that the slope takes in a step, at most.
    """

    def __init__(self, *, force=0.001, gravity=0.0025, render_mode=None):
        super().__init__(render_mode=render_mode)
        self.force, self.gravity = force, gravity


class DoublePendulum(AcrobotEnv):
    """Acrobot with other links, in Python's floats.

    Args:
        first_length: Length of the first link in metres; its centre of mass is in its middle.
        second_mass: Mass of the second link in kg; the first has 1 kg.
        torque: Torque of an action in newton metres.
    """

    def __init__(self, *, first_length=1.0, second_mass=1.0, torque=1.0, render_mode=None):
        super().__init__(render_mode=render_mode)
        l1, m2, lc1, lc2, g = first_length, second_mass, first_length / 2, 0.5, 9.8
        self._torque = torque
        # d1 = a + 2 b cos(angle 2), d2 = c + b cos(angle 2); both moments of inertia are 1.
        self._a, self._b, self._c = lc1**2 + m2 * (l1**2 + lc2**2) + 2.0, m2 * l1 * lc2, m2 * lc2**2 + 1.0
        self._g1, self._g2 = (lc1 + m2 * l1) * g, m2 * lc2 * g

    def step(self, action: Any):
        """One Runge-Kutta step of 0.2 s; the reward is -1 until the tip is above the bar."""
        h, torque, slope = self.dt, self._torque * (int(action) - 1), self._slope
        a1, a2, v1, v2 = self.state
        d = h / 2
        p1, p2 = slope(a1, a2, v1, v2, torque)
        w1, w2 = v1 + d * p1, v2 + d * p2
        q1, q2 = slope(a1 + d * v1, a2 + d * v2, w1, w2, torque)
        x1, x2 = v1 + d * q1, v2 + d * q2
        r1, r2 = slope(a1 + d * w1, a2 + d * w2, x1, x2, torque)
        y1, y2 = v1 + h * r1, v2 + h * r2
        s1, s2 = slope(a1 + h * x1, a2 + h * x2, y1, y2, torque)
        a1 = _wrapped(a1 + h / 6 * (v1 + 2 * w1 + 2 * x1 + y1))
        a2 = _wrapped(a2 + h / 6 * (v2 + 2 * w2 + 2 * x2 + y2))
        v1 = min(max(v1 + h / 6 * (p1 + 2 * q1 + 2 * r1 + s1), -self.MAX_VEL_1), self.MAX_VEL_1)
        v2 = min(max(v2 + h / 6 * (p2 + 2 * q2 + 2 * r2 + s2), -self.MAX_VEL_2), self.MAX_VEL_2)
        self.state = (a1, a2, v1, v2)
        up = -math.cos(a1) - math.cos(a2 + a1) > 1.0
        return self._observation(), 0.0 if up else -1.0, up, False, {}

    def reset(self, *, seed=None, options=None):
        """Hang down, nearly at rest."""
        super().reset(seed=seed, options=options)
        self.state = tuple(self.state.tolist())
        return self._observation(), {}

    def _observation(self) -> np.ndarray:
        a1, a2, v1, v2 = self.state
        return np.array((math.cos(a1), math.sin(a1), math.cos(a2), math.sin(a2), v1, v2), np.float32)

    def _slope(self, a1: float, a2: float, v1: float, v2: float, torque: float) -> tuple[float, float]:
        """Return both angular accelerations, as in Sutton and Barto's book."""
        b, s2 = self._b, math.sin(a2)
        bc = b * math.cos(a2)
        d1, d2 = self._a + 2 * bc, self._c + bc
        phi2 = self._g2 * math.sin(a1 + a2)
        phi1 = -b * s2 * v2 * (v2 + 2 * v1) + self._g1 * math.sin(a1) + phi2
        v2_dot = (torque + d2 / d1 * phi1 - b * v1 * v1 * s2 - phi2) / (self._c - d2 * d2 / d1)
        return -(d2 * v2_dot + phi1) / d1, v2_dot


def _wrapped(angle: float) -> float:
    """Return an angle in [-pi, pi]."""
    while angle > math.pi:
        angle -= 2 * math.pi
    while angle < -math.pi:
        angle += 2 * math.pi
    return angle


class SwingUp(gymnasium.Env):
    """Pendulum-v1 with a few torques to choose from, in Python's floats.

    Args:
        torques: Actions, evenly spaced from -``most`` to ``most`` newton metres; odd, >= 3.
        most: Largest torque.
        gravity: In m/s^2.
    """

    metadata = {"render_modes": []}  # noqa: RUF012  (Gymnasium's own declaration)

    def __init__(self, *, torques: int = 3, most: float = 2.0, gravity: float = 10.0) -> None:
        high = np.array([1.0, 1.0, 8.0], np.float32)
        self.observation_space = spaces.Box(-high, high, dtype=np.float32)
        self.action_space = spaces.Discrete(torques)
        self._torques = [most * (2 * i / (torques - 1) - 1) for i in range(torques)]
        self._gravity = gravity
        self.angle = self.speed = 0.0

    def reset(self, *, seed=None, options=None):
        """Any angle, a speed in [-1, 1]."""
        super().reset(seed=seed)
        self.angle, self.speed = (float(x) for x in self.np_random.uniform((-math.pi, -1.0), (math.pi, 1.0)))
        return self._observation(), {}

    def step(self, action: Any):
        """One step of 0.05 s; the reward is minus the cost of angle, speed and torque."""
        torque = self._torques[int(action)]
        angle = (self.angle + math.pi) % (2 * math.pi) - math.pi
        cost = angle**2 + 0.1 * self.speed**2 + 0.001 * torque**2
        speed = self.speed + (1.5 * self._gravity * math.sin(self.angle) + 3.0 * torque) * 0.05
        self.speed = min(max(speed, -8.0), 8.0)
        self.angle += self.speed * 0.05
        return self._observation(), -cost, False, False, {}

    def _observation(self) -> np.ndarray:
        return np.array((math.cos(self.angle), math.sin(self.angle), self.speed), np.float32)
