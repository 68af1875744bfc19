"""What an environment's id alone says: its family, and how a policy is evaluated there. Without Gymnasium."""

from __future__ import annotations

ATARI, MINATAR, FLAPPY = "atari", "minatar", "flappy"

#: Probability of a random action in evaluations of Atari's games, which hardly differ from episode to episode without.
ATARI_EPSILON = 0.001


def family(env_id: str) -> str:
    """Return the family of an id (``module:`` in front does not matter), or an empty string."""
    env_id = env_id.rpartition(":")[2]
    if env_id.startswith("ALE/") or env_id.endswith("NoFrameskip-v4"):
        return ATARI
    if env_id.startswith("MinAtar/"):
        return MINATAR
    return FLAPPY if env_id.startswith("FlappyBird-") else ""


def eval_epsilon(env_id: str) -> float:
    """Return the probability of a random action in evaluations; all others are greedy."""
    return ATARI_EPSILON if family(env_id) == ATARI else 0.0
