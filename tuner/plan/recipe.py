"""The complete description of a study: what the command line, a YAML file or Python code asks for.

Every field declares its flag, whether it is pinned when a study is resumed, its rule and its help; the command line,
recipe files and the resume check are generated from these declarations.
"""

from __future__ import annotations

import dataclasses
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from tuner.durations import parse_duration
from tuner.envs.spec import EnvSpec
from tuner.errors import InputError, nearest
from tuner.hyperparameters import ALGORITHMS

Kind = Literal["text", "int", "number", "duration", "bool", "mapping"]

#: What a study may be called: it becomes a folder, a file and a key in the database.
NAME_PATTERN = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._-]{0,127}\Z")

#: Where a Ray cluster's head listens.
RAY_ADDRESS_PATTERN = re.compile(r"^[A-Za-z0-9._-]+:[0-9]{1,5}\Z")


def _declare(
    default: Any,
    help: str,
    *,
    kind: Kind = "text",
    pinned: bool = False,
    choices: tuple[str, ...] = (),
    low: float | None = None,
    high: float | None = None,
) -> Any:
    metadata = {"help": help, "pinned": pinned, "choices": choices, "kind": kind, "low": low, "high": high}
    if isinstance(default, dict):
        return field(default_factory=dict, metadata=metadata)
    return field(default=default, metadata=metadata)


