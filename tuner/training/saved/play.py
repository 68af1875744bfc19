"""A saved policy played again: what ``tune evaluate``, ``tune record`` and ``tune enjoy`` call."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from pathlib import Path

from tuner.errors import InputError
from tuner.surroundings import Surroundings
from tuner.training.player import begun
from tuner.training.saved.agent import Agent, load_agent
from tuner.training.saved.film import Story, record

#: Episodes of which a search films the median: odd, so that it is one of them.
MEDIAN_OF = 11


def evaluate_saved(
    folder: Path, episodes: int, seed: int, env_module: str | None = None, *, best: bool = False
) -> tuple[tuple[float, ...], tuple[int, ...]]:
    """Play a saved policy greedily.

    Args:
        folder: Where :func:`~tuner.training.saved.model_files.save_model` wrote it.
        episodes: Episodes to play, >= 1.
        seed: Episode i resets with ``seed + i``.
        env_module: The module to import the environment from. A model file alone never makes us import code.
        best: Whether to play the policy of the best evaluation, not that of the last step.

    Returns:
        (return of each episode, steps of each episode).

    Raises:
        InputError: The folder holds no model, its environment cannot be made or does not fit the network, or it comes
            from a module that ``env_module`` does not name.
    """
    return load_agent(folder, env_module=env_module, best=best).evaluate(episodes, seed)


def record_saved(
    folder: Path,
    episodes: int,
    seed: int,
    env_module: str | None = None,
    output: Path | None = None,
    *,
    best: bool = False,
) -> Story:
    """Film a saved policy at play.

    Args:
        folder: Where :func:`~tuner.training.saved.model_files.save_model` wrote it.
        episodes: Episodes to play, >= 1.
        seed: Episode i resets with ``seed + i``.
        env_module: The module to import the environment from.
        output: Folder of the film, made if it is not there; None takes the model's own.
        best: Whether to play the policy of the best evaluation, not that of the last step.

    Raises:
        InputError: As for :func:`evaluate_saved`; or the environment does not draw itself.
        MissingExtraError: The extra ``video`` is not installed.
    """
    return record_agent(load_agent(folder, env_module=env_module, best=best), episodes, seed, output or folder)


def record_median(folder: Path, seed: int, env_module: str | None, output: Path, wrapper: Sequence[str] = ()) -> Story:
    """Film one episode: the median, by return, of :data:`MEDIAN_OF`, so that it shows what is usual and not one's luck.

    Arguments and errors as for :func:`record_saved`; ``wrapper`` are wrappers that the user has named.
    """
    agent = load_agent(folder, env_module=env_module, wrapper=wrapper)
    returns, _ = agent.evaluate(MEDIAN_OF, seed)
    return record_agent(agent, 1, seed + median_place(returns), output, MEDIAN_OF)


def median_place(returns: Sequence[float]) -> int:
    """Return where the median of returns stands, the higher one of an even number; of equals the first."""
    return returns.index(sorted(returns)[len(returns) // 2])


def record_agent(agent: Agent, episodes: int, seed: int, output: Path, median_of: int = 1) -> Story:
    """Film an agent at play; arguments and errors as for :func:`record_saved` and :func:`~.film.record`."""
    evaluation, env, begin = agent.evaluation(episodes, seed), agent.env, functools.partial(begun, agent.policy)
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{output} cannot be made: {error.strerror or error}.") from error
    with Surroundings.kept():
        return record(output.absolute(), env, evaluation, begin, agent.picture_scale, median_of, tabular=agent.tabular)


def show_agent(agent: Agent, episodes: int, seed: int) -> tuple[tuple[float, ...], tuple[int, ...]]:
    """Let an agent play greedily in the environment's own window, an episode after the other.

    Args:
        agent: The agent.
        episodes: How many.
        seed: Episode i resets with ``seed + i``.

    Returns:
        (undiscounted return of each episode, steps of each episode).

    Raises:
        InputError: The environment opens no window, or as for :func:`evaluate_saved`.
    """
    cap = agent.evaluation(episodes, seed).max_steps
    returns, lengths = [], []
    env = agent.make_env("human")
    try:
        for i in range(episodes):
            observation, _ = env.reset(seed=seed + i)
            agent.begin()
            total, steps, over = 0.0, 0, False
            while not over and steps < cap:
                observation, reward, terminated, truncated, _ = env.step(agent.act(observation))
                total, steps, over = total + float(reward), steps + 1, terminated or truncated
            returns.append(total)
            lengths.append(steps)
    finally:
        env.close()
    return tuple(returns), tuple(lengths)
