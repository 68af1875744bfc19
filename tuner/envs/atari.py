"""Atari games as deep Q-learning sees them (Mnih et al. 2015; Machado et al. 2018).

One wrapper over the emulator instead of a tower of them: frames that nobody looks at are never drawn. Frame by frame
it equals Stable-Baselines3's ``AtariWrapper`` with ``VecFrameStack(4)`` (tested).
"""

from __future__ import annotations

import base64
import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import gymnasium
import numpy as np
from numpy.typing import NDArray

from tuner.envs.frames import SIZE, STACK, FramesBox, FrameStack
from tuner.envs.resize import shrink, to_grey

Array = NDArray[Any]


@dataclass(frozen=True)
class AtariSettings:
    """What is done to the game before the agent sees it. Recorded with every study.

    Attributes:
        frame_skip: Frames an action is held for; the observation is the brighter of the last two, pixel by pixel.
        repeat_action_probability: The emulator's own chance to go on with the last action ("sticky actions").
        noop_max: An episode begins with 1 to this many frames of doing nothing.
        press_fire: Whether each life begins with FIRE, where the game has that button.
        stack: Frames of an observation.
        size: Height and width in pixels.
        training_ends_at_life_loss: While training, a lost life ends the episode; the game goes on with the next one.
        training_clips_rewards: While training, rewards count as -1, 0 or 1. Evaluation sums the game's own score.
        max_frames: Frames after which the emulator ends a game.
    """

    frame_skip: int = 4
    repeat_action_probability: float = 0.0
    noop_max: int = 30
    press_fire: bool = True
    stack: int = STACK
    size: int = SIZE
    training_ends_at_life_loss: bool = True
    training_clips_rewards: bool = True
    max_frames: int | None = 108_000

    def to_mapping(self) -> Mapping[str, Any]:
        """Return plain data."""
        return dataclasses.asdict(self)


class AtariGame(gymnasium.Wrapper[Any, Any, Any, Any]):
    """A game as stacks of grey frames.

    Args:
        env: The emulator's environment, whose own frame skip is 1.
        settings: What to do.
        training: Whether lost lives end episodes and rewards are clipped. In evaluation a new life begins as it does
            in training, within the same episode.
        max_steps: Actions after which a game is cut short, over all its lives; a new game follows. None: no such limit.
    """

    def __init__(
        self,
        env: gymnasium.Env[Any, Any],
        settings: AtariSettings,
        *,
        training: bool,
        max_steps: int | None = None,
    ) -> None:
        super().__init__(env)
        game: Any = env.unwrapped
        self.observation_space = FramesBox(settings.stack, settings.size, settings.size)
        self.settings, self.max_steps = settings, max_steps
        self._emulator, self._buttons = game.ale, game._action_set
        self._skip, self._training = settings.frame_skip, training
        meanings = game.get_action_meanings()
        self._fires = settings.press_fire and len(meanings) >= 3 and meanings[1] == "FIRE"
        self._stack = FrameStack(self.observation_space)
        height, width = self._emulator.getScreenDims()
        self._last_two: Array = np.zeros((2, height, width, 3), np.uint8)
        self._lives = 0
        self._steps = 0
        self._over = True

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Array, dict[str, Any]]:
        """Begin a game; in training, the next life of the game that is on."""
        if self._over or not self._training or seed is not None:
            self._new_game(seed)
        else:
            self._next_life(seed)
        self._press_fire(seed)
        return self._stack.begin(self._look()), {"lives": self._lives}

    def step(self, action: Any) -> tuple[Array, float, bool, bool, dict[str, Any]]:
        """Hold a button for ``frame_skip`` frames."""
        reward, terminated, truncated, life_lost = self._hold(int(action))
        show = self._stack.push
        if life_lost and self._training:
            terminated = True
        elif life_lost and not (terminated or truncated):
            reward += self._go_on()
            terminated, truncated = self._ending()
            show = self._stack.begin
        if self._training and self.settings.training_clips_rewards:
            reward = float(np.sign(reward))
        self._steps += 1
        if self._steps == self.max_steps:
            truncated = self._over = True
        return show(self._look()), reward, terminated, truncated, {"lives": self._lives}

    @property
    def goes_on(self) -> bool:
        """Whether the next reset goes on with the game: only a life was lost."""
        return self._training and not self._over

    def system_state(self) -> str:
        """Return the emulator's state with its random generator, as text."""
        return base64.b64encode(self._emulator.cloneState(include_rng=True).serialize()).decode()

    def restore_system_state(self, text: str) -> None:
        """Bring the emulator into a state; a new game is to follow."""
        import ale_py  # whoever has a game has it

        self._over = True
        self._emulator.restoreState(ale_py.ALEState(base64.b64decode(text)))

    def _new_game(self, seed: int | None) -> None:
        self.env.reset(seed=seed)
        game: Any = self.env.unwrapped
        if self.settings.noop_max:
            for _ in range(int(game.np_random.integers(1, self.settings.noop_max + 1))):
                self._emulator.act(self._buttons[0])
                if any(self._ending()):
                    self.env.reset(seed=seed)
        # A frame of which only the last of the two is known, as after a plain reset.
        self._draw(1)
        self._last_two[0] = self._last_two[1]
        self._lives, self._steps, self._over = self._emulator.lives(), 0, False

    def _next_life(self, seed: int | None) -> None:
        self._hold(0)
        if self._over:
            self._new_game(seed)
        self._lives = self._emulator.lives()

    def _go_on(self) -> float:
        """Begin the next life within an evaluation episode; return what the game has paid meanwhile."""
        reward = self._hold(0)[0]
        if self._fires and not self._over:
            reward += self._hold(1)[0]
            if not self._over:
                reward += self._hold(2)[0]
        return reward

    def _press_fire(self, seed: int | None) -> None:
        if self._fires:
            for action in (1, 2):
                _, terminated, truncated, life_lost = self._hold(action)
                if terminated or truncated:
                    self._new_game(seed)
                elif life_lost and self._training:
                    self._next_life(seed)

    def _hold(self, action: int) -> tuple[float, bool, bool, bool]:
        """Return (reward, terminated, truncated, whether a life was lost)."""
        act, button, reward = self._emulator.act, self._buttons[action], 0.0
        terminated = truncated = False
        for i in range(self._skip):
            reward += act(button)
            terminated, truncated = self._ending()
            if i >= self._skip - 2:
                self._draw(i - self._skip + 2)
            if terminated or truncated:
                break
        lives = self._emulator.lives()
        # Some games show 0 lives for a few frames before they are over (Q*bert).
        life_lost = 0 < lives < self._lives
        self._lives, self._over = lives, terminated or truncated
        return reward, terminated, truncated, life_lost

    def _ending(self) -> tuple[bool, bool]:
        return self._emulator.game_over(with_truncation=False), self._emulator.game_truncated()

    def _draw(self, which: int) -> None:
        self._emulator.getScreenRGB(self._last_two[which])

    def _look(self) -> Array:
        first, last = self._last_two
        brighter = last if self._skip == 1 else np.maximum(first, last)
        return shrink(to_grey(brighter), self.settings.size, self.settings.size)
