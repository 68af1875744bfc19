"""The complete description of a study: what the command line, a YAML file or Python code asks for.

Every field declares its flag, whether it is pinned when a study is resumed, its rule and its help; the command line,
recipe files and the resume check are generated from these declarations.
"""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from tuner.envs.spec import EnvSpec, frozen
from tuner.envs.wrapper_names import canonicals
from tuner.errors import InputError, nearest
from tuner.fields import declare, field_infos, plain
from tuner.hyperparameters import ALGORITHMS, BACKENDS, Backend, algorithm_class, check_backends
from tuner.hyperparameters.schedules import contradiction
from tuner.result.confirmation import MOST_SEEDS
from tuner.space.text import as_meant

#: What a study may be called: it becomes a folder, a file and a key in the database.
NAME_PATTERN = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._-]{0,127}\Z")

#: Samplers -> whether they look for good points, after random ones, or fill the space. ``study/sampling/samplers.py``
#: makes them.
SAMPLERS = {"tpe": True, "random": False, "gp": True, "qmc": False, "grid": False}

#: Combinations of listed values that ``--sampler grid`` trains at most.
MOST_COMBINATIONS = 10_000

#: Settings of a recipe for a grid unless they are said: whoever lists values wants to see each to its end.
_OF_A_GRID = {"trials": MOST_COMBINATIONS, "pruner": "none"}

#: Likewise with ``--within``: as many trials as fit, whatever has been trained before.
_WITHIN_A_TIME = {"trials": 10_000}

#: Where a Ray cluster's head listens.
RAY_ADDRESS_PATTERN = re.compile(r"^[A-Za-z0-9._-]+:[0-9]{1,5}\Z")


