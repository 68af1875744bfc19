"""The lab's environments: families of a few members each, with a budget and a range of returns for every member.

    tune --env lab/Catch-v0 --env-module benchmarks/lab/environments.py --trials 30 --steps 8000

Importing this file registers those whose id begins with ``lab/``; the others are Gymnasium's own, MinAtar's and
FlappyBird's. A family is what is left out when methods are judged: its members resemble each other, and nothing else
here. The first member of a family is measured first.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import gymnasium
from classic import DoublePendulum, Hill, Pole, SwingUp
from decisions import Bandit, Inventory, Sorting, Umbrella
from grids import LOCKED, Catch, DeepSea, House
from vectors import Boiler, Corridor, Hover
from wrappers import Instruments, ScaledReward

#: What `--env-module` takes.
MODULE = str(Path(__file__).resolve())


@dataclass(frozen=True)
class Member:
    """One environment of the lab.

    Attributes:
        family: Which family it belongs to.
        id: Gymnasium id.
        steps: Environment steps of a run.
        episodes: Episodes of an evaluation.
        floor: Mean return of uniformly random play, or of doing no harm (``idle``).
        ceiling: Return of the best policy known, or a bound that no policy passes by much.
        known: What ``ceiling`` is: ``policy`` (a stated policy earns it), ``bound`` (no policy earns more) or
            ``estimate``.
        settings: How many of the design's settings are measured here at most; None for all.
        idle: Whether ``floor`` is what steps without any mistake earn until the limit: where a mistake is dear, nearly
            every setting learns that much.
    """

    family: str
    id: str
    steps: int
    episodes: int
    floor: float
    ceiling: float
    known: Literal["policy", "bound", "estimate"]
    settings: int | None = None
    idle: bool = False

    def normalised(self, returns: Any) -> Any:
        """Return returns as shares of the way from floor to ceiling; not cut off at either end."""
        return (returns - self.floor) / (self.ceiling - self.floor)


#: Settings measured where a step is dear.
FEW = 40

MEMBERS = (
    Member("cartpole", "CartPole-v1", 12_000, 5, 23, 500, "bound"),
    Member("cartpole", "lab/CartPoleLong-v0", 12_000, 5, 41, 500, "bound"),
    Member("cartpole", "lab/CartPoleUnits-v0", 12_000, 5, 2_540, 20_000, "bound"),
    Member("acrobot", "lab/Acrobot-v0", 12_000, 5, -400, -75, "estimate"),
    Member("acrobot", "lab/AcrobotHeavy-v0", 12_000, 5, -300, -75, "estimate"),
    Member("mountain_car", "lab/HillStrong-v0", 15_000, 5, -300, -45, "estimate"),
    Member("mountain_car", "MountainCar-v0", 30_000, 5, -200, -95, "estimate"),
    Member("mountain_car", "lab/HillPatient-v0", 20_000, 5, -40, -10, "estimate"),
    Member("lunar_lander", "LunarLander-v3", 30_000, 5, -185, 280, "estimate", FEW),
    Member("lunar_lander", "lab/LunarGentle-v0", 25_000, 5, -325, 280, "estimate", FEW),
    Member("pendulum", "lab/SwingUp-v0", 10_000, 5, -1_230, -150, "policy"),
    Member("pendulum", "lab/SwingUpFine-v0", 10_000, 5, -12.2, -1.43, "policy"),
    Member("frozen_lake", "FrozenLake-v1", 10_000, 30, 0.015, 0.74, "policy"),
    Member("frozen_lake", "lab/FrozenLakeLarge-v0", 10_000, 1, 0.0, 1.0, "policy"),
    Member("taxi", "Taxi-v4", 25_000, 5, -200, 7.9, "policy", FEW, idle=True),
    Member("taxi", "lab/TaxiRainy-v0", 25_000, 5, -200, 3.5, "policy", FEW, idle=True),
    Member("cliff", "lab/Cliff-v0", 8_000, 1, -100, -13, "policy", idle=True),
    Member("cliff", "lab/CliffSlippery-v0", 10_000, 10, -1_100, -64, "policy"),
    Member("blackjack", "Blackjack-v1", 6_000, 200, -0.395, -0.046, "policy"),
    Member("blackjack", "lab/BlackjackNatural-v0", 6_000, 200, -0.375, -0.024, "policy"),
    Member("flappy", "lab/FlappyWide-v0", 10_000, 5, -7.5, 36, "bound"),
    Member("flappy", "lab/FlappyGap-v0", 15_000, 5, -7.5, 36, "bound"),
    Member("minatar", "MinAtar/Breakout-v1", 12_000, 5, 0.4, 10, "estimate", FEW),
    Member("minatar", "MinAtar/Asterix-v1", 12_000, 5, 0.5, 10, "estimate", FEW),
    Member("minatar", "MinAtar/SpaceInvaders-v1", 12_000, 5, 3.5, 50, "estimate", FEW),
    Member("deep_sea", "lab/DeepSea-v0", 8_000, 1, 0.0, 0.99, "policy"),
    Member("deep_sea", "lab/DeepSeaPlace-v0", 8_000, 1, 0.0, 0.99, "policy"),
    Member("deep_sea", "lab/DeepSeaSlip-v0", 10_000, 30, 0.0, 0.69, "policy"),
    Member("catch", "lab/Catch-v0", 4_000, 20, -0.75, 1.0, "policy"),
    Member("catch", "lab/CatchNoisy-v0", 5_000, 50, -0.745, 1.0, "policy"),
    Member("corridor", "lab/Corridor-v0", 5_000, 20, 0.15, 0.97, "policy"),
    Member("corridor", "lab/CorridorLong-v0", 6_000, 20, 0.14, 0.94, "policy"),
    Member("house", "lab/FourRooms-v0", 10_000, 20, 0.15, 1.0, "policy"),
    Member("house", "lab/LockedDoor-v0", 12_000, 5, -0.67, 1.0, "policy"),
    Member("bandit", "lab/Bandit-v0", 3_000, 100, 0.0, 1.0, "policy"),
    Member("bandit", "lab/BanditDear-v0", 3_000, 100, 0.0, 1_550, "policy"),
    Member("inventory", "lab/Inventory-v0", 8_000, 10, 7_450, 11_550, "policy"),
    Member("inventory", "lab/InventoryFast-v0", 8_000, 10, 15_950, 19_500, "policy"),
    Member("umbrella", "lab/Umbrella-v0", 5_000, 50, 0.0, 1.0, "policy"),
    Member("umbrella", "lab/UmbrellaLong-v0", 10_000, 50, 0.0, 1.0, "policy"),
    Member("sorting", "lab/Sorting-v0", 5_000, 20, 0.142, 1.0, "policy"),
    Member("sorting", "lab/SortingLong-v0", 5_000, 20, 33.5, 100, "policy"),
    Member("boiler", "lab/Boiler-v0", 8_000, 5, -1_955, -60, "policy"),
    Member("boiler", "lab/BoilerSmall-v0", 8_000, 5, -1.955, -0.06, "policy"),
    Member("hover", "lab/Hover-v0", 8_000, 10, -127, -12, "policy"),
    Member("hover", "lab/HoverIce-v0", 12_000, 10, -225, -18.5, "policy"),
)

FAMILIES = tuple(dict.fromkeys(member.family for member in MEMBERS))


def in_units(**physics: Any) -> gymnasium.Env:
    """CartPole in other units, a little blurred, at a wage of 100 a step."""
    env = Instruments(Pole(**physics), scale=(100.0, 1.0, 0.01, 10.0), noise=(0.01, 0.02, 0.002, 0.02))
    return ScaledReward(env, 100.0)


def patient_hill(**physics: Any) -> gymnasium.Env:
    """A weaker car with more time, at a tenth of the cost of a step."""
    return ScaledReward(Hill(**physics), 0.1)


def fine_swing_up(**physics: Any) -> gymnasium.Env:
    """Swing-up at a hundredth of the cost."""
    return ScaledReward(SwingUp(**physics), 0.01)


def register() -> None:
    """Register the ids that begin with ``lab/``."""
    own: dict[str, tuple[Callable[..., gymnasium.Env] | str, int | None, dict[str, Any]]] = {
        "CartPoleLong": (Pole, 500, {"length": 1.5, "masspole": 0.5, "gravity": 12.0}),
        "CartPoleUnits": (in_units, 200, {"masscart": 2.0, "force_mag": 15.0}),
        "Acrobot": (DoublePendulum, 400, {}),
        "AcrobotHeavy": (DoublePendulum, 300, {"second_mass": 1.5, "torque": 1.5}),
        "HillStrong": (Hill, 300, {"force": 0.0022}),
        "HillPatient": (patient_hill, 400, {"force": 0.0009, "gravity": 0.0022}),
        "LunarGentle": ("gymnasium.envs.box2d:LunarLander", 600, {"gravity": -5.0}),
        "SwingUp": (SwingUp, 200, {}),
        "SwingUpFine": (fine_swing_up, 200, {"torques": 9, "gravity": 9.0}),
        "FrozenLakeLarge": ("gymnasium.envs.toy_text:FrozenLakeEnv", 100, {"map_name": "8x8", "is_slippery": False}),
        "TaxiRainy": ("gymnasium.envs.toy_text:TaxiEnv", 200, {"is_rainy": True}),
        "Cliff": ("gymnasium.envs.toy_text:CliffWalkingEnv", 100, {}),
        "CliffSlippery": ("gymnasium.envs.toy_text:CliffWalkingEnv", 100, {"is_slippery": True}),
        "BlackjackNatural": ("gymnasium.envs.toy_text:BlackjackEnv", None, {"natural": True}),
        "FlappyWide": ("flappy_bird_gymnasium:FlappyBirdEnv", 300, {"use_lidar": False, "pipe_gap": 150}),
        "FlappyGap": ("flappy_bird_gymnasium:FlappyBirdEnv", 300, {"use_lidar": False, "pipe_gap": 120}),
        "DeepSea": (DeepSea, None, {"size": 8}),
        "DeepSeaPlace": (DeepSea, None, {"size": 6, "coordinates": True}),
        "DeepSeaSlip": (DeepSea, None, {"size": 7, "slip": 0.05}),
        "Catch": (Catch, None, {"columns": 8}),
        "CatchNoisy": (Catch, None, {"rows": 8, "columns": 7, "noise": 1.0}),
        "Corridor": (Corridor, 120, {"length": 20, "slip": 0.15, "distractors": 16}),
        "CorridorLong": (Corridor, 200, {"length": 25, "slip": 0.2, "distractors": 4}),
        "FourRooms": (House, 60, {}),
        "LockedDoor": (House, 100, {"plan": LOCKED, "key_reward": 0.1, "step_reward": -0.01}),
        "Bandit": (Bandit, None, {"size": 10, "noise": 2.0}),
        "BanditDear": (Bandit, None, {"machines": 8, "noise": 0.5, "scale": 1_000.0}),
        "Inventory": (Inventory, None, {}),
        "InventoryFast": (Inventory, None, {"demand": 8.0}),
        "Umbrella": (Umbrella, None, {"length": 20, "distractors": 10, "chance": 0.3}),
        "UmbrellaLong": (Umbrella, None, {"length": 40, "distractors": 4}),
        "Sorting": (Sorting, None, {"kinds": 7, "length": 20}),
        "SortingLong": (Sorting, None, {"kinds": 3, "length": 20, "wage": 100.0}),
        "Boiler": (Boiler, None, {}),
        "BoilerSmall": (Boiler, None, {"unit": 0.001}),
        "Hover": (Hover, None, {}),
        "HoverIce": (Hover, None, {"friction": 0.02, "steps": 120}),
    }
    for name, (entry, limit, kwargs) in own.items():
        if f"lab/{name}-v0" not in gymnasium.registry:
            # A partial's arguments are the member's own: nothing can be overridden by `--env-arg` under this name.
            entry_point = entry if isinstance(entry, str) else partial(entry, **kwargs)
            gymnasium.register(
                f"lab/{name}-v0",
                entry_point=entry_point,
                max_episode_steps=limit,
                kwargs=kwargs if isinstance(entry, str) else {},
            )


def member(env_id: str) -> Member:
    """Return the member of an id."""
    return next(found for found in MEMBERS if found.id == env_id)


def family_of(env_id: str) -> str | None:
    """Return the family of an id, also of one that is tuned elsewhere and stands here under another name."""
    if env_id == "Acrobot-v1":
        return "acrobot"
    return next((found.family for found in MEMBERS if found.id == env_id), None)


register()