@dataclass(frozen=True)
class StudyRecipe:
    """One study. ``None`` means 'decide for me': the search space, the environment or the machine gives the value.

    Durations are in seconds. Pinned settings define the study and cannot change on resume; the others may.
    """

    env: str = _declare("", "Gymnasium environment id, or module:Id.", pinned=True)
    trials: int = _declare(100, "Trials the study shall have in all.", kind="int", low=1)
    algo: str = _declare("dqn", "Algorithm to tune.", pinned=True, choices=tuple(ALGORITHMS))
    backend: str = _declare("native", "Who trains.", pinned=True, choices=("native", "sb3"))
    space: str = _declare("default", "Search space: a name or the path of a YAML.", pinned=True)
    set: Mapping[str, Any] = _declare(
        {}, "Fix a hyperparameter and take it out of the search.", kind="mapping", pinned=True
    )
    steps: int | None = _declare(None, "Environment steps of each run.", kind="int", low=1, pinned=True)
    evaluations: int | None = _declare(
        None, "Evaluations of each run, evenly spaced.", kind="int", low=1, high=10_000, pinned=True
    )
    eval_episodes: int | None = _declare(None, "Episodes of each evaluation.", kind="int", low=1, pinned=True)
    seeds_per_trial: int = _declare(1, "Seeds each trial is trained with.", kind="int", low=1, pinned=True)
    objective: str = _declare(
        "late", "From a run's evaluations to its score.", pinned=True, choices=("late", "final", "best", "auc")
    )
    sampler: str = _declare("tpe", "Who proposes.", pinned=True, choices=("tpe", "random", "gp", "qmc"))
    pruner: str = _declare(
        "median", "Who stops hopeless trials.", pinned=True, choices=("median", "halving", "hyperband", "none")
    )
    startup_trials: int = _declare(
        10, "Random trials before the sampler and the pruner start.", kind="int", low=1, pinned=True
    )
    seed: int = _declare(0, "Source of all randomness of the study.", kind="int", low=0, high=2**31 - 1, pinned=True)
    env_arg: Mapping[str, Any] = _declare({}, "Keyword argument of the environment.", kind="mapping", pinned=True)
    env_module: str | None = _declare(None, "File or module that registers the environment.", pinned=True)
    pixels: bool = _declare(False, "Observe rendered frames instead of the state.", kind="bool", pinned=True)
    study: str | None = _declare(None, "Name of the study.")
    storage: str | None = _declare(None, "URL of the study's database.")
    workers: int | None = _declare(None, "Worker processes (default: one for each core).", kind="int", low=1)
    lanes: int | None = _declare(None, "Trials trained together in each worker.", kind="int", low=1)
    timeout: float | None = _declare(
        None, "Stop the search after this long; the same command carries on.", kind="duration"
    )
    trial_timeout: float | None = _declare(None, "Give up a run after this much training time.", kind="duration")
    worker_memory: int | None = _declare(
        None, "MiB of memory a worker may take (default: its share of the machine).", kind="int", low=64
    )
    device: str = _declare("cpu", "Where networks are trained.", choices=("cpu", "cuda", "auto"))
    confirm: int = _declare(5, "Finalists to train again on fresh seeds.", kind="int", low=0)
    confirm_seeds: int = _declare(
        10, "Fresh seeds that the winner and the baselines are judged on.", kind="int", low=1, high=1000
    )
    confirm_budget: float = _declare(
        1.0,
        "Steps the confirm stage may take, as a share of the search's.",
        kind="number",
        low=0,
        high=1000,
    )
    confirm_backend: str | None = _declare(None, "Who trains finalists again.", choices=("native", "sb3", "both"))
    record: bool = _declare(False, "Film the exported setting's agent at the end.", kind="bool")
    executor: str = _declare("processes", "Where workers live.", choices=("processes", "inline", "ray"))
    ray_address: str = _declare("auto", "Ray cluster: auto (this machine's), local (one of its own) or HOST:PORT.")
    cpus_per_worker: float = _declare(1.0, "Cores that Ray sets aside for each worker.", kind="number", low=0)
    gpus_per_worker: float = _declare(0.0, "GPUs that Ray sets aside for each worker.", kind="number", low=0)
    audit_pruning: bool = _declare(
        False, "Finish a tenth of what would be pruned, to see how often pruning is wrong.", kind="bool"
    )
    report_dir: str = _declare("reports", "Folder the reports go to.")
    quiet: bool = _declare(False, "No progress on stderr.", kind="bool")

    def pinned(self) -> dict[str, Any]:
        """Return the settings that define the study."""
        return {f.name: getattr(self, f.name) for f in dataclasses.fields(self) if f.metadata["pinned"]}

    def to_mapping(self) -> dict[str, Any]:
        """Return all settings as plain data."""
        return {
            f.name: dict(value) if isinstance(value := getattr(self, f.name), Mapping) else value
            for f in dataclasses.fields(self)
        }

    def validated(self) -> StudyRecipe:
        """Return the recipe with every value in its own type (durations in seconds).

        Raises:
            InputError: A value breaks a rule; one line names the flag, the rule and the value.
        """
        recipe = from_mapping(self.to_mapping())
        if not recipe.env:
            raise InputError("--env is missing. Name a Gymnasium environment, such as --env CartPole-v1.")
        if recipe.steps is not None and recipe.evaluations is not None and recipe.evaluations > recipe.steps:
            raise InputError(
                f"--evaluations must be at most --steps ({recipe.steps}), got {recipe.evaluations}: "
                "two evaluations cannot share a step."
            )
        if recipe.algo != "dqn" and "sb3" in (recipe.backend, recipe.confirm_backend):
            raise InputError(f"--backend sb3 trains dqn only, got --algo {recipe.algo}. Use --backend native.")
        if recipe.study is not None:
            check_study_name(recipe.study)
        if recipe.executor == "ray":
            _check_ray(recipe)
        return recipe

    def env_spec(self) -> EnvSpec:
        """Return the environment the study is about."""
        kwargs = tuple(sorted((name, _hashable(value)) for name, value in self.env_arg.items()))
        return EnvSpec(id=self.env, kwargs=kwargs, module=self.env_module, pixels=self.pixels)


def flag(name: str) -> str:
    """Return the flag of a setting: ``eval_episodes`` is ``--eval-episodes``."""
    return "--" + name.replace("_", "-")


def from_mapping(values: Mapping[str, Any]) -> StudyRecipe:
    """Build a recipe from plain data, the rest at their defaults. The environment may still be missing.

    Raises:
        InputError: Unknown setting (naming the nearest one), wrong type or out of range.
    """
    fields = {f.name: f for f in dataclasses.fields(StudyRecipe)}
    for name in values:
        if name not in fields:
            raise InputError(
                f"A recipe has no setting '{name}'.{nearest(str(name), fields)} Known: {', '.join(fields)}."
            )
    return StudyRecipe(**{name: check_setting(name, value) for name, value in values.items()})


