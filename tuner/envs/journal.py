"""What a training environment went through, so that another one can be brought to the same place.

An environment cannot be stored: its state may lie in compiled code. It can be led there again: its generators are set
to what they were before a reset, and the actions since then are repeated. Whether that has led to the same place is
checked: every observation and reward on the way, the generators at every reset, and those at the end.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import gymnasium
import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from tuner.core.generators import generators_in, set_state, state_of
from tuner.envs.atari import AtariGame
from tuner.envs.bare import BareEnv

Array = NDArray[Any]

#: Episodes that are repeated: with one alone, a random draw that nothing has shown yet would go unnoticed.
EPISODES = 2

#: Numbers of an observation that are compared.
MARKS = 16


class _Stretch(NamedTuple):
    """Some steps in order: their actions, whether each ended an episode, and what came of them."""

    actions: Array
    ends: Array
    marks: Array
    rewards: Array


class Journal:
    """The last episodes of one training environment.

    Args:
        env: The environment, after its first reset. Later resets give no seed.
    """

    def __init__(self, env: BareEnv) -> None:
        self._env = env
        #: Whether actions are numbers of a Discrete space, which memories hold in floating point.
        self._indices = isinstance(env.env.action_space, spaces.Discrete)
        self._generators = generators_in(env.env)
        self._game = _game(env.env)
        self._stretches: deque[_Stretch] = deque()
        self._steps = 0
        #: Steps before the first stretch that is kept.
        self._forgotten = 0
        #: (step, states before the reset there) of resets that began anew, oldest first; None stands for the first one.
        self._starts: list[tuple[int, str | None]] = [(0, None)]
        #: Likewise, of resets in the stretch that is being collected; "" where a game only went on.
        self._before: list[str] = []

    def before_reset(self) -> str:
        """Note the generators; called before each reset that follows an episode's end."""
        goes_on = self._game is not None and self._game.goes_on
        self._before.append("" if goes_on else self._states())
        return self._before[-1]

    def add(self, actions: Array, ends: Array, next_observations: Array, rewards: Array) -> None:
        """Note a stretch of steps, of which ``before_reset`` has seen the ends.

        Args:
            actions: ``[T]`` action indices, or continuous actions ``[T, *shape of one]``.
            ends: ``[T]`` whether the episode ended.
            next_observations: ``[T, size]`` as stored.
            rewards: ``[T]``.
        """
        marks = next_observations[:, :: _every(next_observations.shape[1])]
        actions = actions.astype(np.int32) if self._indices else actions.copy()
        self._note(_Stretch(actions, ends.copy(), marks.copy(), rewards.copy()))

    def snapshot(self) -> dict[str, Array]:
        """Return what :meth:`repeat` needs."""
        first = self._starts[0][0]
        if self._stretches:
            kept = _Stretch(*(np.concatenate(parts) for parts in zip(*self._stretches, strict=True)))
        else:
            kept = _Stretch(np.zeros(0, np.int32), np.zeros(0, bool), np.zeros((0, 1)), np.zeros(0))
        skipped = first - self._forgotten
        starts = {str(step - first): states for step, states in self._starts}
        return {
            **{name: part[skipped:] for name, part in kept._asdict().items()},
            "starts": np.array(json.dumps(starts)),
            "now": np.array(self._states()),
        }

    def repeat(self, saved: Mapping[str, Array], first: Array, store: Callable[[Any], Array]) -> Array | None:
        """Lead this journal's environment, fresh after its first reset, to where another one was.

        Args:
            saved: The other's :meth:`snapshot`.
            first: What the first reset returned, as stored, flat.
            store: From an observation to the numbers that are stored.

        Returns:
            The stored observation that comes next, flat, or None where anything differs on the way.
        """

        def stored(observation: Any) -> Array:
            return np.asarray(store(observation)).reshape(-1)

        starts = json.loads(str(saved["starts"]))
        actions, ends, marks, rewards = (saved[name] for name in _Stretch._fields)
        current = first
        if starts["0"] is not None:
            self._set_states(starts["0"])
            self._starts = [(0, starts["0"])]
            current = stored(self._env.reset())
        every = _every(current.size)
        for i, action in enumerate(actions.tolist() if self._indices else actions):
            observation, reward, terminated, truncated = self._env.step(action)
            current = stored(observation)
            mark = current[::every].astype(marks.dtype)
            same = np.array_equal(mark, marks[i]) and rewards.dtype.type(reward) == rewards[i]
            if not same or (terminated or truncated) != bool(ends[i]):
                return None
            if ends[i]:
                if starts.get(str(i + 1), "") not in ("", self.before_reset()):
                    return None
                current = stored(self._env.reset())
        self._note(_Stretch(actions, ends.astype(bool), marks, rewards))
        return current if self._states() == str(saved["now"]) else None

    def _note(self, stretch: _Stretch) -> None:
        for at, states in zip(np.flatnonzero(stretch.ends).tolist(), self._before, strict=True):
            if states:
                self._starts.append((self._steps + at + 1, states))
        self._before.clear()
        self._stretches.append(stretch)
        self._steps += len(stretch.actions)
        del self._starts[:-EPISODES]
        while self._stretches and self._forgotten + len(self._stretches[0].actions) <= self._starts[0][0]:
            self._forgotten += len(self._stretches.popleft().actions)

    def _states(self) -> str:
        game = "" if self._game is None else self._game.system_state()
        return json.dumps([*map(state_of, self._generators), game])

    def _set_states(self, text: str) -> None:
        *states, game = json.loads(text)
        for generator, state in zip(self._generators, states, strict=True):
            set_state(generator, state)
        if self._game is not None:
            self._game.restore_system_state(game)


def _every(size: int) -> int:
    return max(1, size // MARKS)


def _game(env: gymnasium.Env[Any, Any]) -> AtariGame | None:
    """Return the wrapper of an Atari game, which goes on over lost lives."""
    here: Any = env
    while isinstance(here, gymnasium.Wrapper):
        if isinstance(here, AtariGame):
            return here
        here = here.env
    return None
