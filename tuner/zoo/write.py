"""A trial as a file that trains: RL Baselines3 Zoo's own YAML, or ours where the Zoo cannot express it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tuner.durable import replace_file
from tuner.errors import InputError
from tuner.hyperparameters import Hyperparameters, algorithm_class, beyond_sb3, field_infos, from_mapping
from tuner.hyperparameters.schedules import in_zoo_words
from tuner.result.study import StudyData, TrialRow
from tuner.zoo.environments import to_zoo

#: First key of our own schema, and its version.
SCHEMA = "tune/1"

#: What begins the name of an entry that keeps, beside an environment's, how its setting is evaluated here: RL Zoo reads
#: no entry but that of the environment it trains.
OWN = "tune/"

#: What brings the wrapper that a file may name.
PACKAGE = "tune-dqn"

#: Activations to their names in ``torch.nn``.
ACTIVATIONS = {"relu": "ReLU", "tanh": "Tanh", "elu": "ELU", "leaky_relu": "LeakyReLU"}

#: Fields of a wrapper to what RL Zoo's ``normalize`` calls them.
NORMALIZE = {"normalize_observations": "norm_obs", "normalize_rewards": "norm_reward"}


@dataclass(frozen=True)
class Export:
    """A trial's settings as YAML.

    Attributes:
        text: The YAML.
        zoo: Whether RL Zoo loads it.
        reason: Why it is in our own schema; empty when it is RL Zoo's.
        trial: Which trial.
        seconds: What one training run of it took of a worker, evaluations included; 0 where that is not known.
    """

    text: str
    zoo: bool
    reason: str
    trial: int
    seconds: float = 0.0


def export_trial(data: StudyData, number: int | None = None) -> Export:
    """Return the YAML of a trial.

    Args:
        data: The study.
        number: Trial number; None takes the one that the confirm stage selected, else the search's best.

    Raises:
        InputError: There is no such trial, it was never resolved, or no trial has completed.
    """
    trial = _find(data, number)
    if not trial.hyperparameters or not data.recipe:
        raise InputError(f"Trial {trial.number} of '{data.name}' has no resolved hyperparameters to export.")
    hyperparameters = from_mapping(str(data.recipe["algo"]), trial.hyperparameters)
    env_kwargs = data.recipe.get("env_arg") or {}
    preprocessing = data.provenance.get("preprocessing") or {}
    written = _yaml(str(data.recipe["env"]), data.grid[-1], hyperparameters, env_kwargs, preprocessing)
    return Export(*written, trial.number, trial.duration_s / max(len(trial.curves), 1))


def export_of(data: StudyData) -> Export | None:
    """Return the YAML of what a study exports; None where no trial with resolved values has completed."""
    whole = data.chosen is not None and data.chosen.hyperparameters and data.recipe
    return export_trial(data) if whole else None


def config_yaml(
    env: str,
    n_timesteps: int,
    hyperparameters: Hyperparameters,
    env_kwargs: Mapping[str, Any] | None = None,
    preprocessing: Mapping[str, Any] | None = None,
) -> str:
    """Return the YAML of any setting, as :func:`export_trial` does of a trial's.

    Args:
        env: Environment id.
        n_timesteps: Environment steps.
        hyperparameters: The setting.
        env_kwargs: Keyword arguments of the environment.
        preprocessing: What is done to it (:class:`~tuner.envs.make.EnvFacts`).
    """
    return _yaml(env, n_timesteps, hyperparameters, env_kwargs or {}, preprocessing or {})[0]


def setting_yaml(
    env: str,
    n_timesteps: int,
    hyperparameters: Hyperparameters,
    env_kwargs: Mapping[str, Any],
    preprocessing: Mapping[str, Any],
) -> tuple[str, bool, str]:
    """Return what :func:`config_yaml` does, whether RL Zoo loads it (an entry among others then), and why not."""
    return _yaml(env, n_timesteps, hyperparameters, env_kwargs, preprocessing)


def zoo_arguments(hyperparameters: Hyperparameters) -> dict[str, Any]:
    """Return the keyword arguments of Stable-Baselines3's constructor but ``policy``, as RL Zoo's YAML names them."""
    infos = field_infos(type(hyperparameters))
    plain = hyperparameters.to_mapping()
    arguments: dict[str, Any] = {n: plain[n] for n, info in infos.items() if info.sb3 and info.place == "constructor"}
    arguments |= {n: infos[n].unset or None for n, value in arguments.items() if value is None}
    arguments |= in_zoo_words(hyperparameters)
    if "n_envs" in plain:
        arguments["n_envs"] = plain["n_envs"]
    if plain.get("noise_type", "none") != "none":
        arguments |= {name: plain[name] for name in ("noise_type", "noise_std")}
    normalize = {NORMALIZE[name]: plain[name] for name in hyperparameters.wrapped}
    if any(normalize.values()):
        arguments["normalize"] = normalize  # the Zoo adds gamma
    policy = {n: plain[n] for n, info in infos.items() if info.sb3 and info.place == "policy"}
    arguments["policy_kwargs"] = policy_text(policy) if "activation_fn" in policy else policy
    return arguments


def policy_text(policy: Mapping[str, Any]) -> str:
    """Return ``policy_kwargs`` as the Zoo's ``dict(...)``, which names classes; what needs none is a plain mapping."""
    words = {
        name: f"nn.{ACTIVATIONS[value]}" if name == "activation_fn" else repr(value) for name, value in policy.items()
    }
    return f"dict({', '.join(f'{name}={word}' for name, word in words.items())})"


