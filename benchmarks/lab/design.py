"""The settings that are measured in every environment: named ones, then points of a wide space that fill it evenly.

The design is drawn once and stored (``table/design.json``): it stays what it is when the space changes.
"""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import qmc

from tuner.hyperparameters import Hyperparameters, algorithm_class, from_mapping
from tuner.space.catalog import load_by_name
from tuner.space.model import SearchSpace
from tuner.zoo.tuned import zoo_values

#: Steps of a run that the space is cut to, whatever an environment's own budget is: all share the same settings.
REFERENCE_STEPS = 20_000

#: Environments of RL Zoo's table whose tuned values are named settings; where two share their values, both.
ZOO = (("CartPole-v1",), ("MountainCar-v0",), ("LunarLander-v3", "Acrobot-v1"))

#: What version 0.1.0 fixed for everything, and the middle of what it searched.
NARROW = {
    "batch_size": 64,
    "net_arch": (64, 64),
    "gamma": 0.99,
    "learning_starts": 1000,
    "train_freq": 16,
    "gradient_steps": 8,
    "learning_rate": 7e-4,
    "buffer_size": 22_000,
    "target_update_interval": 450,
    "exploration_fraction": 0.2,
    "exploration_final_eps": 0.05,
}

#: Environment to what version 0.1.0 changed for it, found by hand: named settings, good elsewhere perhaps.
BY_HAND: dict[str, dict[str, Any]] = {
    "CartPole-v1": {
        "train_freq": 64, "gradient_steps": 32, "n_steps": 10, "learning_rate": 2e-3, "target_update_interval": 256,
        "exploration_fraction": 0.13,
    },
    "Acrobot-v1": {
        "batch_size": 128, "train_freq": 64, "gradient_steps": 32, "n_steps": 5, "learning_rate": 1.2e-3,
        "exploration_fraction": 0.15,
    },
    "MountainCar-v0": {
        "gamma": 0.98, "net_arch": (128, 128), "n_steps": 3, "learning_rate": 3e-3, "target_update_interval": 550,
        "exploration_fraction": 0.15,
    },
    "LunarLander-v3": {"batch_size": 128, "net_arch": (128, 128), "train_freq": 8, "gradient_steps": 8},
}  # fmt: skip


@dataclass(frozen=True)
class Setting:
    """One setting of the design.

    Attributes:
        name: ``defaults``, ``narrow``, ``zoo/ENV+ENV`` or ``hand/ENV`` (tuned for environments), or ``sobol/N``.
        params: What a study of the space would store; empty for named settings.
        hyperparameters: All of it.
    """

    name: str
    params: dict[str, Any]
    hyperparameters: Hyperparameters

    @property
    def tuned_for(self) -> tuple[str, ...]:
        """The environments whose values these are."""
        source, _, envs = self.name.partition("/")
        return tuple(envs.split("+")) if source in ("zoo", "hand") else ()


class Point:
    """A suggestion source that reads a point of the unit cube: each name has a coordinate of its own.

    Args:
        coordinates: Name to a number in [0, 1).
    """

    def __init__(self, coordinates: dict[str, float]) -> None:
        self._at = coordinates

    def float(self, name, low, high, log, step):
        """Return the float at the coordinate."""
        if log:
            return float(np.clip(math.exp(math.log(low) + self._at[name] * math.log(high / low)), low, high))
        return float(low + self._at[name] * (high - low))

    def int(self, name, low, high, log, step):
        """Return the integer at the coordinate; every integer has an equal share (in the logarithm: about so)."""
        at = self._at[name]
        if log:
            lowest, highest = math.log(low - 0.5), math.log(high + 0.5)
            return int(np.clip(round(math.exp(lowest + at * (highest - lowest))), low, high))
        count = (high - low) // (step or 1) + 1
        return int(low + min(int(at * count), count - 1) * (step or 1))

    def choice(self, name, options):
        """Return the choice at the coordinate."""
        return options[min(int(self._at[name] * len(options)), len(options) - 1)]


def wide_space(name: str) -> SearchSpace:
    """Return a space as the design sees it: no environment's entry, cut to the reference budget."""
    space, _ = load_by_name(name, "dqn").for_environment("lab")
    return space.with_budget(n_timesteps=REFERENCE_STEPS).clip_to_budget()


def named_settings() -> list[Setting]:
    """Return DQN's defaults, and values that others have tuned."""
    named = [Setting("defaults", {}, algorithm_class("dqn")())]
    for envs in ZOO:
        values, *same = [zoo_values(env) for env in envs]
        assert values is not None
        assert all(other == values for other in same)
        named.append(Setting(f"zoo/{'+'.join(envs)}", {}, from_mapping("dqn", values)))
    named.append(Setting("narrow", {}, from_mapping("dqn", NARROW)))
    named += [Setting(f"hand/{env}", {}, from_mapping("dqn", {**NARROW, **own})) for env, own in BY_HAND.items()]
    return named


def draw(space: SearchSpace, points: int, seed: int = 0) -> list[Setting]:
    """Return the named settings and ``points`` points of a scrambled Sobol sequence."""
    named = named_settings()
    names = [item.name for item in space.dimensions]
    sobol = qmc.Sobol(len(names), scramble=True, rng=np.random.default_rng(seed))
    cube = sobol.random_base2(max(math.ceil(math.log2(max(points, 1))), 1))[:points]
    for number, row in enumerate(cube):
        params = space.sample(Point(dict(zip(names, row, strict=True))))
        named.append(Setting(f"sobol/{number}", params, space.resolve(params)))
    return named


def save(settings: list[Setting], space: SearchSpace, path: Path) -> None:
    """Write a design and the space it was drawn from."""
    rows = [{"name": s.name, "params": s.params, "hyperparameters": s.hyperparameters.to_mapping()} for s in settings]
    text = json.dumps({"space": space.to_mapping(), "settings": rows}, indent=0)
    path.write_text(text + "\n")


def load(path: Path) -> list[Setting]:
    """Return a stored design. A field that has come since takes its default."""
    rows = json.loads(path.read_text())["settings"]
    return [Setting(row["name"], row["params"], from_mapping("dqn", row["hyperparameters"])) for row in rows]


def design_hash(path: Path) -> str:
    """Return what names a design: the first 12 digits of its SHA-256."""
    return hashlib.sha256(path.read_bytes()).hexdigest()[:12]
