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


def record_median(folder: Path, seed: int, env_module: str | None, output: Path, wrapper: Sequence[str] = ()) -> Story:
    """Film one episode: the median, by return, of :data:`MEDIAN_OF`, so that it shows what is usual and not one's luck.

    Args:
        folder: Where :func:`~tuner.training.saved.model_files.save_model` wrote the policy.
        seed: Episode i resets with ``seed + i``.
        env_module: The module to import the environment from. A model file alone never makes us import code.
        output: As for :func:`record_agent`.
        wrapper: Wrappers that the user has named.

    Raises:
        InputError: As for :func:`~tuner.training.saved.agent.load_agent` and :func:`record_agent`.
        MissingExtraError: The extra ``video`` is not installed.
    """
    agent = load_agent(folder, env_module=env_module, wrapper=wrapper)
    returns, _ = agent.evaluate(MEDIAN_OF, seed)
    return record_agent(agent, 1, seed + median_place(returns), output, MEDIAN_OF)


def median_place(returns: Sequence[float]) -> int:
    """Return where the median of returns stands, the higher one of an even number; of equals the first."""
    return returns.index(sorted(returns)[len(returns) // 2])


def record_agent(agent: Agent, episodes: int, seed: int, output: Path, median_of: int = 1) -> Story:
    """Film an agent at play.

    Args:
        agent: The agent.
        episodes: Episodes to play, >= 1.
        seed: Episode i resets with ``seed + i``.
        output: Folder of the film, made if it is not there.
        median_of: As for :func:`~.film.record`.

    Raises:
        InputError: The folder cannot be made, or the environment does not draw itself.
        MissingExtraError: The extra ``video`` is not installed.
    """
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
        InputError: The environment opens no window, or its episodes cannot be played.
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
