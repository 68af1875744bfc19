"""Uniform replay memory for images that stores each frame once.

A stack of the last four frames shares three with the stack after it, and a transition holds two stacks: written out,
each frame is stored eight times. Here a transition is a row of frame numbers in a :class:`~tuner.replay.ring.LaneRing`,
and stacks are put together when they are drawn. Frames are found again by what they show, so episode borders, n-step
transitions and padding need no rules of their own; a frame that no transition holds any more is overwritten.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from tuner.replay.normalizer import LaneNormalizer
from tuner.replay.ring import Batch, LaneRing

Array = NDArray[Any]

#: Frames in which a new transition's frames are looked for; they are nearly always among the newest few.
RECENT = 64

#: Room for frames beyond one for each transition, as a share of it: the first frame of each episode comes on top.
SPARE = 1 / 16


class FrameMemory:
    """K ring memories of images side by side; the same calls as a :class:`~tuner.replay.ring.LaneRing`.

    Args:
        lanes: K.
        capacity: Largest capacity any lane may ask for, in transitions.
        image: (channels, height, width) of an observation, values 0 to 255.
        frames: How many of the channels are the last frames; 0 where an observation is stored whole.
        dtype: Floating-point type of rewards and discounts, and of rows to be stored.
    """

    def __init__(
        self,
        lanes: int,
        capacity: int,
        image: tuple[int, int, int],
        frames: int,
        dtype: DTypeLike = np.float32,
        normalizer: LaneNormalizer | None = None,
    ) -> None:
        self._image = image
        self._stack = max(frames, 1)
        self._frame_size = int(np.prod(image)) // self._stack
        #: Transitions whose "observations" are frame numbers: whole, and exact in floating point below 2**24.
        self._ring = LaneRing(lanes, capacity, self._stack, dtype, normalizer)
        self._lanes = [LaneFrames(0, self._frame_size) for _ in range(lanes)]
        self.capacities, self.positions, self.sizes = self._ring.capacities, self._ring.positions, self._ring.sizes

    def start(self, lane: int, capacity: int, rng: np.random.Generator) -> None:
        """Empty a lane for a new run; its frames' memory goes back to the system.

        Raises:
            ValueError: ``capacity`` is not between 1 and the largest capacity.
        """
        self._ring.start(lane, capacity, rng)
        self._lanes[lane] = LaneFrames(capacity, self._frame_size)

    def extend(self, lane: int, rows: Array, replaced: int = 0) -> None:
        """Store a stretch of transitions; arguments as for :meth:`LaneRing.extend`, observations in [0, 255]."""
        ring, frames = self._ring, self._lanes[lane]
        capacity = int(self.capacities[lane])
        there = min(replaced, int(self.sizes[lane]))
        rows = rows[replaced - there :]
        for _ in range(there):
            self.positions[lane] = (int(self.positions[lane]) - 1) % capacity
            frames.release(self._numbers(lane, int(self.positions[lane])))
            self.sizes[lane] -= 1
        numbered = ring.blank(len(rows))
        parts, pixels = ring.unpack(numbered), self.unpack(rows)
        numbered[:, -3:] = rows[:, -3:]
        observations = self._to_frames(pixels.observations)
        next_observations = self._to_frames(pixels.next_observations)
        for i in range(len(rows)):
            parts.observations[i, :-1] = frames.hold(observations[i])
            parts.next_observations[i, :-1] = frames.hold(next_observations[i])
            if self.sizes[lane] == capacity:
                frames.release(self._numbers(lane, int(self.positions[lane])))
            ring.extend(lane, numbered[i : i + 1])

    def uniforms(self, lane: int, count: int) -> Array:
        """Return ``count`` draws from the lane's stream, as :meth:`LaneRing.uniforms` does."""
        return self._ring.uniforms(lane, count)

    def gather(self, lanes: slice, index: Array) -> Batch:
        """Return the transitions at each lane's places ``index`` ``[n, B]``.

        Returns:
            Observations ``[n, B, channels, height, width]`` uint8; the rest ``[n, B]``.
        """
        numbers = self._ring.unpack(self._ring.gather(lanes, index))
        images = [
            np.empty((*index.shape, self._stack, self._frame_size), np.uint8) for _ in ("observations", "next ones")
        ]
        for i, lane in enumerate(range(lanes.start, lanes.stop)):
            for out, which in zip(images, (numbers.observations, numbers.next_observations), strict=True):
                self._lanes[lane].take(which[i, :, :-1].astype(np.intp), out[i])
        observations, next_observations = (out.reshape(*index.shape, *self._image) for out in images)
        return Batch(observations, next_observations, numbers.rewards, numbers.discounts, numbers.actions)

    def region(self, lane: int) -> Array:
        """Return a lane's rows, a view; see :meth:`LaneRing.region`. Observations are numbers of :meth:`frames`."""
        return self._ring.region(lane)

    def frames(self, lane: int) -> Array:
        """Return a lane's frames ``[n, bytes of a frame]``, a view; those that no transition holds may be anything."""
        return self._lanes[lane].pixels

    def unpack(self, rows: Any) -> Batch:
        """Return the parts of packed rows of pixels ``[..., width]`` as views; what was gathered, as it is."""
        if isinstance(rows, Batch):
            return rows
        size = self.observation_size + 1
        return Batch(rows[..., :size], rows[..., size : 2 * size], rows[..., -3], rows[..., -2], rows[..., -1])

    def blank(self, *shape: int) -> Array:
        """Return packed rows of pixels ``[*shape, width]`` to be filled in through :meth:`unpack`."""
        return np.ones((*shape, self.width), self.dtype)

    @property
    def observation_size(self) -> int:
        """Numbers per observation."""
        return self._stack * self._frame_size

    @property
    def width(self) -> int:
        """Numbers per packed row of pixels."""
        return 2 * self.observation_size + 5

    @property
    def dtype(self) -> np.dtype[Any]:
        """Floating-point type of the rows."""
        return self._ring.dtype

    def snapshot(self, lane: int) -> dict[str, Array]:
        """Return a lane's transitions, frames, place and stream; views, to be used before the lane changes."""
        return {**self._ring.snapshot(lane), **self._lanes[lane].snapshot()}

    def restore(self, lane: int, saved: Mapping[str, Array]) -> None:
        """Go on from a snapshot; the lane was started for the same run."""
        self._ring.restore(lane, saved)
        self._lanes[lane].restore(saved)

    def _to_frames(self, packed: Array) -> Array:
        return packed[:, :-1].astype(np.uint8).reshape(len(packed), self._stack, self._frame_size)

    def _numbers(self, lane: int, place: int) -> list[int]:
        """Return the frame numbers of the transition at a place."""
        parts = self._ring.unpack(self._ring.gather(slice(lane, lane + 1), np.array([[place]])))
        both: list[float] = parts.observations[0, 0, :-1].tolist() + parts.next_observations[0, 0, :-1].tolist()
        return list(map(int, both))


