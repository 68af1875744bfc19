"""Groups of environments that need a package of their own, or another budget than the rest."""

from __future__ import annotations

import os
from typing import Any

import gymnasium

from tuner.envs.family_names import ATARI, FLAPPY, MINATAR, family
from tuner.envs.probe import register_probes
from tuner.envs.registration import register_atari
from tuner.optional import require

#: Games of the package `minatar` (Young and Tian 2019).
MINATAR_GAMES = ("asterix", "breakout", "freeway", "seaquest", "space_invaders")

#: How ids of a package begin that registers them when it is imported -> (package, the extra that brings it).
_REGISTERING = {
    "MiniGrid-": ("minigrid", "minigrid"),
    "BabyAI-": ("minigrid", "minigrid"),
    **{f"{road}-": ("highway_env", "highway") for road in (
        "exit", "highway", "intersection", "lane-keeping", "merge", "parking", "racetrack", "roundabout", "two-way",
        "u-turn",
    )},
}  # fmt: skip


def bring(env_id: str) -> None:
    """Register the environments of an id's family.

    Raises:
        MissingExtraError: Its package is not installed.
    """
    if env_id.startswith("tune/"):
        register_probes()
        return
    known = family(env_id)
    if known == ATARI:
        register_atari()
    elif known == MINATAR:
        require("minatar.gym", purpose=env_id, extra="minatar")
        register_minatar()
    elif known == FLAPPY:
        # pygame greets on stdout, which belongs to the answer.
        os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "hide")
        require("flappy_bird_gymnasium", purpose=env_id, extra="flappy")
    elif env_id not in gymnasium.registry:  # a module of the user's own may have such an id
        for beginning, (package, extra) in _REGISTERING.items():
            if env_id.startswith(beginning):
                # highway-env loads pygame, which greets on stdout.
                os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "hide")
                require(package, purpose=env_id, extra=extra)


def register_minatar() -> None:
    """Register MinAtar's games: ``-v0`` with all six actions, ``-v1`` with those that do something."""
    for game in MINATAR_GAMES:
        name = game.title().replace("_", "")
        for version in (0, 1):
            env_id = f"MinAtar/{name}-v{version}"
            if env_id not in gymnasium.registry:
                gymnasium.register(
                    env_id,
                    entry_point=f"{__name__}:make_minatar",
                    kwargs={"game": game, "use_minimal_action_set": version == 1},
                )


def make_minatar(**kwargs: Any) -> gymnasium.Env[Any, Any]:
    """Make a MinAtar game whose episodes depend on their seed alone."""
    module = require("minatar.gym", purpose="MinAtar", extra="minatar")
    return FreshGame(module.BaseEnv(**kwargs))


class FreshGame(gymnasium.Wrapper[Any, Any, Any, Any]):
    """MinAtar that forgets the last action at a seeded reset: it may be repeated ("sticky") in the next episode."""

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Begin an episode."""
        if seed is not None:
            game: Any = self.env.unwrapped
            game.game.last_action = 0
        return self.env.reset(seed=seed, options=options)
