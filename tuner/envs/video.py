"""Frames as a film: an MP4 that browsers play, and a GIF that slides and chats show."""

from __future__ import annotations

import errno
import os
import subprocess
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tuner.optional import require

Array = NDArray[Any]

#: Smallest height of a film; smaller frames are enlarged by a whole factor.
MIN_HEIGHT = 240

#: A GIF's largest number of frames and height: it is kept whole in memory, here and wherever it is shown.
GIF_FRAMES, GIF_HEIGHT = 300, 240

#: Height of the line of text under each frame.
CAPTION = 16


def require_video(module: str = "imageio_ffmpeg") -> Any:
    """Return a module of the extra ``video``; called before any work as well.

    Raises:
        MissingExtraError: It is not installed.
    """
    return require(module, purpose="A video", extra="video")


def finished(frame: Array, caption: str) -> Array:
    """Return a frame as it stands in a film: bytes, large enough, with a line of text, sides even.

    Args:
        frame: ``[H, W, 3]`` as an environment renders it: bytes, or floating point in [0, 1].
        caption: The line under it.
    """
    image, drawing = require_video("PIL.Image"), require_video("PIL.ImageDraw")
    if frame.dtype != np.uint8:
        frame = (np.clip(frame, 0, 1) * 255).astype(np.uint8)
    factor = -(-MIN_HEIGHT // frame.shape[0])
    if factor > 1:
        frame = frame.repeat(factor, axis=0).repeat(factor, axis=1)
    height, width = frame.shape[:2]
    canvas = np.zeros((height + CAPTION + (height + CAPTION) % 2, width + width % 2, 3), np.uint8)
    canvas[:height, :width] = frame
    picture = image.fromarray(canvas)
    drawing.Draw(picture).text((4, height + 2), caption, fill=(255, 255, 255))
    return np.asarray(picture)


class Film:
    """Writes an MP4 (H.264, the pixel format that every browser plays) and a GIF side by side, frame by frame.

    Both take their place in one step when the block ends well; else the old ones stay.

    Args:
        mp4: Where the MP4 goes.
        gif: Where the GIF goes; a long or large film is thinned out in it.
        fps: Frames per second.
    """

    def __init__(self, mp4: Path, gif: Path, fps: float) -> None:
        self._mp4, self._gif, self._fps = mp4, gif, fps
        self._partial = mp4.with_name(f".{mp4.stem}.partial.mp4")
        self._encoder: subprocess.Popen[bytes] | None = None
        self._pictures: list[Any] = []
        self._every, self._count = 1, 0
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115  (closed with the film)

    def __enter__(self) -> Film:
        return self

    def add(self, frame: Array) -> None:
        """Add a frame ``[H, W, 3]`` of bytes; all are of one shape with even sides."""
        if self._encoder is None:
            self._encoder = self._start(*frame.shape[:2])
        assert self._encoder.stdin is not None
        try:
            self._encoder.stdin.write(np.ascontiguousarray(frame).data)
        except OSError:
            raise self._failure() from None
        if self._count % self._every == 0:
            self._pictures.append(self._small(frame))
            if len(self._pictures) > GIF_FRAMES:
                del self._pictures[1::2]
                self._every *= 2
        self._count += 1

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if self._encoder is not None:
                assert self._encoder.stdin is not None
                self._encoder.stdin.close()
                if self._encoder.wait() != 0 and error is None:
                    raise self._failure()
                if error is None:
                    self._write_gif()
                    os.replace(self._partial, self._mp4)
        finally:
            self._partial.unlink(missing_ok=True)
            self._errors.close()

    def _start(self, height: int, width: int) -> subprocess.Popen[bytes]:
        command = [
            require_video().get_ffmpeg_exe(), "-y", "-loglevel", "error", "-f", "rawvideo", "-pix_fmt", "rgb24",
            "-s", f"{width}x{height}", "-r", f"{self._fps:g}", "-i", "-", "-an", "-c:v", "libx264",
            "-pix_fmt", "yuv420p", "-crf", "23", "-movflags", "+faststart", str(self._partial),
        ]  # fmt: skip
        return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=self._errors)

    def _failure(self) -> OSError:
        self._errors.seek(0)
        lines = self._errors.read().decode(errors="replace").strip().splitlines() or ["failed"]
        said = next(
            (line for line in lines if os.strerror(errno.ENOSPC) in line), lines[-1]
        )  # the rest follows from it
        return OSError(f"ffmpeg: {said.rstrip('.')}")

    def _small(self, frame: Array) -> Any:
        picture = require_video("PIL.Image").fromarray(frame)
        scale = min(1.0, GIF_HEIGHT / frame.shape[0])
        return picture.resize((max(1, round(frame.shape[1] * scale)), max(1, round(frame.shape[0] * scale)))).quantize(
            64
        )

    def _write_gif(self) -> None:
        first, *rest = self._pictures
        partial = self._gif.with_name(f".{self._gif.stem}.partial.gif")
        try:
            duration = max(20, round(1000 * self._every / self._fps))  # browsers slow down what is faster
            first.save(partial, save_all=True, append_images=rest, duration=duration, loop=0)
            os.replace(partial, self._gif)
        finally:
            partial.unlink(missing_ok=True)
