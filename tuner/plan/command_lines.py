"""Command lines to copy from a report: how to repeat a study, export it, train with its result, look into it."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from tuner.envs.wrapper_names import origin_of, to_be_named
from tuner.hyperparameters import algorithm_class
from tuner.plain_yaml import read_number
from tuner.plan.naming import member_suffix
from tuner.plan.recipe import StudyRecipe, flag, from_mapping
from tuner.storage_url import DEFAULT_STORAGE, mask

#: What the command line reads as no text.
_WORDS = ("true", "false", "null", "none")

#: Settings of one machine or one sitting, which a repetition need not share.
_RAY = ("ray_address", "cpus_per_worker", "gpus_per_worker")
_LOCAL = (
    "workers", "worker_memory", "timeout", "quiet", "report_dir", "tensorboard", "executor", *_RAY, "record",
)  # fmt: skip


def recipe_command(recipe: StudyRecipe, name: str, storage: str, *, here: bool = False) -> str:
    """Return the command that runs this study: the environment, the trials and what is not at its default.

    Args:
        recipe: The study's recipe.
        name: Study name.
        storage: Storage URL; its password is masked.
        here: Whether it goes on with the study where that is, and not only repeats it: with what is this machine's.
    """
    elsewhere = () if here else _LOCAL
    usual = StudyRecipe()
    defaults = from_mapping({"sampler": recipe.sampler, "within": recipe.within}).to_mapping()
    defaults |= {"sampler": usual.sampler, "within": usual.within}
    words = ["tune", *(word for env in recipe.envs or (recipe.env,) for word in ("--env", env))]
    if recipe.trials != defaults["trials"] or recipe.trials == usual.trials:
        words += ["--trials", str(recipe.trials)]
    for setting, value in recipe.to_mapping().items():
        if setting in ("env", "envs", "trials", "storage", "study", *elsewhere) or value == defaults[setting]:
            continue
        words += _flag_words(setting, value)
    if recipe.study is not None:
        words += ["--study", name.removesuffix(member_suffix(recipe.env)) if recipe.envs else name]
    return shlex.join(words + _storage_words(storage))


def study_commands(recipe: StudyRecipe, name: str, storage: str, best_yaml: str | None) -> dict[str, str]:
    """Return what the report shows.

    Args:
        recipe: The study's recipe.
        name: Study name.
        storage: Storage URL; its password is masked.
        best_yaml: Path of the exported YAML, or None when there is none.
    """
    commands = {"reproduce": recipe_command(recipe, name, storage)}
    if best_yaml is not None:
        commands["export"] = shlex.join(["tune", "export", name, *_storage_words(storage)])
        commands["train"] = shlex.join(train_words(recipe, best_yaml))
    commands["dashboard"] = shlex.join(["tune", "dashboard", *_storage_words(storage)])
    return commands


def train_words(recipe: StudyRecipe, config: str) -> list[str]:
    """Return the words that train with an export; RL Zoo's form does not say whose values it holds."""
    module = trust_words(recipe.env_module, recipe.wrapper)
    whose = [] if algorithm_class(recipe.algo).native else ["--backend", recipe.backend, "--algo", recipe.algo]
    return ["tune", "train", "--env", recipe.env, *module, *whose, "--config", config]


def trust_words(env_module: str | None, wrapper: Sequence[str]) -> list[str]:
    """Return the words by which a user vouches for code that a file or database names, before it is imported.

    Args:
        env_module: File or module of the environment, or None.
        wrapper: Its wrappers, in one text each.
    """
    named = [] if env_module is None else ["--env-module", env_module]
    return [*named, *(["--wrapper", *wrapper] if to_be_named(wrapper, env_module) else [])]


def study_words(recipe: Mapping[str, Any], name: str) -> str:
    """Return a stored study as a command names it that trains more of it: its name, and words that vouch for its code.

    Args:
        recipe: The stored recipe, plain data.
        name: Study name.
    """
    module = origin_of(str(recipe.get("env", "")), recipe.get("env_module"))
    return shlex.join([name, *trust_words(module, recipe.get("wrapper") or ())])


def _flag_words(setting: str, value: Any) -> list[str]:
    if isinstance(value, bool):
        return [flag(setting)] if value else []
    if isinstance(value, Mapping):
        return [word for key, item in value.items() for word in (flag(setting), f"{key}={_text(item)}")]
    if isinstance(value, list):
        return [flag(setting), *map(str, value)]
    if setting in ("timeout", "trial_timeout", "confirm_budget"):
        return [flag(setting), f"{value:.12g}"]
    return [flag(setting), str(value)]


def _text(value: Any) -> str:
    """Return a value as the command line reads it back: text that would be something else there is quoted."""
    plain = isinstance(value, str) and value == value.strip() and isinstance(read_number(value), str)
    if plain and value.lower() not in _WORDS and value[:1] not in ("[", "{", "'", '"'):
        return str(value)
    return json.dumps(value, separators=(",", ":"))


def _storage_words(storage: str) -> list[str]:
    return [] if storage == DEFAULT_STORAGE else ["--storage", mask(storage)]
