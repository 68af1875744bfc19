"""RL Zoo's own tuned values of an environment."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

from tuner.errors import InputError
from tuner.hyperparameters import algorithm_class
from tuner.zoo.read import Config, read_config


def zoo_values(env: str, algorithm: str = "dqn", wrapper: tuple[str, ...] = ()) -> dict[str, Any] | None:
    """Return RL Zoo's tuned values of an environment as an algorithm's fields; None where it has none of its own."""
    config = zoo_config(env, algorithm, wrapper)
    return None if config is None else config.hyperparameters


def zoo_config(env: str, algorithm: str = "dqn", wrapper: tuple[str, ...] = ()) -> Config | None:
    """Return RL Zoo's tuned settings of an environment, with the steps that they are for; None where it has none.

    The Zoo's table is found without importing the Zoo, which would register environments and load a good deal.

    Args:
        env: Environment id.
        algorithm: As ``--algo`` takes it.
        wrapper: Wrappers that are around the environment; what the Zoo has tuned with others is left out.
    """
    spec = importlib.util.find_spec("rl_zoo3")
    known = algorithm_class(algorithm)
    if spec is None or spec.origin is None or not known.zoo_name():
        return None
    path = Path(spec.origin).parent / "hyperparams" / f"{known.zoo_name()}.yml"
    try:
        config = read_config(path, env, algorithm)
    except InputError:  # not in the table, or with options that are not DQN's own
        return None
    # Its entry 'default', and entries that leave everything at its default, are tuned for nothing.
    if config.frame_stack is not None or config.wrapper != wrapper:  # tuned for what nobody asked for here
        return None
    untuned = config.key == "default" or config.hyperparameters == known().to_mapping()
    return None if untuned else config
