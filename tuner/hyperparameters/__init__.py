"""Every hyperparameter, declared once.

One frozen dataclass per algorithm, in a file of its own in this folder, where it is found; it also says who trains the
algorithm (``sb3.py`` has what the algorithms of Stable-Baselines3 share). A field's metadata carries its valid range,
its unit, whether lanes of one stack may differ in it (``lane``) or must agree (``shape``), and its help. Command-line
help, YAML validation, the table in the README and the mapping to Stable-Baselines3 are generated from these
declarations.

Names and meanings are those of Stable-Baselines3 2.9 with one environment; ``sb3=False`` marks what only the native
agent knows.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterable, Mapping
from typing import Any

from tuner.errors import InputError, nearest
from tuner.fields import FieldInfo as FieldInfo
from tuner.fields import field_infos as field_infos
from tuner.hyperparameters.base import BACKENDS as BACKENDS
from tuner.hyperparameters.base import Backend as Backend
from tuner.hyperparameters.base import Hyperparameters as Hyperparameters
from tuner.hyperparameters.dqn import DQNHyperparameters as DQNHyperparameters
from tuner.hyperparameters.fqi import FQIHyperparameters as FQIHyperparameters
from tuner.hyperparameters.q_learning import QLearningHyperparameters as QLearningHyperparameters
from tuner.hyperparameters.sampled_dqn import SampledDQNHyperparameters as SampledDQNHyperparameters
from tuner.hyperparameters.schedules import spelled_out as spelled_out

for _module in pkgutil.iter_modules(__path__):  # every file in this folder declares its algorithm
    importlib.import_module(f"{__name__}.{_module.name}")


def _declared(base: type[Hyperparameters] = Hyperparameters) -> list[type[Hyperparameters]]:
    return [found for cls in base.__subclasses__() for found in (cls, *_declared(cls))]


_OWN: tuple[type[Hyperparameters], ...] = (
    DQNHyperparameters, QLearningHyperparameters, FQIHyperparameters, SampledDQNHyperparameters,
)  # fmt: skip

#: Algorithm name (as ``--algo`` takes it) to its dataclass; those with a trainer of our own first.
ALGORITHMS: dict[str, type[Hyperparameters]] = {cls.algorithm: cls for cls in (*_OWN, *_declared()) if cls.algorithm}


def from_mapping(algorithm: str, values: Mapping[str, Any], *, images: bool = False) -> Hyperparameters:
    """Build validated hyperparameters from plain data, the rest at their defaults.

    ``lin_3e-4`` is a number that falls to 0 over the run, where the algorithm has such a schedule.

    Args:
        algorithm: As ``--algo`` takes it.
        values: By field.
        images: Whether it sees images: its defaults are those that Stable-Baselines3 has for them then.

    Raises:
        InputError: Unknown algorithm or field (naming the nearest one), wrong type or out of range.
    """
    cls = algorithm_class(algorithm)
    infos, values = field_infos(cls), spelled_out(cls, values)
    for name in values:
        if name not in infos:
            raise unknown_field(algorithm, str(name), infos)
    return cls(**{**(cls.image_defaults if images else {}), **values})


def defaults(algorithm: str, *, images: bool) -> Hyperparameters:
    """Return an algorithm's defaults, where it sees images those that Stable-Baselines3 has for them."""
    return from_mapping(algorithm, {}, images=images)


def unknown_field(algorithm: str, name: str, known: Iterable[str]) -> InputError:
    """Return the error for a field that an algorithm does not have: it names who has it, or the nearest that it has."""
    owners = [other for other, cls in ALGORITHMS.items() if name in field_infos(cls)]
    way_out = f" Leave it out, or use --algo {'|'.join(owners)}." if owners else nearest(name, known)
    return InputError(f"{algorithm} has no hyperparameter '{name}'.{way_out} Known: {', '.join(known)}.")


def algorithm_class(algorithm: str) -> type[Hyperparameters]:
    """Return the dataclass of ``algorithm`` or raise InputError naming the known ones."""
    if algorithm not in ALGORITHMS:
        raise InputError(f"--algo must be one of {', '.join(ALGORITHMS)}, got '{algorithm}'.")
    return ALGORITHMS[algorithm]


def check_backends(algorithm: str, backends: Iterable[str]) -> None:
    """Check who trains an algorithm.

    Raises:
        InputError: One of ``backends`` does not.
    """
    able = algorithm_class(algorithm).backends()
    for backend in backends:
        if backend not in able:
            trained = ", ".join(name for name, cls in ALGORITHMS.items() if backend in cls.backends())
            raise InputError(
                f"--backend {backend} trains {trained} only, got --algo {algorithm}. Use --backend {able[0]}."
            )


def trains(backend: str, hyperparameters: Hyperparameters) -> bool:
    """Whether a backend trains these hyperparameters, with every option that is on."""
    able = backend in hyperparameters.backends()
    return able and not (backend == "sb3" and beyond_sb3(hyperparameters))


def beyond_sb3(hyperparameters: Hyperparameters) -> list[str]:
    """Return the names of options in use without which Stable-Baselines3 would learn something else."""
    infos = field_infos(type(hyperparameters)).values()
    return [i.name for i in infos if i.learned and i.beyond_sb3(getattr(hyperparameters, i.name))]
