"""The flags of a search, generated from the fields of :class:`~tuner.plan.recipe.StudyRecipe`."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any

from tuner.cli.values import read_pairs
from tuner.fields import FieldInfo
from tuner.hyperparameters import ALGORITHMS, field_infos
from tuner.plain_yaml import read_number
from tuner.plan.recipe import SETTINGS, check_setting, flag
from tuner.storage_url import DEFAULT_STORAGE, STORAGE_VARIABLE

#: Title in the help -> settings, in order.
GROUPS: dict[str, tuple[str, ...]] = {
    "what to search": (
        "env", "trials", "algo", "backend", "space", "set", "n_envs", "env_arg", "env_module", "pixels", "frame_stack",
        "discretize", "wrapper", "holdout_env",
    ),
    "each run": ("steps", "evaluations", "eval_episodes", "seeds_per_trial", "objective"),
    "how to search": (
        "sampler", "prior", "start_with", "pruner", "startup_trials", "audit_pruning", "seed",
    ),
    "where and how long": (
        "study", "storage", "workers", "lanes", "worker_memory", "device", "within", "timeout", "trial_timeout",
        "executor", "ray_address", "cpus_per_worker", "gpus_per_worker",
    ),
    "finalists": (
        "confirm", "confirm_seeds", "confirm_budget", "until", "return_range", "confirm_backend", "zoo_full_budget",
    ),
    "output": ("report_dir", "tensorboard", "record", "quiet"),
}  # fmt: skip

#: Where the help would otherwise say 'default: none' or a bare ``None``.
DEFAULTS = {
    "steps": "the search space's budget",
    "evaluations": "the search space's",
    "eval_episodes": "the search space's",
    "n_envs": "the search space's",
    "env_module": "",
    "discretize": "",
    "frame_stack": "",
    "wrapper": "",
    "study": "<algo>-<backend>-<env>",
    "storage": f"${STORAGE_VARIABLE}, else {DEFAULT_STORAGE}",
    "workers": "",
    "lanes": "from --trials",
    "timeout": "no limit",
    "within": "no limit",
    "trial_timeout": "no limit",
    "confirm_backend": "--backend",
    "until": "--confirm-seeds of each",
    "return_range": "",
    "worker_memory": "",
    "env": "",
    "holdout_env": "",
    "start_with": "",
    "tensorboard": "",
}

#: What the help says of a setting beside its declared help.
REMARKS = {
    "env": "; given several times, one setting is searched for all of them",
    "holdout_env": "; with several --env",
    "trials": "; of a grid all, with --within as many as fit unless said",
    "pruner": "; of a grid, nobody unless said",
    "timeout": ", such as 30m",
    "within": ", such as 10m",
    "confirm": "; 0 trains none",
    "confirm_seeds": "; with --until at most",
    "until": ", such as 0.95; at most --confirm-seeds of each",
}

METAVARS = {
    "env": "ID",
    "holdout_env": "ID",
    "space": "NAME|PATH",
    "set": "KEY=VALUE",
    "env_arg": "KEY=VALUE",
    "env_module": "FILE|NAME",
    "study": "NAME",
    "storage": "URL",
    "report_dir": "DIR",
    "tensorboard": "DIR",
    "prior": "packaged|none|PATH",
    "start_with": "defaults|zoo|library|FILE",
    "wrapper": "NAME",
    "ray_address": "ADDRESS",
    "until": "P",
    "return_range": "LOW:HIGH",
}

#: Where a search's settings stand in the namespace; a sub-command uses its own name.
SEARCH = "recipe"

_KINDS = {"int": "N", "number": "N", "duration": "DURATION", "text": "TEXT"}


def add_to(parser: argparse.ArgumentParser) -> None:
    """Add the flags of a search. Unset ones leave no trace in the namespace, so that a recipe file can fill them."""
    for title, names in GROUPS.items():
        group = parser.add_argument_group(title)
        for name in names:
            add_field(group, name, SEARCH)
            if name == "trials":
                _add_plain(
                    group, "recipe", "Take settings from a YAML, such as smoke; flags go over it", metavar="NAME|PATH"
                )
        if title == "output":
            _add_plain(group, "dry_run", "Show the plan and write nothing", action="store_true")


def _add_plain(group: argparse._ArgumentGroup, name: str, help: str, **kwargs: Any) -> None:
    group.add_argument(flag(name), dest=f"{SEARCH}.{name}", default=argparse.SUPPRESS, help=help, **kwargs)


def add_field(group: Any, name: str, prefix: str, help: str | None = None) -> None:
    """Add the flag of one setting.

    Args:
        group: An argument group or a parser.
        name: The setting.
        prefix: Where its value stands in the namespace.
        help: Help of its own; None takes the declared one with its default.
    """
    info = SETTINGS[name]
    arguments: dict[str, Any] = {"dest": f"{prefix}.{name}", "default": argparse.SUPPRESS}
    if info.kind == "bool":
        arguments["action"] = "store_true"
    elif info.kind == "mapping":
        arguments |= {"action": "append", "metavar": METAVARS[name]}
    elif info.kind == "texts":
        arguments |= {"action": "extend", "nargs": "+", "metavar": METAVARS[name]}
    else:
        if (prefix, name) == (SEARCH, "env"):
            arguments["action"] = "append"
        arguments["metavar"] = METAVARS.get(name) or "|".join(info.choices) or _KINDS[info.kind]
    group.add_argument(flag(name), help=help or help_text(info), **arguments)


def help_text(info: FieldInfo) -> str:
    """Return a flag's help with its default."""
    text = info.help.rstrip(".") + REMARKS.get(info.name, "")
    if info.kind == "mapping":
        text += " (may be repeated)"
    elif shown := DEFAULTS.get(info.name, "" if info.kind == "bool" else str(info.default)):
        text += f" (default: {shown})"
    return text.replace("%", "%%")


def given(parsed: argparse.Namespace, prefix: str = SEARCH) -> dict[str, Any]:
    """Return the settings that stand on the command line, as they were written."""
    start = f"{prefix}."
    return {name.removeprefix(start): value for name, value in vars(parsed).items() if name.startswith(start)}


def settings(parsed: argparse.Namespace, prefix: str = SEARCH) -> dict[str, Any]:
    """Return what the command line says, checked setting by setting.

    Raises:
        InputError: A value breaks its setting's rule.
    """
    found: dict[str, Any] = {}
    for name, value in given(parsed, prefix).items():
        if name not in SETTINGS:
            continue
        kind = SETTINGS[name].kind
        if name == "env" and isinstance(value, list):
            # What a recipe file names goes, be it one or several.
            several = len(value) > 1
            found |= {"env": "" if several else value[0], "envs": check_setting("envs", value if several else ())}
            continue
        if kind == "mapping":
            value = read_pairs(flag(name), value)
            value = _single_layers(value) if name == "set" else value
        elif kind in ("int", "number"):
            value = read_number(value)
        found[name] = check_setting(name, value)
    return found


def _single_layers(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``--set`` values with a lone number for a list of layers, as in ``net_arch=64``, made a list."""
    infos = {name: info for cls in ALGORITHMS.values() for name, info in field_infos(cls).items()}
    layers = {name for name, info in infos.items() if info.kind == "layers"}
    return {n: [v] if n in layers and type(v) is int else v for n, v in values.items()}


def over(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of a recipe file with those of the command line over them; mappings key by key."""
    merged = {**below, **above}
    for name, value in above.items():
        if isinstance(value, Mapping) and isinstance(below.get(name), Mapping):
            merged[name] = {**below[name], **value}
    return merged
