"""An environment whose images are small enough for a committed network: say on which half the bright pixel is."""

import gymnasium
import numpy as np


class BrightSide(gymnasium.Env):
    """Eight images of 8 x 8 bytes an episode; 1 for the half with the bright pixel (0: left), 0 for the other."""

    observation_space = gymnasium.spaces.Box(0, 255, (8, 8, 1), np.uint8)
    action_space = gymnasium.spaces.Discrete(2)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self._left = 8
        return self._image(), {}

    def step(self, action):
        reward = float(int(action) == self._column // 4)
        self._left -= 1
        return self._image(), reward, self._left == 0, False, {}

    def _image(self):
        row, self._column = self.np_random.integers(0, 8, 2)
        image = np.zeros((8, 8, 1), np.uint8)
        image[row, self._column] = 255
        return image


gymnasium.register("BrightSide-v0", BrightSide)
