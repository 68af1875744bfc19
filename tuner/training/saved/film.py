"""A trained agent at play, filmed. No display is needed."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from gymnasium.error import DependencyNotInstalled
from numpy.typing import NDArray

from tuner import seeding
from tuner.contract.spec import EvaluationSpec
from tuner.durable import replace_file
from tuner.envs.actions import Actions
from tuner.envs.atari import AtariGame
from tuner.envs.bare import BareEnv
from tuner.envs.encoders import Encoder, encoder_for
from tuner.envs.image_encoder import PICTURE_SCALE
from tuner.envs.make import make
from tuner.envs.registration import one_line
from tuner.envs.spec import EnvSpec
from tuner.envs.video import Film, finished, require_video
from tuner.errors import InputError
from tuner.optional import require
from tuner.training.player import Act

Array = NDArray[Any]

MP4, GIF, STORY = "video.mp4", "video.gif", "video.json"

#: Frames per second of an Atari console.
ATARI_FPS = 60

#: Frames per second where an environment names none.
DEFAULT_FPS = 30

#: Frames of an episode at most: ten minutes at 30 frames per second.
MAX_FRAMES = 18_000


@dataclass(frozen=True)
class Story:
    """What was filmed.

    Attributes:
        env: Environment id.
        returns: Undiscounted return of each episode, in the film's order.
        lengths: Steps of each episode.
        fps: Frames per second, one frame for each step.
        seed: The first episode was reset with it, the next with one more, and so on.
        median_of: How many episodes were played of which the filmed one is the median; 1 where none was chosen.
    """

    env: str
    returns: tuple[float, ...]
    lengths: tuple[int, ...]
    fps: float
    seed: int
    median_of: int = 1


def check_can_be_filmed(env: EnvSpec) -> None:
    """Find out that an environment draws itself, before any work.

    Raises:
        MissingExtraError: The extra ``video`` is not installed.
        InputError: The environment does not draw itself.
    """
    require_video()
    require_video("PIL")
    try:
        made = make(env, "rgb_array")
    except InputError as error:
        if "'render_mode'" not in str(error):
            raise
        raise InputError(
            f"{env.id} cannot be filmed: its constructor takes no render_mode, so it draws nothing."
        ) from error
    try:
        made.reset(seed=0)
        drawn: Any = made.render()
    except DependencyNotInstalled as error:
        if "pygame" in str(error):
            require("pygame", purpose=f"A film of {env.id}", extra="video")
        raise InputError(f"{env.id} cannot be filmed: {error}") from error
    except NotImplementedError as error:
        raise InputError(
            f"{env.id} cannot be filmed: it has no render(). Give it one that returns [height, width, 3] bytes for "
            "render_mode='rgb_array', and name that in metadata['render_modes']."
        ) from error
    except Exception as error:
        raise InputError(f"{env.id} cannot be filmed: {one_line(error)}") from error
    finally:
        made.close()
    if not isinstance(drawn, np.ndarray) or drawn.ndim != 3 or drawn.shape[2] != 3:
        raise InputError(f"{env.id} cannot be filmed: it draws no frames in colour (render_mode 'rgb_array').")


def record(
    folder: Path,
    env: EnvSpec,
    evaluation: EvaluationSpec,
    begin: Callable[[], Act],
    picture_scale: int = PICTURE_SCALE,
    median_of: int = 1,
    *,
    tabular: bool = False,
) -> Story:
    """Play greedily, as an evaluation does, and write ``video.mp4``, ``video.gif`` and ``video.json``.

    Args:
        folder: Where to; it exists.
        env: The environment.
        evaluation: Episodes, seeds and caps.
        begin: Returns, for each episode, from network inputs ``[1, 1, input_size]`` to actions ``[1, 1, *shape]``.
        picture_scale: Version of the rule that scales pictures.
        median_of: See :class:`Story`.
        tabular: Whether a table plays.

    Raises:
        InputError: The environment does not draw itself, or the folder cannot be written.
        MissingExtraError: The extra ``video`` is not installed.
    """
    check_can_be_filmed(env)
    bare = BareEnv(make(env, "rgb_array"))
    try:
        fps = _fps(bare)
        with Film(folder / MP4, folder / GIF, fps) as film:
            encoder = encoder_for(bare.env.observation_space, picture_scale, tabular=tabular)
            seeds = range(evaluation.seed, evaluation.seed + evaluation.episodes)
            episodes = [_play(bare, encoder, seed, evaluation, begin(), film.add) for seed in seeds]
        returns, lengths = zip(*episodes, strict=True)
        story = Story(env.id, returns, lengths, fps, evaluation.seed, median_of)
        replace_file(folder / STORY, (json.dumps(asdict(story), indent=1) + "\n").encode())
    except OSError as error:
        raise InputError(f"The film cannot be written to {folder}: {error.strerror or error}.") from error
    finally:
        bare.close()
    return story


def _play(
    env: BareEnv,
    encoder: Encoder,
    seed: int,
    evaluation: EvaluationSpec,
    act: Act,
    show: Callable[[Array], None],
) -> tuple[float, int]:
    """Play an episode frame by frame; return (undiscounted return, steps)."""
    random = seeding.stream(seed, "evaluation")
    actions = Actions(env.env.action_space)  # type: ignore[arg-type]
    stored = encoder.store(env.reset(seed=seed))
    total, steps, over = 0.0, 0, False
    show(_frame(env, total, steps))
    while not over and steps < min(evaluation.max_steps, MAX_FRAMES):
        (action,) = actions.each(act(encoder.to_input(np.asarray(stored)[None, None])))
        if evaluation.epsilon and random.random() < evaluation.epsilon:
            action = actions.draw(random)
        observation, reward, terminated, truncated = env.step(action)
        stored, over = encoder.store(observation), terminated or truncated
        total, steps = total + reward, steps + 1
        show(_frame(env, total, steps))
    return total, steps


def _frame(env: BareEnv, total: float, steps: int) -> Array:
    return finished(np.asarray(env.render()), f"step {steps}  return {total:g}")


def _fps(env: BareEnv) -> float:
    wrapped: Any = env.env
    while hasattr(wrapped, "env"):
        if isinstance(wrapped, AtariGame):
            return ATARI_FPS / wrapped.settings.frame_skip
        wrapped = wrapped.env
    fps = env.env.metadata.get("render_fps") or DEFAULT_FPS
    return float(min(max(fps, 5), 60))
