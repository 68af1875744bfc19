"""How an observation is kept in replay memory, and how it becomes network input.

One encoder per kind of observation space. Users see storage shape, storage type and input size, and whether it is an
image; so another kind is another class here and nothing elsewhere.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from tuner.envs.image_encoder import PICTURE_SCALE, image_encoder_for, is_picture, largest
from tuner.errors import UnusableEnvironmentError

Array = NDArray[Any]

#: Largest input vector; beyond it an observation is an image in disguise.
MAX_INPUT_SIZE = 10_000


class Encoder(Protocol):
    """From observation to storage form (once per step) and from there to network input (once per use).

    Attributes:
        storage_shape: Shape of one stored observation; ``()`` for a number.
        input_size: Length of the network's input vector.
        image: (channels, height, width) of what the input vector holds, or None where it is no image.
        frames: How many of the channels are the last frames of the episode; 0 where channels mean something else.
        scale: What an image's bytes are divided by.
        normalizable: Whether its numbers are quantities, whose scale can be normalised away; images and one-hot vectors
            have one already.
    """

    @property
    def storage_shape(self) -> tuple[int, ...]: ...  # noqa: D102
    @property
    def input_size(self) -> int: ...  # noqa: D102
    @property
    def image(self) -> tuple[int, int, int] | None: ...  # noqa: D102
    @property
    def frames(self) -> int: ...  # noqa: D102
    @property
    def scale(self) -> int: ...  # noqa: D102
    @property
    def normalizable(self) -> bool: ...  # noqa: D102

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
            ``[..., input_size]``, float32 (float64 for a table) unless ``out`` says otherwise; ``stored`` itself where
            nothing needs doing.
        """
        ...


@dataclass(frozen=True)
class _FlatVector:
    """Stored as the network sees it.

    Attributes:
        input_size: Length of the flat vector.
    """

    input_size: int

    @property
    def storage_shape(self) -> tuple[int, ...]:
        """``(input_size,)``."""
        return (self.input_size,)

    def to_input(self, stored: Array, out: Array | None = None) -> Array:
        """Return ``stored`` itself when it is float32 and ``out`` is not given."""
        if out is None:
            return stored.astype(np.float32, copy=False)
        out[...] = stored
        return out


@dataclass(frozen=True)
class BoxEncoder(_FlatVector):
    """A Box of any rank as a flat float32 vector, as Stable-Baselines3's ``preprocess_obs`` and ``flatten`` do.

    Attributes:
        divisor: What its numbers are divided by: a small picture's largest value, else 1.
    """

    divisor: int = 1
    image: None = None
    frames: int = 0
    scale: int = 1
    normalizable: bool = True

    def store(self, observation: Any) -> Any:
        """Return ``[input_size]`` float32; no copy where the observation is that already."""
        numbers = np.asarray(observation, np.float32).reshape(-1)
        return numbers if self.divisor == 1 else numbers * np.float32(1 / self.divisor)


@dataclass(frozen=True)
class TableEncoder(BoxEncoder):
    """A Box of any rank as tables have learned from it: neither divided nor rounded, since bins end between numbers."""

    def store(self, observation: Any) -> Any:
        """Return ``[input_size]`` float64."""
        return np.asarray(observation, np.float64).reshape(-1)

    def to_input(self, stored: Array, out: Array | None = None) -> Array:
        """Return ``stored`` itself where ``out`` is not given."""
        return stored if out is None else super().to_input(stored, out)


@dataclass(frozen=True)
class DiscreteEncoder:
    """A number in ``[start, start + n)``: kept as an index from 0, shown one-hot (Stable-Baselines3 does the same).

    Of more than ``MAX_INPUT_SIZE`` values, which only tables take, the index itself is shown.

    Attributes:
        n: Number of values.
        start: Smallest value.
    """

    n: int
    start: int = 0
    image: None = None
    frames: int = 0
    scale: int = 1
    normalizable: bool = False

    @property
    def storage_shape(self) -> tuple[int, ...]:
        """``()``: a number."""
        return ()

    @property
    def input_size(self) -> int:
        """``n``, or 1 where the index itself is shown."""
        return self.n if self.one_hot else 1

    @property
    def one_hot(self) -> bool:
        """Whether a vector is shown, not the index itself."""
        return self.n <= MAX_INPUT_SIZE

    def store(self, observation: Any) -> Any:
        """Return the index, an int in ``[0, n)``."""
        index = int(observation) - self.start
        if not 0 <= index < self.n:
            raise ValueError(f"observation {observation} is outside of Discrete({self.n}, start={self.start}).")
        return index

    def to_input(self, stored: Array, out: Array | None = None) -> Array:
        """Return the one-hot vectors ``[..., n]``, or the indices ``[..., 1]``."""
        if not self.one_hot:
            return np.asarray(stored, np.float32)[..., None]  # exact: tables have fewer than 2^24 rows
        if out is None:
            out = np.zeros((*stored.shape, self.n), np.float32)
        else:
            out[...] = 0
        index = np.asarray(stored).astype(np.intp, copy=False)[..., None]
        np.put_along_axis(out, index, 1, axis=-1)
        return out


