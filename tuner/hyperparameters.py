"""Every hyperparameter, declared once.

One frozen dataclass per algorithm. A field's metadata carries its valid range, its unit, whether lanes of one stack
may differ in it (``lane``) or must agree (``shape``), and its help. Command-line help, YAML validation, the table in
the README and the mapping to Stable-Baselines3 are generated from these declarations.

Names and meanings are those of Stable-Baselines3 2.9 with one environment; ``sb3=False`` marks what only the native
agent knows.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

from tuner.errors import InputError, nearest

Kind = Literal["float", "int", "bool", "choice", "layers"]
Scope = Literal["lane", "shape"]


@dataclass(frozen=True)
class FieldInfo:
    """What is known of one hyperparameter apart from its value.

    Attributes:
        name: Field name.
        kind: ``layers`` is a sequence of layer widths.
        default: Value when nothing is said.
        low: Smallest valid value (numbers and layer widths).
        high: Largest valid value.
        low_open: Whether ``low`` itself is excluded.
        choices: Valid words for ``choice``.
        unit: Unit of the value, or an empty string.
        scope: ``lane`` when lanes of one stack may differ, ``shape`` when they must agree.
        sb3: Whether Stable-Baselines3's algorithm has it.
        help: One sentence.
    """

    name: str
    kind: Kind
    default: Any
    low: float
    high: float
    low_open: bool
    choices: tuple[str, ...]
    unit: str
    scope: Scope
    sb3: bool
    help: str

    @property
    def valid_range(self) -> str:
        """The rule in words, as error messages and tables show it."""
        if self.kind == "bool":
            return "true or false"
        if self.kind == "choice":
            return "one of " + ", ".join(self.choices)
        low = f"{'above' if self.low_open else 'at least'} {_short(self.low)}"
        high = "" if math.isinf(self.high) else f" and at most {_short(self.high)}"
        what = (
            "a list of layer widths, each " if self.kind == "layers" else ("an integer " if self.kind == "int" else "")
        )
        return f"{what}{low}{high}"

    def check(self, value: object) -> Any:
        """Return ``value`` in the field's own type, or raise.

        Raises:
            InputError: Wrong type or out of range; the message names field, rule and value.
        """
        ok, value = self._coerce(value)
        if not ok:
            hint = _number_hint(value)
            raise InputError(f"{self.name} must be {self.valid_range}, got {value!r}.{hint}")
        return value

    def _coerce(self, value: object) -> tuple[bool, Any]:
        if self.kind == "bool":
            return isinstance(value, bool), value
        if self.kind == "choice":
            return isinstance(value, str) and value in self.choices, value
        if self.kind == "layers":
            if not isinstance(value, list | tuple):
                return False, value
            widths = tuple(value)
            return all(_is_int(w) and self.low <= w <= self.high for w in widths), widths
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            return False, value
        if self.kind == "int":
            if not float(value).is_integer():
                return False, value
            value = int(value)
        else:
            value = float(value)
        above = value > self.low if self.low_open else value >= self.low
        return above and value <= self.high, value


def _is_int(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _short(number: float) -> str:
    return f"{number:g}" if abs(number) < 1e6 else f"{int(number):_}"


def _number_hint(value: object) -> str:
    """Explain YAML 1.1's trap: ``1e-5`` without a dot is text."""
    if isinstance(value, str):
        try:
            number = float(value)
        except ValueError:
            return ""
        return f" YAML reads {value} as text; write {_yaml_float(number)}."
    return ""


def _yaml_float(number: float) -> str:
    text = repr(number)
    mantissa, e, exponent = text.partition("e")
    return f"{mantissa if '.' in mantissa else mantissa + '.0'}e{exponent}" if e else text


def _declare(
    default: Any,
    help: str,
    *,
    kind: Kind,
    low: float = -math.inf,
    high: float = math.inf,
    low_open: bool = False,
    choices: tuple[str, ...] = (),
    unit: str = "",
    scope: Scope = "lane",
    sb3: bool = True,
) -> Any:
    metadata = {
        "kind": kind,
        "low": low,
        "high": high,
        "low_open": low_open,
        "choices": choices,
        "unit": unit,
        "scope": scope,
        "sb3": sb3,
        "help": help,
    }
    return field(default=default, metadata=metadata)


@dataclass(frozen=True)
class Hyperparameters:
    """What every algorithm's hyperparameters have in common: validation and plain-data conversion."""

    algorithm: ClassVar[str] = ""

    def __post_init__(self) -> None:
        for info in field_infos(type(self)).values():
            object.__setattr__(self, info.name, info.check(getattr(self, info.name)))

    def to_mapping(self) -> dict[str, Any]:
        """Return plain data: numbers, text, booleans and lists, in field order."""
        raw = {info.name: getattr(self, info.name) for info in field_infos(type(self)).values()}
        return {name: list(value) if isinstance(value, tuple) else value for name, value in raw.items()}

    def shape(self) -> tuple[object, ...]:
        """Return the values that lanes of one stack must share."""
        infos = field_infos(type(self)).values()
        return tuple(getattr(self, info.name) for info in infos if info.scope == "shape")


