"""How an observation is kept in replay memory, and how it becomes network input.

One encoder per kind of observation space. Users see storage shape, storage type and input size only, so another kind
(Dict, Tuple, MultiDiscrete, images) is another class here and nothing elsewhere.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from tuner.errors import UnusableEnvironmentError

Array = NDArray[Any]

#: Largest input vector; beyond it an observation is an image in disguise.
MAX_INPUT_SIZE = 10_000


class Encoder(Protocol):
    """From observation to storage form (once per step) and from there to network input (once per use).

    Attributes:
        storage_shape: Shape of one stored observation; ``()`` for a number.
        storage_dtype: Its natural type. Floating-point memory holds it exactly as well.
        input_size: Length of the network's input vector.
    """

    @property
    def storage_shape(self) -> tuple[int, ...]: ...  # noqa: D102
    @property
    def storage_dtype(self) -> np.dtype[Any]: ...  # noqa: D102
    @property
    def input_size(self) -> int: ...  # noqa: D102

    def store(self, observation: Any) -> Any:
        """Return one observation in storage form.

        The result may share memory with ``observation``: copy it (assign it into an array) before the next step.
        """
        ...

    def to_input(self, stored: Array, out: Array | None = None) -> Array:
        """Return network input for stored observations.

        Args:
            stored: ``[..., *storage_shape]``, of the storage type or any floating-point type.
            out: ``[..., input_size]``, overwritten and returned; its type decides the precision.

        Returns:
            ``[..., input_size]``, float32 unless ``out`` says otherwise; ``stored`` itself where nothing needs doing.
        """
        ...


@dataclass(frozen=True)
class BoxEncoder:
    """A Box of any rank as a flat float32 vector, as Stable-Baselines3's ``preprocess_obs`` and ``flatten`` do.

    Attributes:
        input_size: Numbers in the Box.
    """

    input_size: int

    @property
    def storage_shape(self) -> tuple[int, ...]:
        """``(input_size,)``."""
        return (self.input_size,)

    @property
    def storage_dtype(self) -> np.dtype[Any]:
        """float32: what the network sees, so nothing is lost by storing it."""
        return np.dtype(np.float32)

    def store(self, observation: Any) -> Any:
        """Return ``[input_size]`` float32; no copy where the observation is that already."""
        return np.asarray(observation, np.float32).reshape(-1)

    def to_input(self, stored: Array, out: Array | None = None) -> Array:
        """Return ``stored`` itself when it is float32 and ``out`` is not given."""
        if out is None:
            return stored.astype(np.float32, copy=False)
        out[...] = stored
        return out


@dataclass(frozen=True)
class DiscreteEncoder:
    """A number in ``[start, start + n)``: kept as an index from 0, shown one-hot (Stable-Baselines3 does the same).

    Attributes:
        n: Number of values.
        start: Smallest value.
    """

    n: int
    start: int = 0

    @property
    def storage_shape(self) -> tuple[int, ...]:
        """``()``: a number."""
        return ()

    @property
    def storage_dtype(self) -> np.dtype[Any]:
        """int32."""
        return np.dtype(np.int32)

    @property
    def input_size(self) -> int:
        """``n``."""
        return self.n

    def store(self, observation: Any) -> Any:
        """Return the index, an int in ``[0, n)``."""
        return int(observation) - self.start

    def to_input(self, stored: Array, out: Array | None = None) -> Array:
        """Return the one-hot vectors ``[..., n]``."""
        if out is None:
            out = np.zeros((*stored.shape, self.n), np.float32)
        else:
            out[...] = 0
        index = np.asarray(stored).astype(np.intp, copy=False)[..., None]
        np.put_along_axis(out, index, 1, axis=-1)
        return out


def encoder_for(space: spaces.Space[Any]) -> Encoder:
    """Return the encoder of an observation space.

    Raises:
        UnusableEnvironmentError: No encoder reads this kind of observation yet.
    """
    if isinstance(space, spaces.Discrete):
        if space.n > MAX_INPUT_SIZE:
            raise UnusableEnvironmentError(
                f"observations are Discrete({space.n}); one-hot input is limited to {MAX_INPUT_SIZE:_} values."
            )
        return DiscreteEncoder(int(space.n), int(space.start))
    if isinstance(space, spaces.Box):
        size = int(np.prod(space.shape))
        if (space.dtype == np.uint8 and len(space.shape) == 3) or size > MAX_INPUT_SIZE:
            raise UnusableEnvironmentError(
                f"observations are images, Box{space.shape} {space.dtype}, which are not supported yet."
            )
        if size == 0:
            raise UnusableEnvironmentError(f"observations are empty, Box{space.shape}.")
        return BoxEncoder(size)
    raise UnusableEnvironmentError(f"observations are {type(space).__name__}; supported so far: Box and Discrete.")
