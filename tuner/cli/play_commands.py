"""``tune evaluate``, ``record`` and ``enjoy``: a saved agent played again."""

from __future__ import annotations

import argparse
import os
import statistics
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tuner.cli.console import aligned, decimal, say
from tuner.cli.parser import add_command, add_wrapper, whole_number

if TYPE_CHECKING:
    from tuner.training.saved.agent import Agent


def add_to(commands: Any) -> None:
    """Add the commands."""
    evaluate = add_command(commands, "evaluate", evaluate_command, "play a saved model greedily and say how it does")
    film = add_command(commands, "record", record_command, "film a saved model at play: MP4 and GIF, no display needed")
    enjoy = add_command(commands, "enjoy", enjoy_command, "watch a saved model play; filmed where there is no display")
    for played, episodes in ((evaluate, "100"), (film, "1"), (enjoy, "3")):
        played.add_argument(
            "folder", metavar="DIR|ZIP", help="Where tune train saved it, or a DQN that Stable-Baselines3 saved"
        )
        played.add_argument("--episodes", metavar="N", default=episodes, help=f"Episodes to play (default: {episodes})")
        played.add_argument("--seed", metavar="N", default="0", help="Seed of the first episode (default: 0)")
        played.add_argument("--best", action="store_true", help="Play the model of the best evaluation, not the last")
        played.add_argument("--env", metavar="ID", help="Environment of a zip, which does not name its own")
        played.add_argument("--env-module", metavar="FILE|NAME", help="File or module that registers the environment")
        played.add_argument("--discretize", metavar="N", help="Steps of each number of a zip's continuous actions")
        played.add_argument("--frame-stack", metavar="N", help="How many observations a zip sees at once")
        add_wrapper(played, "Wrappers around a zip's environment, innermost first; or those of DIR that you trust")
    for filmed in (film, enjoy):
        filmed.add_argument("-o", "--output", metavar="DIR", help="Folder of the film (default: the model's)")


def evaluate_command(parsed: argparse.Namespace) -> int:
    """Play and print."""
    episodes = whole_number(parsed.episodes, "--episodes", 1, 1_000_000)
    seed = whole_number(parsed.seed, "--seed", 0, 2**31 - 1)
    returns, lengths = _agent(parsed).evaluate(episodes, seed)
    facts = {
        "episodes": f"{len(returns)}",
        "mean return": f"{decimal(statistics.fmean(returns))}",
        "standard deviation": f"{decimal(statistics.stdev(returns))}" if len(returns) > 1 else "-",
        "smallest, largest": f"{decimal(min(returns))}, {decimal(max(returns))}",
        "mean length": f"{decimal(statistics.fmean(lengths))} steps",
    }
    say("\n".join(aligned(facts, indent="")))
    return 0


def record_command(parsed: argparse.Namespace) -> int:
    """Play, film and print."""
    from tuner.training.saved.film import GIF, MP4
    from tuner.training.saved.play import record_agent

    episodes = whole_number(parsed.episodes, "--episodes", 1, 100)
    seed = whole_number(parsed.seed, "--seed", 0, 2**31 - 1)
    model = Path(parsed.folder)
    folder = Path(parsed.output) if parsed.output is not None else model if model.is_dir() else model.parent
    film = record_agent(_agent(parsed), episodes, seed, folder)
    _say_episodes(film.returns, film.lengths)
    say(f"Film: {folder / MP4}, {folder / GIF}")
    return 0


def enjoy_command(parsed: argparse.Namespace) -> int:
    """Play in a window, or film where there is none."""
    from tuner.training.saved.play import show_agent

    if parsed.output is not None or not _display():
        say("There is no display: it is filmed." if parsed.output is None else "It is filmed.", stderr=True)
        return record_command(parsed)
    episodes = whole_number(parsed.episodes, "--episodes", 1, 100)
    seed = whole_number(parsed.seed, "--seed", 0, 2**31 - 1)
    _say_episodes(*show_agent(_agent(parsed), episodes, seed))
    return 0


def _display() -> bool:
    """Whether windows can be opened: always on Windows and macOS, elsewhere where a display is named."""
    return sys.platform in ("win32", "darwin") or any(map(os.environ.get, ("DISPLAY", "WAYLAND_DISPLAY")))


def _agent(parsed: argparse.Namespace) -> Agent:
    from tuner.training.saved.agent import load_agent

    steps = None if parsed.discretize is None else whole_number(parsed.discretize, "--discretize", 2, 1_000)
    frames = None if parsed.frame_stack is None else whole_number(parsed.frame_stack, "--frame-stack", 2, 1_000)
    how = {"env_module": parsed.env_module, "env": parsed.env, "best": parsed.best}
    agent = load_agent(parsed.folder, **how, discretize=steps, frame_stack=frames, wrapper=parsed.wrapper)
    if agent.model.left_out:
        say(f"Not read from {parsed.folder}: {', '.join(agent.model.left_out)}.", stderr=True)
    return agent


def _say_episodes(returns: tuple[float, ...], lengths: tuple[int, ...]) -> None:
    for total, steps in zip(returns, lengths, strict=True):
        say(f"Return {decimal(total)} in {steps:,} steps")
