"""What every algorithm's hyperparameters have in common: validation and plain-data conversion."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, NamedTuple, Self

from tuner.errors import InputError
from tuner.fields import field_infos

#: Who trains, and what that is called in a sentence.
Backend = Literal["native", "sb3"]
BACKENDS: dict[Backend, str] = {"native": "the native backend", "sb3": "Stable-Baselines3"}

#: Field -> its largest meaningful value is the run's steps divided by this. A memory larger than the run is never
#: filled; a target network that is updated fewer than five times hardly moves; beyond a fifth of the run spent before
#: learning, little is left to learn in; fewer than 50 training calls are not training.
CAPS = {"buffer_size": 1, "target_update_interval": 5, "learning_starts": 5, "train_freq": 50}


class Clash(NamedTuple):
    """Values that do not go together.

    Attributes:
        problem: What, the rule, the values and a way out, in one line.
        moves: Field -> a value at which it goes with the others; of a drawn setting the first one that was drawn moves.
    """

    problem: str
    moves: Mapping[str, Any]


@dataclass(frozen=True)
class Hyperparameters:
    """Base of all dataclasses of hyperparameters."""

    #: Its name as ``--algo`` takes it, and as people write it.
    algorithm: ClassVar[str] = ""
    title: ClassVar[str] = ""
    #: What a run's budget and its evaluation grid count.
    clock: ClassVar[str] = "environment steps"
    #: Whether there is a trainer of our own, and whether that trains several runs side by side.
    native: ClassVar[bool] = True
    stacks: ClassVar[bool] = False
    #: The class of Stable-Baselines3 that trains it, ``module.Class``; empty where there is none. Export, RL Zoo's
    #: tuned values (under the class's name) and the confirm stage on another backend follow from it.
    sb3_class: ClassVar[str] = ""
    #: What RL Zoo calls it where that is not the class's name; and what its policies are called after Mlp or Cnn.
    zoo: ClassVar[str] = ""
    policy_suffix: ClassVar[str] = "Policy"
    #: Fields that Stable-Baselines3 has in a wrapper of the environment, ``VecNormalize``, not in its algorithm.
    wrapped: ClassVar[tuple[str, ...]] = ()
    #: Kinds of action spaces that it acts in.
    actions: ClassVar[tuple[str, ...]] = ("Discrete",)
    #: Whether it learns from images, and the defaults that are others then: those of Stable-Baselines3's ``CnnPolicy``.
    images: ClassVar[bool] = True
    image_defaults: ClassVar[Mapping[str, Any]] = {}
    #: Field -> its largest meaningful value is the run's steps divided by this.
    caps: ClassVar[Mapping[str, int]] = CAPS
    #: Whether it numbers states instead of reading them, so that there may be any number of them.
    tabular: ClassVar[bool] = False
    #: Whether its policy remembers the steps before. Stable-Baselines3 gives such a one nothing but vectors to read.
    remembers: ClassVar[bool] = False
    #: Fields that decide how much a run computes and holds.
    costly: ClassVar[tuple[str, ...]] = ()
    #: (module, extra) that it needs beside what is always there.
    needs: ClassVar[tuple[str, str] | None] = None

    @classmethod
    def backends(cls) -> tuple[Backend, ...]:
        """Return who trains it, as ``--backend`` takes them."""
        trains = {"native": cls.native, "sb3": bool(cls.sb3_class)}
        return tuple(name for name in BACKENDS if trains[name])

    @classmethod
    def stacked(cls, backend: str) -> bool:
        """Whether a backend trains several of its runs side by side."""
        return cls.stacks and backend == "native"

    @classmethod
    def zoo_name(cls) -> str:
        """Return what RL Zoo calls it; empty where Stable-Baselines3 does not have it."""
        return cls.zoo or cls.sb3_class.rpartition(".")[2].lower()

    @classmethod
    def largest_meaningful(cls, field: str, n_timesteps: int) -> int | None:
        """Return the largest value of a field that means anything in a run of ``n_timesteps``; None without a limit."""
        return max(n_timesteps // cls.caps[field], 1) if field in cls.caps else None

    def __post_init__(self) -> None:
        for info in field_infos(type(self)).values():
            object.__setattr__(self, info.name, info.check(getattr(self, info.name)))
        if found := self.clash(vars(self)):
            raise InputError(found.problem)

    @classmethod
    def clash(cls, values: Mapping[str, Any]) -> Clash | None:
        """Return which values do not go together, each in its own range; None where all do.

        Args:
            values: Of every field that is asked about.
        """
        return None

    def to_mapping(self) -> dict[str, Any]:
        """Return plain data: numbers, text, booleans and lists, in field order."""
        raw = {info.name: getattr(self, info.name) for info in field_infos(type(self)).values()}
        return {name: list(value) if isinstance(value, tuple) else value for name, value in raw.items()}

    def named_mapping(self) -> dict[str, Any]:
        """Return plain data that names a run or a setting: without younger fields at their defaults."""
        infos = field_infos(type(self))
        return {n: v for n, v in self.to_mapping().items() if not infos[n].younger or v != infos[n].default}

    def compiles(self, update_path: int | None = None) -> bool:
        """Whether compiled code, where there is any, trains these hyperparameters.

        Args:
            update_path: The version of that rule that the run follows; None for the newest.
        """
        on = (i for i in field_infos(type(self)).values() if getattr(self, i.name) != i.default)
        return all(i.compiled is not None and (update_path is None or i.compiled <= update_path) for i in on)

    def sums_normalized_rewards(self) -> bool:
        """Whether native returns are sums of several normalised rewards: what the rule ``reward_clip`` is about."""
        return False

    def shape(self) -> tuple[object, ...]:
        """Return the values that lanes of one stack must share."""
        infos = field_infos(type(self)).values()
        return tuple(getattr(self, info.name) for info in infos if info.scope == "shape")

    def random_steps(self, n_timesteps: int) -> int:
        """Return how many steps of a run of ``n_timesteps`` come before learning starts."""
        return 0

    def steady(self, *, learns: bool) -> Self:
        """Return settings whose runs do at each of their steps what these do on average once, or before, they learn."""
        return self

    def stored_transitions(self, n_timesteps: int) -> int:
        """Return how many transitions a run of ``n_timesteps`` keeps at a time: what its replay memory holds."""
        buffer_size: int = getattr(self, "buffer_size", 0)
        return min(buffer_size, n_timesteps)

    def work(self, network_bytes: int, n_timesteps: int) -> float:
        """Return a number that grows with a run's computing: what settings are ordered by, not a time."""
        return 1.0

    def costly_values(self) -> tuple[object, ...]:
        """Return what decides a run's time."""
        return self.shape()