class LaneFrames:
    """The frames of one lane, counted by how many stacks they stand in.

    Args:
        capacity: Transitions they are for.
        size: Bytes of a frame.

    Attributes:
        pixels: The frames ``[n, size]``.
        used: Frames that have ever been in use at a time.
    """

    def __init__(self, capacity: int, size: int) -> None:
        # Pages that nothing has been written to cost no memory.
        self.pixels = np.empty((capacity + int(capacity * SPARE) + RECENT, size), np.uint8)
        self._held = np.zeros(len(self.pixels), np.int32)
        self._free: list[int] = []
        self._recent: dict[bytes, int] = {}
        self._shown: dict[int, bytes] = {}
        self.used = 0

    def hold(self, stack: Array) -> list[int]:
        """Return the numbers of a stack's frames ``[stack, size]``, stored where they are not there yet."""
        numbers = []
        for frame in stack:
            shown = frame.tobytes()
            number = self._recent.get(shown)
            if number is None:
                number = self._store(frame, shown)
            self._held[number] += 1
            numbers.append(number)
        return numbers

    def release(self, numbers: list[int]) -> None:
        """Let go of frames; those in no stack any more make room."""
        for number in numbers:
            self._held[number] -= 1
            if self._held[number] == 0:
                self._free.append(number)
                self._forget(number)

    def take(self, numbers: Array, out: Array) -> None:
        """Write the frames with these numbers ``[...]`` into ``out`` ``[..., size]``."""
        np.take(self.pixels, numbers, axis=0, out=out, mode="clip")

    def snapshot(self) -> dict[str, Array]:
        """Return the frames and who holds them; views."""
        return {
            "frames": self.pixels[: self.used],
            "held": self._held[: self.used],
            "free": np.array(self._free, np.int64),
            "recent": np.array(list(self._shown), np.int64),
        }

    def restore(self, saved: Mapping[str, Array]) -> None:
        """Go on from a snapshot."""
        self.used = len(saved["frames"])
        while self.used > len(self.pixels):
            self._grow()
        self.pixels[: self.used] = saved["frames"]
        self._held[: self.used] = saved["held"]
        self._free = saved["free"].tolist()
        self._shown = {number: self.pixels[number].tobytes() for number in saved["recent"].tolist()}
        self._recent = {shown: number for number, shown in self._shown.items()}

    def _store(self, frame: Array, shown: bytes) -> int:
        if self._free:
            number = self._free.pop()
        else:
            number, self.used = self.used, self.used + 1
            if number == len(self.pixels):
                self._grow()
        self.pixels[number] = frame
        self._recent[shown] = number
        self._shown[number] = shown
        if len(self._recent) > RECENT:
            self._forget(next(iter(self._shown)))
        return number

    def _forget(self, number: int) -> None:
        shown = self._shown.pop(number, None)
        if shown is not None:
            del self._recent[shown]

    def _grow(self) -> None:
        """Make room for more short episodes than expected."""
        more = len(self.pixels) // 8 + RECENT
        self.pixels = np.concatenate([self.pixels, np.empty((more, self.pixels.shape[1]), np.uint8)])
        self._held = np.concatenate([self._held, np.zeros(more, np.int32)])