def check_setting(name: str, value: object) -> Any:
    """Return one setting's value in its own type.

    Raises:
        InputError: The value breaks the setting's rule.
    """
    declared = next(f for f in dataclasses.fields(StudyRecipe) if f.name == name)
    rules = declared.metadata
    if value is None and declared.default is None:
        return None
    if rules["kind"] == "int":
        return _check_int(name, value, rules["low"], rules["high"])
    if rules["kind"] == "number":
        return _check_number(name, value, rules["low"], rules["high"])
    if rules["kind"] == "duration":
        return parse_duration(value, flag(name))
    if rules["kind"] == "bool":
        if not isinstance(value, bool):
            raise InputError(f"{flag(name)} must be true or false, got {value!r}.")
        return value
    if rules["kind"] == "mapping":
        return _check_mapping(name, value)
    if not isinstance(value, str):
        raise InputError(f"{flag(name)} must be text, got {value!r}.")
    if rules["choices"] and value not in rules["choices"]:
        known = rules["choices"]
        raise InputError(f"{flag(name)} must be one of {', '.join(known)}, got '{value}'.{nearest(value, known)}")
    if not value and name != "env":
        raise InputError(f"{flag(name)} must not be empty.")
    return value


def check_study_name(name: str) -> str:
    """Return ``name`` when a study may be called that.

    Raises:
        InputError: It holds other characters, or is too long or empty.
    """
    if not NAME_PATTERN.match(name):
        shown = name if len(name) <= 40 else f"{name[:37]}..."
        raise InputError(
            "--study must be 1 to 128 letters, digits, dots, dashes or underscores and begin with a letter or digit, "
            f"got {shown!r}."
        )
    return name


def _check_int(name: str, value: object, low: int | None, high: int | None) -> int:
    whole = isinstance(value, int) or (isinstance(value, float) and value.is_integer())
    fits = whole and not isinstance(value, bool) and low <= value <= (2**63 - 1 if high is None else high)  # type: ignore[operator]
    if not fits:
        top = "" if high is None else f" and at most {high}"
        raise InputError(f"{flag(name)} must be an integer of at least {low}{top}, got {value!r}.")
    return int(value)  # type: ignore[call-overload, no-any-return]


def _check_number(name: str, value: object, low: float, high: float | None) -> float:
    top = sys.float_info.max if high is None else high
    plain = isinstance(value, int | float) and not isinstance(value, bool)
    if not plain or not low <= value <= top:  # type: ignore[operator]
        limit = "" if high is None else f" and at most {high:g}"
        raise InputError(f"{flag(name)} must be a number of at least {low:g}{limit}, got {value!r}.")
    return float(value)  # type: ignore[arg-type]


def _check_ray(recipe: StudyRecipe) -> None:
    if recipe.ray_address not in ("auto", "local") and not RAY_ADDRESS_PATTERN.match(recipe.ray_address):
        raise InputError(f"--ray-address must be auto, local or HOST:PORT, got '{recipe.ray_address}'.")
    if recipe.cpus_per_worker == recipe.gpus_per_worker == 0:
        raise InputError("--cpus-per-worker and --gpus-per-worker must not both be 0: Ray could not share workers out.")
    if recipe.device == "cuda" and recipe.gpus_per_worker == 0:
        raise InputError("--device cuda needs --gpus-per-worker with --executor ray: 1, or a fraction such as 0.25.")


def _check_mapping(name: str, value: object) -> dict[str, Any]:
    if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
        raise InputError(f"{flag(name)} must be key=value pairs, got {value!r}.")
    return dict(value)


def _hashable(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return tuple(_hashable(v) for v in value)
    if isinstance(value, Mapping):
        raise InputError(f"--env-arg takes numbers, text, booleans and lists, got {dict(value)!r}.")
    return value