@dataclass(frozen=True)
class StudyRecipe:
    """One study. ``None`` means 'decide for me': the search space, the environment or the machine gives the value.

    Durations are in seconds. Pinned settings define the study and cannot change on resume; the others may.
    """

    env: str = declare("", "Gymnasium environment id, or module:Id.", pinned=True)
    trials: int = declare(100, "Trials the study shall have in all; with within, at most.", low=1)
    algo: str = declare("dqn", "Algorithm to tune.", pinned=True, choices=tuple(ALGORITHMS))
    backend: Backend = declare("native", "Who trains.", pinned=True, choices=tuple(BACKENDS))
    space: str = declare("default", "Search space: a name or the path of a YAML.", pinned=True)
    set: Mapping[str, Any] = declare({}, "Fix a hyperparameter and take it out of the search.", pinned=True)
    steps: int | None = declare(None, "Environment steps of each run.", kind="int", low=1, pinned=True)
    evaluations: int | None = declare(
        None, "Evaluations of each run, evenly spaced.", kind="int", low=1, high=10_000, pinned=True
    )
    eval_episodes: int | None = declare(
        None, "Episodes of each evaluation.", kind="int", low=1, high=100_000, pinned=True
    )
    seeds_per_trial: int = declare(1, "Seeds each trial is trained with.", low=1, pinned=True)
    objective: str = declare(
        "late", "From a run's evaluations to its score.", pinned=True, choices=("late", "final", "best", "auc", "worst")
    )
    sampler: str = declare("tpe", "Who proposes.", pinned=True, choices=tuple(SAMPLERS))
    pruner: str = declare(
        "median", "Who stops hopeless trials.", pinned=True, choices=("median", "halving", "hyperband", "none")
    )
    startup_trials: int = declare(10, "Random trials before the sampler and the pruner start.", low=1, pinned=True)
    prior: str = declare(
        "packaged", "What is known of good settings elsewhere: packaged, none, or a YAML.", pinned=True
    )
    start_with: tuple[str, ...] = declare(
        (),
        "Settings to train first: defaults, zoo, library, a YAML of values or of an Optuna study, or a report.json.",
        kind="texts",
        pinned=True,
    )
    seed: int = declare(0, "Source of all randomness of the study.", low=0, high=2**31 - 1, pinned=True)
    env_arg: Mapping[str, Any] = declare({}, "Keyword argument of the environment.", pinned=True)
    n_envs: int | None = declare(
        None,
        "Environments that each run steps side by side, for the algorithms that only Stable-Baselines3 has.",
        kind="int",
        low=1,
        high=256,
        pinned=True,
    )
    env_module: str | None = declare(None, "File or module that registers the environment.", pinned=True)
    pixels: bool = declare(False, "Observe rendered frames instead of the state.", pinned=True)
    discretize: int | None = declare(
        None, "Steps that each number of continuous actions is cut into.", kind="int", low=2, high=1_000, pinned=True
    )
    frame_stack: int | None = declare(
        None, "Last observations that are seen as one, of vectors.", kind="int", low=2, high=1_000, pinned=True
    )
    wrapper: tuple[str, ...] = declare(
        (),
        "Wrappers around the environment, innermost first: classes of gymnasium.wrappers or module:Class, with "
        "arguments NAME:{key: value}.",
        kind="texts",
        pinned=True,
    )
    envs: tuple[str, ...] = declare(
        (), "Environments that one setting is searched for; for the command line alone.", kind="texts", pinned=True
    )
    holdout_env: str | None = declare(
        None, "Judge the setting found on an environment that the search does not see.", pinned=True
    )
    study: str | None = declare(None, "Name of the study.")
    storage: str | None = declare(None, "URL of the study's database.")
    workers: int | None = declare(None, "Worker processes (default: one for each core).", kind="int", low=1)
    lanes: int | None = declare(None, "Trials trained together in each worker.", kind="int", low=1, high=4096)
    timeout: float | None = declare(
        None, "Stop the search after this long; the same command carries on.", kind="duration"
    )
    within: float | None = declare(
        None, "The whole command ends in this time: trials and steps follow from it.", kind="duration"
    )
    trial_timeout: float | None = declare(None, "Give up a run after this much training time.", kind="duration")
    worker_memory: int | None = declare(
        None, "MiB of memory a worker may take (default: its share of the machine).", kind="int", low=64
    )
    device: str = declare("cpu", "Where networks are trained.", choices=("cpu", "cuda", "auto"))
    confirm: int = declare(5, "Finalists to train again on fresh seeds.", low=0)
    confirm_seeds: int = declare(
        10, "Fresh seeds that the winner and the baselines are judged on.", low=1, high=MOST_SEEDS
    )
    confirm_budget: float = declare(
        1.0, "Steps the confirm stage may take, as a share of the search's.", kind="number", low=0, high=1000
    )
    until: float | None = declare(
        None,
        "Train the verdict seed by seed until each comparison is sure at this level.",
        kind="number",
        low=0.5,
        high=0.9999,
    )
    zoo_full_budget: bool = declare(False, "RL Zoo's values train for their own number of steps, not the search's.")
    return_range: str | None = declare(None, "Lowest and highest return there can be, where that is known.")
    confirm_backend: Backend | Literal["both"] | None = declare(
        None, "Who trains finalists again.", choices=(*BACKENDS, "both")
    )
    record: bool = declare(False, "Film the exported setting's agent at the end.")
    executor: str = declare("processes", "Where workers live.", choices=("processes", "inline", "ray"))
    ray_address: str = declare("auto", "Ray cluster: auto (this machine's), local (one of its own) or HOST:PORT.")
    cpus_per_worker: float = declare(1.0, "Cores that Ray sets aside for each worker.", kind="number", low=0)
    gpus_per_worker: float = declare(0.0, "GPUs that Ray sets aside for each worker.", kind="number", low=0)
    audit_pruning: bool = declare(False, "Finish a tenth of what would be pruned, to see how often pruning is wrong.")
    tensorboard: str | None = declare(None, "Folder for TensorBoard's event files, of every run.")
    report_dir: str = declare("reports", "Folder the reports go to.")
    quiet: bool = declare(False, "No progress on stderr.")

    def pinned(self) -> dict[str, Any]:
        """Return the settings that define the study."""
        return {info.name: getattr(self, info.name) for info in SETTINGS.values() if info.pinned}

    def to_mapping(self) -> dict[str, Any]:
        """Return all settings as plain data."""
        return {name: plain(getattr(self, name)) for name in SETTINGS}

    def validated(self) -> StudyRecipe:
        """Return the recipe with every value in its own type (durations in seconds), those of ``set`` in one spelling.

        Raises:
            InputError: A value breaks a rule; one line names the flag, the rule and the value.
        """
        recipe = from_mapping(self.to_mapping())
        recipe = dataclasses.replace(recipe, set=set_as_meant(recipe.algo, recipe.set))
        _check_no_nul(recipe)
        if not recipe.env and recipe.envs:
            raise several_environments()
        if recipe.holdout_env is not None and len(recipe.envs) < 2:
            raise InputError("--holdout-env needs several --env, got one. Add another --env, or use tune compare.")
        if not recipe.env:
            raise InputError("--env is missing. Name a Gymnasium environment, such as --env CartPole-v1.")
        if recipe.steps is not None and recipe.evaluations is not None and recipe.evaluations > recipe.steps:
            raise InputError(
                f"--evaluations must be at most --steps ({recipe.steps}), got {recipe.evaluations}: "
                "two evaluations cannot share a step."
            )
        for asked in (recipe.backend, recipe.confirm_backend):
            if asked is not None:
                check_backends(recipe.algo, BACKENDS if asked == "both" else (asked,))
        if recipe.sampler == "grid" and (recipe.start_with or recipe.prior not in ("packaged", "none")):
            name = "start_with" if recipe.start_with else "prior"
            raise InputError(f"{flag(name)} does not go with --sampler grid, which trains listed values alone.")
        if recipe.within is not None and recipe.confirm_backend == "both":
            raise InputError(
                "--within cannot share its time between two backends, got --confirm-backend both. Leave it out; "
                "tune confirm STUDY --confirm-backend both trains the winner on the other one later."
            )
        if recipe.until is not None and recipe.confirm_backend == "both":
            raise InputError(
                "--until goes seed by seed, and two backends take turns, got --confirm-backend both. "
                "Leave one of them out."
            )
        recipe.returns_within()
        if recipe.study is not None:
            check_study_name(recipe.study)
        if recipe.executor == "ray":
            _check_ray(recipe)
        return recipe

    def returns_within(self) -> tuple[float, float] | None:
        """Return the range of returns that was given, or None.

        Raises:
            InputError: It is not two numbers, the lower first.
        """
        if self.return_range is None:
            return None
        low, _, high = self.return_range.partition(":")
        try:
            found = float(low), float(high)
        except ValueError:
            found = math.nan, math.nan
        if not (found[0] < found[1] and math.isfinite(found[1] - found[0])):
            raise InputError(
                f"--return-range must be two numbers, the lower first, such as 0:500 (with a minus: "
                f"--return-range=-200:0), got '{self.return_range}'."
            )
        return found

    def env_spec(self) -> EnvSpec:
        """Return the environment the study is about."""
        try:
            kwargs = frozen(self.env_arg)
        except ValueError as error:
            raise InputError(f"--env-arg: {error}.") from None
        wrappers = canonicals(self.wrapper)
        return EnvSpec(self.env, kwargs, self.env_module, self.pixels, self.discretize, self.frame_stack, wrappers)


