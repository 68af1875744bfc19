"""Experience collected once: transitions of whole episodes, kept in a plain file."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tuner.envs.bare import BareEnv
from tuner.envs.encoders import Encoder
from tuner.errors import DivergedError, InputError
from tuner.named_pipes import refuse_named_pipe

Array = NDArray[Any]

#: From a network input [input_size] and the number of the transition to an action index.
Behavior = Callable[[Array, int], int]

TYPES = {
    "observations": np.float32, "actions": np.int64, "rewards": np.float64, "next_observations": np.float32,
    "terminated": np.bool_, "truncated": np.bool_,
}  # fmt: skip


@dataclass(frozen=True)
class OfflineData:
    """N transitions.

    Attributes:
        observations: Network inputs ``[N, input_size]``.
        actions: Action indices from 0, ``[N]``.
        rewards: ``[N]``.
        next_observations: ``[N, input_size]``.
        terminated: Whether nothing follows, ``[N]``.
        truncated: Whether a time limit cut the episode here, ``[N]``: its value goes on.
    """

    observations: Array
    actions: Array
    rewards: Array
    next_observations: Array
    terminated: Array
    truncated: Array

    def __post_init__(self) -> None:
        for name, dtype in TYPES.items():
            value = getattr(self, name)
            wide = name in ("observations", "next_observations")
            if value.dtype != dtype or value.ndim != (2 if wide else 1) or len(value) != len(self.observations):
                raise InputError(
                    f"offline data: {name} must be {np.dtype(dtype)} with {len(self.observations)} rows, "
                    f"got {value.dtype} {value.shape}."
                )
        if self.observations.shape != self.next_observations.shape:
            raise InputError("offline data: observations and next_observations differ in shape.")
        if len(self.actions) and self.actions.min() < 0:
            raise InputError("offline data: actions must be indices from 0.")

    def __len__(self) -> int:
        return len(self.actions)

    def joined(self, other: OfflineData) -> OfflineData:
        """Return both, one after the other."""
        return OfflineData(*(np.concatenate([getattr(self, f.name), getattr(other, f.name)]) for f in fields(self)))

    def save(self, path: Path) -> None:
        """Write an ``.npz``; a reader never sees half a file."""
        buffer = io.BytesIO()
        np.savez_compressed(buffer, **{f.name: getattr(self, f.name) for f in fields(self)})
        draft = path.with_name(f".{path.name}.part")
        draft.write_bytes(buffer.getvalue())
        draft.replace(path)

    @classmethod
    def load(cls, path: Path) -> OfflineData:
        """Read what :meth:`save` wrote. Nothing in the file is executed.

        Raises:
            InputError: It cannot be read, lacks an array, or shapes or types do not fit.
        """
        try:
            refuse_named_pipe(path)
            with np.load(path, allow_pickle=False) as arrays:
                return cls(*(arrays[name] for name in TYPES))
        except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
            raise InputError(f"{path} holds no offline data: {' '.join(str(error).split())}.") from error


def collect(env: BareEnv, encoder: Encoder, n: int, behavior: Behavior, seed: int) -> OfflineData:
    """Play ``n`` steps and keep them.

    Args:
        env: The environment, reset with ``seed`` first.
        encoder: Reads its observations.
        n: Transitions, >= 1; the last episode may be left unfinished.
        behavior: Chooses actions.
        seed: Of the first reset; later episodes go on with the environment's own generator.

    Raises:
        DivergedError: A reward or an observation is not finite; field and transition are named.
    """
    size = encoder.input_size
    seen, following = np.zeros((n, size), np.float32), np.zeros((n, size), np.float32)
    actions, rewards = np.zeros(n, np.int64), np.zeros(n)
    terminated, truncated = np.zeros(n, bool), np.zeros(n, bool)
    current = _input(encoder, env.reset(seed=seed))
    for i in range(n):
        seen[i], actions[i] = current, behavior(current, i)
        observation, rewards[i], terminated[i], truncated[i] = env.step(int(actions[i]))
        if not np.isfinite(rewards[i]):
            raise DivergedError(f"reward is not finite at transition {i + 1}")
        following[i] = current = _input(encoder, observation)
        if not np.isfinite(current).all():
            raise DivergedError(f"observation is not finite at transition {i + 1}")
        if terminated[i] or truncated[i]:
            current = _input(encoder, env.reset())
    return OfflineData(seen, actions, rewards, following, terminated, truncated)


def _input(encoder: Encoder, observation: Any) -> Array:
    found: Array = encoder.to_input(np.asarray(encoder.store(observation))[None])[0]
    return found
