"""An environment that any policy solves, ten steps with a reward of 1 each: with a threshold of 5, and without any."""

import gymnasium
import numpy as np


class Easy(gymnasium.Env):
    observation_space = gymnasium.spaces.Box(0.0, 1.0, (2,), np.float32)
    action_space = gymnasium.spaces.Discrete(2)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.left = 10
        return np.zeros(2, np.float32), {}

    def step(self, action):
        self.left -= 1
        return np.full(2, self.left / 10, np.float32), 1.0, self.left == 0, False, {}


class Tenths(Easy):
    """Ends with its first step: the mean of three rewards of 0.7 is a last digit below the threshold."""

    def step(self, action):
        return np.zeros(2, np.float32), 0.7, True, False, {}


gymnasium.register("Tenths-v0", entry_point=Tenths, max_episode_steps=20, reward_threshold=0.7)
gymnasium.register("Easy-v0", entry_point=Easy, max_episode_steps=20, reward_threshold=5.0)
gymnasium.register("Endless-v0", entry_point=Easy, max_episode_steps=20)