#: Every setting by name: its rule, its help, whether it is pinned.
SETTINGS = field_infos(StudyRecipe)


def flag(name: str) -> str:
    """Return the flag of a setting: ``eval_episodes`` is ``--eval-episodes``."""
    return "--" + name.replace("_", "-")


def several_environments() -> InputError:
    """Return the error of a recipe for several environments where one study is wanted."""
    return InputError(
        "Several environments are for the command line: tune --env A --env B. Name one as env here, and no envs."
    )


def from_mapping(values: Mapping[str, Any]) -> StudyRecipe:
    """Build a recipe from plain data, the rest at their defaults. The environment may still be missing.

    With ``sampler: grid`` the defaults are all trials of the grid and no pruner, with ``within`` as many trials as fit.

    Raises:
        InputError: Unknown setting (naming the nearest one), wrong type or out of range.
    """
    if values.get("sampler") == "grid":
        values = {**_OF_A_GRID, **values}
    if values.get("within") is not None:
        values = {**_WITHIN_A_TIME, **values}
    for name in values:
        if name not in SETTINGS:
            raise InputError(
                f"A recipe has no setting '{name}'.{nearest(str(name), SETTINGS)} Known: {', '.join(SETTINGS)}."
            )
    return StudyRecipe(**{name: check_setting(name, value) for name, value in values.items()})


def check_setting(name: str, value: object) -> Any:
    """Return one setting's value in its own type.

    Raises:
        InputError: The value breaks the setting's rule.
    """
    if name == "wrapper" and value is not None:
        return canonicals(value)
    found = SETTINGS[name].check(value, flag(name))
    if name == "set" and (why := contradiction(found)):
        raise InputError(f"--set {why}")
    return found


def set_as_meant(algorithm: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``set`` in one spelling: equal values make equal studies (see :func:`tuner.space.text.as_meant`)."""
    return as_meant(field_infos(algorithm_class(algorithm)), values)


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


def _check_no_nul(recipe: StudyRecipe) -> None:
    """Refuse text with a NUL, which no path and no environment variable may hold.

    Not where a recipe is read: one in a database is to be shown, whatever it holds.
    """
    for name, value in recipe.to_mapping().items():
        if any(isinstance(text, str) and "\0" in text for text in (value if isinstance(value, list) else [value])):
            raise InputError(f"{flag(name)} holds a NUL character, which no path may. Leave that out.")


def _check_ray(recipe: StudyRecipe) -> None:
    if recipe.ray_address not in ("auto", "local") and not RAY_ADDRESS_PATTERN.match(recipe.ray_address):
        raise InputError(f"--ray-address must be auto, local or HOST:PORT, got '{recipe.ray_address}'.")
    if recipe.cpus_per_worker == recipe.gpus_per_worker == 0:
        raise InputError("--cpus-per-worker and --gpus-per-worker must not both be 0: Ray could not share workers out.")
    if recipe.device == "cuda" and recipe.gpus_per_worker == 0:
        raise InputError("--device cuda needs --gpus-per-worker with --executor ray: 1, or a fraction such as 0.25.")
