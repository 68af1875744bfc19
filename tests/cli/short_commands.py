"""What makes a page's command short enough for a test."""

from __future__ import annotations

import itertools

#: Flags by command: the last of equal flags counts.
SHORT = {
    "search": ("--steps", "200", "--trials", "4", "--evaluations", "2", "--eval-episodes", "1", "--confirm", "0",
               "--executor", "inline", "--quiet"),
    "train": ("--steps", "300", "--evaluations", "2", "--eval-episodes", "1", "--quiet"),
    "confirm": ("--confirm-seeds", "3", "--confirm-budget", "9", "--executor", "inline", "--quiet"),
    "compare": ("--steps", "200", "--evaluations", "1", "--eval-episodes", "1", "--seeds", "2", "--executor", "inline",
                "--quiet"),
    "sweep": ("--steps", "300", "--evaluations", "2", "--eval-episodes", "1", "--seeds", "2", "--executor", "inline",
              "--quiet"),
    "replay": (),
    "evaluate": ("--episodes", "2"),
    "paper": (),
    "publish": ("--episodes", "2"),
}  # fmt: skip

#: Fitted Q-iteration counts iterations, each a regression.
FITTED = ("--steps", "2", "--evaluations", "2", "--set", "n_transitions=200")


def shortened(words: list[str]) -> list[str]:
    """Return a command's words, without ``tune``, with the flags that make it short."""
    kind = words[0] if words and not words[0].startswith("-") else "search"
    return with_flags(words, *SHORT[kind], *(FITTED if "fqi" in words else ()))


def with_flags(words: list[str], *more: str) -> list[str]:
    """Return a command's words with more behind them; what these set is not set before."""
    keys = {word.partition("=")[0] for flag, word in itertools.pairwise(more) if flag == "--set"}
    places = [i for i, word in enumerate(words) if words[i - 1] == "--set" and word.partition("=")[0] in keys]
    return [*(word for i, word in enumerate(words) if not {i, i + 1} & set(places)), *more]
