"""What trains the lanes of a stack: the seams between its networks, its memory and the arithmetic of gradient steps.

A variant of DQN that changes the loss or the head changes a gradient step (``update_numpy.py`` and its reference
``update_torch.py``); how minibatches come to it, and which lanes go together, is ``stepped.py``'s.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from tuner.agents.dqn.state import LearnerState
from tuner.envs.encoders import Encoder
from tuner.hyperparameters import DQNHyperparameters
from tuner.networks.heads import QHead
from tuner.replay.normalizer import LaneNormalizer
from tuner.replay.prioritized import LanePriorities
from tuner.replay.ring import Batch

Array = NDArray[Any]
NumericPath = Literal["numpy", "torch", "compiled"]


class TrainingCall(NamedTuple):
    """What a lane's training call saw.

    Attributes:
        loss: Mean loss over its gradient steps.
        q_value: Mean Q-value of the actions taken.
    """

    loss: float
    q_value: float


class Memory(Protocol):
    """Replay memory of K lanes, as packed rows or frames."""

    capacities: Array
    positions: Array
    sizes: Array

    @property
    def observation_size(self) -> int: ...  # noqa: D102
    @property
    def width(self) -> int: ...  # noqa: D102
    @property
    def dtype(self) -> np.dtype[Any]: ...  # noqa: D102

    def start(self, lane: int, capacity: int, rng: np.random.Generator) -> None:
        """Empty a lane for a new run."""
        ...

    def extend(self, lane: int, rows: Array, replaced: int = 0) -> None:
        """Store a stretch of transitions, of which the first replace the newest so far."""
        ...

    def uniforms(self, lane: int, count: int) -> Array:
        """Return ``count`` draws in [0, 1) from the lane's stream."""
        ...

    def unpack(self, rows: Any) -> Batch:
        """Return the parts of packed rows."""
        ...

    def blank(self, *shape: int) -> Array:
        """Return packed rows to be filled in."""
        ...

    def snapshot(self, lane: int) -> dict[str, Array]:
        """Return what a lane has become."""
        ...

    def restore(self, lane: int, saved: Mapping[str, Array]) -> None:
        """Go on from a snapshot."""
        ...


class Update(Protocol):
    """Training calls of lanes, in place on their state."""

    def learn(self, lanes: Sequence[int], runs: Sequence[DQNHyperparameters], clock: Array) -> dict[int, TrainingCall]:
        """Do one training call on each of some lanes.

        Args:
            lanes: Increasing lane numbers.
            runs: Hyperparameters of all lanes, by lane.
            clock: ``[K]`` environment steps that each lane has taken.

        Returns:
            By lane, what the call saw; nothing of a lane without gradient steps.
        """
        ...


class Parts(NamedTuple):
    """What an update works on."""

    state: LearnerState
    memory: Memory
    priorities: LanePriorities | None
    normalizer: LaneNormalizer
    encoder: Encoder
    head: QHead
    to_input: Callable[[Array], Array]
    """From stored observations, with a trailing 1, to network input; the same array where nothing needs doing."""

    def stored_is_input(self) -> bool:
        """Return whether networks see vectors as they are stored."""
        probe = np.zeros((1, self.memory.observation_size + 1), self.memory.dtype)
        return self.to_input(probe) is probe