@dataclass(frozen=True)
class CompositeEncoder(_FlatVector):
    """Spaces made of several: parts one after the other, numbers one-hot (Gymnasium's ``flatten``), pictures in [0, 1].

    Attributes:
        space: Dict, Tuple, MultiDiscrete or MultiBinary, nested at will.
        scales: Whether pictures are brought to [0, 1].
    """

    space: spaces.Space[Any]
    scales: bool = True
    image: None = None
    frames: int = 0
    scale: int = 1

    @property
    def normalizable(self) -> bool:
        """As Stable-Baselines3 sees them: flattened, a Dict or Tuple is a Box."""
        return isinstance(self.space, spaces.Dict | spaces.Tuple)

    def store(self, observation: Any) -> Any:
        """Return ``[input_size]`` float32."""
        numbers = np.asarray(spaces.flatten(self.space, observation), np.float32)
        return numbers if self.factors is None else numbers * self.factors

    @cached_property
    def factors(self) -> Array | None:
        """``[input_size]`` float32 where some part is a picture of bytes, which is brought to [0, 1]; else None."""
        factors = _factors(self.space) if self.scales else np.ones(1)
        return None if (factors == 1).all() else factors


def encoder_for(space: spaces.Space[Any], picture_scale: int = PICTURE_SCALE, *, tabular: bool = False) -> Encoder:
    """Return the encoder of an observation space.

    Args:
        space: The space.
        picture_scale: What pictures are divided by, see :func:`tuner.envs.image_encoder.largest`.
        tabular: Whether a table reads it.

    Raises:
        UnusableEnvironmentError: No encoder reads this kind of observation.
    """
    if isinstance(space, spaces.Discrete):
        return DiscreteEncoder(int(space.n), int(space.start))
    if isinstance(space, spaces.Box):
        if tabular:
            return TableEncoder(int(np.prod(space.shape)))
        image = image_encoder_for(space, picture_scale)
        if image is not None:
            return image
        size = int(np.prod(space.shape))
        if size == 0:
            raise UnusableEnvironmentError(f"observations are empty, Box{space.shape}.")
        if size > MAX_INPUT_SIZE:
            raise UnusableEnvironmentError(
                f"observations are Box{space.shape} {space.dtype}: images must be uint8 or bool in two or three "
                f"dimensions, and vectors have at most {MAX_INPUT_SIZE:_} numbers."
            )
        return BoxEncoder(size, largest(space) if is_picture(space) and picture_scale > 1 else 1)
    if isinstance(space, spaces.Dict | spaces.Tuple | spaces.MultiDiscrete | spaces.MultiBinary):
        _check_parts(space)
        if not space.is_np_flattenable:
            raise UnusableEnvironmentError(
                f"observations are {type(space).__name__} with parts of no fixed length, which no network here reads."
            )
        size = int(spaces.flatdim(space))
        check_size(space, size)
        return CompositeEncoder(size, space, picture_scale > 1)
    raise UnusableEnvironmentError(
        f"observations are {type(space).__name__}; supported: Box, Discrete, MultiDiscrete, MultiBinary, Dict, Tuple."
    )


def _check_parts(space: spaces.Space[Any], where: str = "") -> None:
    """Refuse a Dict or Tuple with a part of a class that Gymnasium does not know."""
    parts: list[tuple[Any, spaces.Space[Any]]] = []
    if isinstance(space, spaces.Dict):
        parts = list(space.spaces.items())
    elif isinstance(space, spaces.Tuple):
        parts = list(enumerate(space.spaces))
    elif not isinstance(space, spaces.Box | spaces.Discrete | spaces.MultiDiscrete | spaces.MultiBinary) and not type(
        space
    ).__module__.startswith("gymnasium."):
        raise UnusableEnvironmentError(
            f"observations hold {type(space).__name__} at {where}, which no network here reads."
        )
    for key, part in parts:
        _check_parts(part, f"{where}[{key!r}]")


def _factors(space: spaces.Space[Any]) -> Array:
    """Return what each number of the flat vector is multiplied by, ``[input_size]`` float32."""
    parts = [*space.spaces.values()] if isinstance(space, spaces.Dict) else getattr(space, "spaces", None)
    if parts is not None:
        return np.concatenate([np.ones(0, np.float32), *map(_factors, parts)])
    picture = isinstance(space, spaces.Box) and is_picture(space)
    return np.full(spaces.flatdim(space), 1 / largest(space) if picture else 1, np.float32)  # type: ignore[arg-type]


def check_size(space: spaces.Space[Any], size: int, way_out: str = "") -> None:
    """Refuse observations that are too long for a network, or empty.

    Raises:
        UnusableEnvironmentError: ``size`` numbers are none, or more than ``MAX_INPUT_SIZE``.
    """
    if not 0 < size <= MAX_INPUT_SIZE:
        raise UnusableEnvironmentError(
            f"observations are {type(space).__name__} of {size:_} numbers (one-hot); between 1 and "
            f"{MAX_INPUT_SIZE:_} are supported.{way_out}"
        )
