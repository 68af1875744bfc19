"""Which spaces Stable-Baselines3, and so RL Zoo, takes as they are, with what our networks see of them."""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium import spaces

from tuner.envs.encoders import CompositeEncoder, encoder_for
from tuner.envs.frames import FramesBox
from tuner.envs.image_encoder import is_picture


def for_zoo(observation: spaces.Space[Any], action: spaces.Discrete | spaces.Box, *, rollouts: bool) -> dict[str, Any]:
    """Return what an export to RL Zoo has to heed of an environment's spaces, plain data; empty where nothing.

    Args:
        observation: What it shows.
        action: What it takes.
        rollouts: Whether the algorithm learns from rollouts, which keep normalised observations in the space's type.
    """
    found: dict[str, Any] = {}
    if problem := needs_wrapper(observation, action):
        found["needs_wrapper"] = problem
    if isinstance(action, spaces.Box) and len(action.shape) != 1:
        found["action_shape"] = list(action.shape)
    if rollouts and isinstance(observation, spaces.Box | spaces.Dict | spaces.Tuple):
        dtype = spaces.flatten_space(observation).dtype
        if encoder_for(observation).normalizable and dtype is not None and not np.issubdtype(dtype, np.floating):
            found["whole_numbers"] = str(dtype)
    return found


def needs_wrapper(observation: spaces.Space[Any], action: spaces.Discrete | spaces.Box) -> str:
    """Return why an environment needs a wrapper of ours to train there, or an empty string where it needs none.

    Dict and Tuple count as flattened by Gymnasium's own wrapper, which RL Zoo's file can name.
    """
    if isinstance(action, spaces.Discrete) and action.start != 0:
        return f"Stable-Baselines3 takes actions from 0, and they begin at {action.start}."
    if np.any(getattr(observation, "start", 0)):
        return f"Stable-Baselines3 takes observations from 0, and {type(observation).__name__} begins elsewhere."
    if isinstance(observation, spaces.MultiDiscrete | spaces.MultiBinary | spaces.Box) and len(observation.shape) != 1:
        if isinstance(observation, spaces.MultiDiscrete):
            return f"Stable-Baselines3 takes MultiDiscrete in one dimension, and it has {len(observation.shape)}."
        if observation.shape == ():
            return "Stable-Baselines3 takes no Box without dimensions."
    if isinstance(observation, spaces.Box) and is_picture(observation) and not isinstance(observation, FramesBox):
        bytes_of_sb3 = (
            observation.dtype == np.uint8 and (observation.low == 0).all() and (observation.high == 255).all()
        )
        if not bytes_of_sb3 or len(observation.shape) != 3:
            return "Stable-Baselines3 takes images as three dimensions of bytes from 0 to 255."
    if isinstance(observation, spaces.Dict | spaces.Tuple):
        encoder = encoder_for(observation)
        assert isinstance(encoder, CompositeEncoder)
        if encoder.factors is not None:
            return f"Stable-Baselines3 does not scale the pictures in a flattened {type(observation).__name__}."
    return ""