@dataclass(frozen=True)
class DQNHyperparameters(Hyperparameters):
    """Deep Q-learning (Mnih et al. 2015). Defaults are Stable-Baselines3's, but for ``buffer_size``'s memory: a run
    never allocates more than its step budget.
    """

    algorithm: ClassVar[str] = "dqn"

    learning_rate: float = _declare(1e-4, "Step size of the optimizer.", kind="float", low=0.0, low_open=True, high=1.0)
    buffer_size: int = _declare(
        1_000_000,
        "Transitions the replay memory holds; the oldest go first.",
        kind="int",
        low=1,
        high=1e7,
        unit="transitions",
    )
    learning_starts: int = _declare(
        100,
        "Steps of uniformly random play before the first gradient step.",
        kind="int",
        low=0,
        high=1e7,
        unit="environment steps",
    )
    batch_size: int = _declare(
        32, "Transitions per gradient step.", kind="int", low=1, high=8192, unit="transitions", scope="shape"
    )
    tau: float = _declare(
        1.0,
        "Share of the online network that each target update takes over; 1 copies it.",
        kind="float",
        low=0.0,
        low_open=True,
        high=1.0,
    )
    gamma: float = _declare(0.99, "Discount factor per environment step.", kind="float", low=0.0, high=1.0)
    train_freq: int = _declare(
        4, "Steps collected between two training calls.", kind="int", low=1, high=100_000, unit="environment steps"
    )
    gradient_steps: int = _declare(
        1,
        "Gradient steps per training call; -1 does as many as steps were collected.",
        kind="int",
        low=-1,
        high=100_000,
        unit="updates",
    )
    target_update_interval: int = _declare(
        10_000,
        "Steps between two updates of the target network.",
        kind="int",
        low=1,
        high=1e7,
        unit="environment steps",
    )
    exploration_fraction: float = _declare(
        0.1,
        "Share of the run over which epsilon falls from its initial to its final value.",
        kind="float",
        low=0.0,
        high=1.0,
        unit="share of the run",
    )
    exploration_initial_eps: float = _declare(
        1.0, "Probability of a random action at the start.", kind="float", low=0.0, high=1.0, unit="probability"
    )
    exploration_final_eps: float = _declare(
        0.05,
        "Probability of a random action once epsilon has fallen.",
        kind="float",
        low=0.0,
        high=1.0,
        unit="probability",
    )
    max_grad_norm: float = _declare(
        10.0, "Bound on the Euclidean norm of the gradient.", kind="float", low=0.0, low_open=True, high=1e9
    )
    net_arch: tuple[int, ...] = _declare(
        (64, 64), "Widths of the hidden layers.", kind="layers", low=1, high=4096, unit="units", scope="shape"
    )
    optimizer: str = _declare(
        "adam", "Gradient descent rule.", kind="choice", choices=("adam", "rmsprop"), scope="shape", sb3=False
    )
    loss: str = _declare(
        "huber",
        "Loss on the temporal-difference error.",
        kind="choice",
        choices=("huber", "mse"),
        scope="shape",
        sb3=False,
    )
    exploration_schedule: str = _declare(
        "linear", "How epsilon falls.", kind="choice", choices=("linear", "exponential"), sb3=False
    )
    double_q: bool = _declare(
        False,
        "Choose the next action with the online network, value it with the target (van Hasselt et al. 2016).",
        kind="bool",
        scope="shape",
        sb3=False,
    )

    def updates_per_call(self) -> int:
        """Gradient steps per training call with ``-1`` resolved as Stable-Baselines3 does."""
        return self.train_freq if self.gradient_steps < 0 else self.gradient_steps


#: Algorithm name (as ``--algo`` takes it) to its dataclass.
ALGORITHMS: dict[str, type[Hyperparameters]] = {"dqn": DQNHyperparameters}


def field_infos(cls: type[Hyperparameters]) -> dict[str, FieldInfo]:
    """Return the declared fields of an algorithm in order."""
    return {
        f.name: FieldInfo(name=f.name, default=f.default, **f.metadata) for f in dataclasses.fields(cls) if f.metadata
    }


def from_mapping(algorithm: str, values: Mapping[str, Any]) -> Hyperparameters:
    """Build validated hyperparameters from plain data, the rest at their defaults.

    Raises:
        InputError: Unknown algorithm or field (naming the nearest one), wrong type or out of range.
    """
    cls = algorithm_class(algorithm)
    infos = field_infos(cls)
    for name in values:
        if name not in infos:
            raise InputError(
                f"{algorithm} has no hyperparameter '{name}'.{nearest(str(name), infos)} Known: {', '.join(infos)}."
            )
    return cls(**values)


def algorithm_class(algorithm: str) -> type[Hyperparameters]:
    """Return the dataclass of ``algorithm`` or raise InputError naming the known ones."""
    if algorithm not in ALGORITHMS:
        raise InputError(f"--algo must be one of {', '.join(ALGORITHMS)}, got '{algorithm}'.")
    return ALGORITHMS[algorithm]


def beyond_sb3(hyperparameters: Hyperparameters) -> list[str]:
    """Return the names of options in use that Stable-Baselines3 does not have."""
    infos = field_infos(type(hyperparameters)).values()
    return [i.name for i in infos if not i.sb3 and getattr(hyperparameters, i.name) != i.default]