def _yaml(
    env: str,
    n_timesteps: int,
    hyperparameters: Hyperparameters,
    env_kwargs: Mapping[str, Any],
    preprocessing: Mapping[str, Any],
) -> tuple[str, bool, str]:
    arguments = zoo_arguments(hyperparameters) if hyperparameters.zoo_name() else {}
    if ("image" in preprocessing or "encoded" in preprocessing) and "normalize" in arguments:
        arguments["normalize"]["norm_obs"] = False  # no quantities: they train as they are
        if not any(arguments["normalize"].values()):
            del arguments["normalize"]
    surroundings, unknown = to_zoo(preprocessing, env_kwargs, arguments, vectors=hyperparameters.remembers)
    surroundings["policy"] = surroundings["policy"].replace("Policy", hyperparameters.policy_suffix)
    reason = _beyond_zoo(hyperparameters) or unknown
    module = ""
    if reason:
        extra: dict[str, Any] = {"env_kwargs": dict(env_kwargs)} if env_kwargs else {}
        if preprocessing.get("observation") == "rendered frames":
            extra["pixels"] = True
        met = ("wrapper", "discretize", "frame_stack")
        extra |= {name: preprocessing[name] for name in met if name in preprocessing}
        content: dict[str, Any] = {
            "schema": SCHEMA,
            "algorithm": hyperparameters.algorithm,
            "env": env,
            clock_key(hyperparameters.algorithm): n_timesteps,
            **extra,
            "hyperparameters": hyperparameters.to_mapping(),
        }
    else:
        module, _, key = env.rpartition(":")
        content = {key: {"n_timesteps": n_timesteps, **surroundings, **arguments}}
        if unlearned := _unlearned(hyperparameters):
            content[f"{OWN}{key}"] = unlearned
    text = yaml.safe_dump(content, sort_keys=False, allow_unicode=False, default_flow_style=None)
    if module and not reason:
        text += f"# RL Zoo needs --gym-packages {module}; tune train needs --env {env}\n"
    if "discretize" in preprocessing and not reason:
        text += (
            f"# Actions are cut into {preprocessing['discretize']} steps: RL Zoo needs {PACKAGE} installed beside it\n"
        )
    return (f"# Not in RL Zoo's format: {reason}\n{text}" if reason else text), not reason, reason


def _unlearned(hyperparameters: Hyperparameters) -> dict[str, Any]:
    """Return what is set of the fields that learning does not depend on, which the Zoo does not know."""
    infos, plain = field_infos(type(hyperparameters)).values(), hyperparameters.to_mapping()
    return {i.name: plain[i.name] for i in infos if not i.learned and not i.sb3 and plain[i.name] != i.default}


def clock_key(algorithm: str) -> str:
    """Return what a file in our own schema calls a run's budget: ``n_timesteps``, or ``n_iterations``."""
    clock = algorithm_class(algorithm).clock
    return "n_timesteps" if clock == "environment steps" else f"n_{clock}"


def _beyond_zoo(hyperparameters: Hyperparameters) -> str:
    if not hyperparameters.zoo_name():
        return f"Stable-Baselines3 has no algorithm '{hyperparameters.algorithm}'."
    beyond = beyond_sb3(hyperparameters)
    if beyond:
        values = ", ".join(f"{name}={getattr(hyperparameters, name)}" for name in beyond)
        return f"Stable-Baselines3's {hyperparameters.title} does not know {values}."
    return ""


def _find(data: StudyData, number: int | None) -> TrialRow:
    if number is None:
        if data.chosen is None:
            raise InputError(f"No trial of '{data.name}' has completed yet, so there is no best one to export.")
        return data.chosen
    trial = next((t for t in data.trials if t.number == number), None)
    if trial is None:
        last = max((t.number for t in data.trials), default=-1)
        raise InputError(f"'{data.name}' has no trial {number}; its trials are 0 to {last}.")
    return trial


def write_export(export: Export, path: Path) -> None:
    """Write the YAML; a reader never sees half a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_file(path, export.text.encode())
