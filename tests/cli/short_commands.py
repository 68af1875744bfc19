"""What makes a page's command short enough for a test."""

from __future__ import annotations

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
    return [*words, *SHORT[kind], *(FITTED if "fqi" in words else ())]
