"""``tune train``: one run with given values."""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from tuner.cli.console import say
from tuner.cli.parser import add_command
from tuner.cli.recipe_flags import add_field, over, settings
from tuner.cli.train_and_save import train_and_save
from tuner.cli.train_values import values_of
from tuner.durable import check_writable
from tuner.envs.wrapper_names import check_trusted
from tuner.errors import InputError
from tuner.hyperparameters import Hyperparameters, algorithm_class, field_infos, from_mapping
from tuner.plan.naming import safe_name
from tuner.plan.recipe import flag

if TYPE_CHECKING:
    from tuner.contract.spec import RunSpec
    from tuner.envs.make import EnvFacts
    from tuner.plan.resolve import StudyPlan
    from tuner.zoo.read import Config

_TRAIN = "train"

#: Settings of a search that a single run has too, with their own words where the search's do not fit.
TRAIN_SETTINGS = {
    "env": "Gymnasium environment id, or module:Id",
    "algo": None,
    "backend": None,
    "set": "Set a hyperparameter, over --config (may be repeated)",
    "steps": "Environment steps; with --continue in all, those before included (default: --config's, else the default "
    "search space's budget; with --continue what was asked for first)",
    "evaluations": "Evaluations, evenly spaced (default: the default search space's)",
    "eval_episodes": "Episodes of each evaluation (default: the default search space's)",
    "seed": "Source of all randomness of the run (default: 0)",
    "env_arg": None,
    "env_module": None,
    "pixels": None,
    "frame_stack": None,
    "discretize": None,
    "wrapper": None,
    "device": None,
    "tensorboard": "Folder for TensorBoard's event files: its own, named as the model's, is made in it",
    "quiet": None,
}


#: What may stand beside ``--continue``; everything else is the training's own.
CONTINUE_SETTINGS = ("steps", "set", "env_module", "wrapper", "tensorboard", "quiet")


def add_to(commands: Any) -> None:
    """Add the commands."""
    train = add_command(commands, "train", train_command, "train one agent, plot its training and save it")
    for name, help in TRAIN_SETTINGS.items():
        add_field(train, name, _TRAIN, help)
        if name == "env":
            train.add_argument(
                "--config",
                metavar="FILE|library|defaults",
                help="Values from a YAML: an export of tune, or RL Zoo's own file (default: the library's where it has "
                "the environment and there is no --set, else the defaults)",
            )
    train.add_argument(
        "-o", "--output", metavar="DIR", help="Folder of the model (default: runs/<algo>-<backend>-<env>-seed<N>)"
    )

    train.add_argument(
        "--continue",
        dest="continued",
        metavar="DIR",
        help="Go on with the training in DIR, memory, optimizer and schedules included, up to --steps N in all; -o "
        "FOLDER leaves DIR as it is",
    )
    train.add_argument(
        "--until-solved",
        action="store_true",
        help="End at the first evaluation that reaches the environment's reward threshold",
    )


def train_command(parsed: argparse.Namespace) -> int:
    """Train, save and plot."""
    asked = settings(parsed, _TRAIN)
    if parsed.continued is not None:
        return _continue(Path(parsed.continued), asked, parsed)
    config, source = values_of(asked, parsed.config)
    plan, hyperparameters = plan_training(asked, config)
    seed = int(asked.get("seed", 0))
    spec = _run_spec(plan, hyperparameters, seed)
    recipe = plan.recipe
    name = safe_name(f"{plan.algorithm}-{plan.backend}-{plan.env.id}-seed{seed}")
    folder = Path(parsed.output) if parsed.output is not None else Path("runs") / name
    check_writable(folder, f"-o {folder}")
    events = _events_folder(folder, recipe.tensorboard)
    threshold = _threshold(plan.facts, spec, parsed.until_solved)
    if not recipe.quiet:
        for line in plan.notes:
            say(line, stderr=True)
        if source:
            say(source, stderr=True)
    return train_and_save(spec, folder, plan.facts, threshold=threshold, quiet=recipe.quiet, events=events)


def _continue(folder: Path, asked: dict[str, Any], parsed: argparse.Namespace) -> int:
    """Train on from where a folder's training stands."""
    from tuner.envs.preflight import preflight
    from tuner.training.saved.agent import trusted_env
    from tuner.training.saved.checkpoint import load_checkpoint

    beside = [flag(name) for name in asked if name not in CONTINUE_SETTINGS]
    beside += ["--config"] if parsed.config is not None else []
    if beside:
        raise InputError(f"{beside[0]} does not go with --continue: the training keeps its own. Leave it out.")
    begun = load_checkpoint(folder)
    total = asked.get("steps", begun.spec.n_timesteps)
    spec = begun.until(total, _typed(begun.spec.algorithm, asked.get("set", {})))
    env = trusted_env(spec.env, folder, asked.get("env_module"), asked.get("wrapper", ()))
    if "wrapper" in asked and asked["wrapper"] != env.wrapper:
        raise InputError(f"--wrapper does not go with --continue, unless it is {folder}'s own. Leave it out.")
    spec = dataclasses.replace(spec, env=env)
    output = folder if parsed.output is None else Path(parsed.output)
    check_writable(output, f"-o {output}")
    events = _events_folder(output, asked.get("tensorboard"))
    facts = preflight(spec.env, spec.algorithm, inline=False, stored=True)
    threshold = _threshold(facts, spec, parsed.until_solved)
    quiet = bool(asked.get("quiet"))
    if not quiet:
        say(f"Going on from step {begun.step:,} to {total:,}.", stderr=True)
    return train_and_save(spec, output, facts, threshold=threshold, quiet=quiet, begun=begun, events=events)


def _events_folder(model: Path, asked: str | None) -> Path | None:
    """Return where a training's event files go, or None; it can be written."""
    if asked is None:
        return None
    from tuner.training.tensorboard import check_events

    folder = Path(asked) / model.absolute().name
    check_events(folder, Path(asked))
    return folder


def plan_training(asked: dict[str, Any], config_file: str | None) -> tuple[StudyPlan, Hyperparameters]:
    """Return a run's surroundings (environment, grid, evaluation) and its hyperparameters.

    Args:
        asked: Settings of the command line, by name.
        config_file: ``--config``, or None.

    Raises:
        InputError: A value breaks a rule, or the environment or the file cannot be used.
    """
    given = read_values(asked, config_file)
    plan, (hyperparameters,) = plan_runs(given.surroundings, [given.values], given.policies)
    return plan, hyperparameters


class Given(NamedTuple):
    """What is given for a run.

    Attributes:
        surroundings: Settings by name.
        values: The hyperparameters that are given.
        policies: The file they are from -> the policy that it names; empty where it names none.
    """

    surroundings: dict[str, Any]
    values: dict[str, Any]
    policies: dict[str, str]


def read_values(asked: dict[str, Any], config_file: str | None) -> Given:
    """Return what is given for a run; nothing is tried yet.

    Args:
        asked: As for :func:`plan_training`.
        config_file: Likewise.

    Raises:
        InputError: The file cannot be used.
    """
    from tuner.plan.recipe import StudyRecipe

    asked = dict(asked)
    given = asked.pop("set", {})
    algorithm = asked.get("algo", StudyRecipe().algo)
    values: dict[str, Any] = {}
    policies: dict[str, str] = {}
    if config_file is not None:
        from tuner.zoo.read import read_config

        config = read_config(config_file, asked.get("env"), algorithm, asked.get("steps"))
        if "wrapper" not in asked:
            check_trusted(config.wrapper, config_file, asked.get("env_module"))
        asked = over(_surroundings(config), asked)
        values = config.named
        policies = {} if config.policy is None else {config_file: config.policy}
        if asked["algo"] != config.algorithm:
            raise InputError(f"{config_file} is for {config.algorithm}, but --algo is {algorithm}.")
        algorithm = config.algorithm
    return Given({**asked, "algo": algorithm}, values | _typed(algorithm, given), policies)


def plan_runs(
    surroundings: Mapping[str, Any], every: Sequence[Mapping[str, Any]], policies: Mapping[str, str] | None = None
) -> tuple[StudyPlan, list[Hyperparameters]]:
    """Return the surroundings of runs, and the hyperparameters of each setting.

    Args:
        surroundings: Settings by name, as :func:`read_values` gives them.
        every: The hyperparameters that each setting gives.
        policies: Likewise, of all files.

    Raises:
        InputError: A value breaks a rule, or the environment cannot be used.
    """
    from tuner.plan.recipe import StudyRecipe
    from tuner.plan.resolve import plan_study, refuse_noise_on_discrete
    from tuner.training.registry import footprint

    algorithm = surroundings["algo"]
    given = [from_mapping(algorithm, values) for values in every]  # before the environment is looked at
    # The plan says where nothing is learned: of these values, not of those that a search space has.
    starts = [value for one in given if (value := getattr(one, "learning_starts", None)) is not None]
    own: dict[str, Any] = {"set": {"learning_starts": min(starts)}} if starts else {}
    steps = surroundings.get("steps")
    few = {"evaluations": min(10, steps)} if steps is not None and "evaluations" not in surroundings else {}
    plan = plan_study(StudyRecipe(**surroundings, **few, **own))
    for values in every:
        refuse_noise_on_discrete(values, plan.facts, plan.env.id)
    for file, policy in (policies or {}).items():
        _check_policy(file, policy, plan)
    found = [from_mapping(algorithm, values, images=plan.sees_images) for values in every]
    for hyperparameters in found:
        footprint(hyperparameters, plan.facts, plan.grid[-1], plan.backend)  # a table has its own idea of what it reads
    return plan, found


def _check_policy(file: str, policy: str, plan: StudyPlan) -> None:
    """Refuse a file for networks that are not those of the environment's observations."""
    fits, seen = ("CnnPolicy", "images") if plan.sees_images else ("MlpPolicy", "no images")
    if policy != fits:
        raise InputError(
            f"{file}: policy must be {fits} where observations are {seen}, as those of {plan.env.id} are; "
            f"got {policy}. Write {fits}, or leave policy out."
        )


def _surroundings(config: Config) -> dict[str, Any]:
    return {
        "env": config.env,
        "steps": config.n_timesteps,
        "algo": config.algorithm,
        "env_arg": config.env_kwargs,
        "pixels": config.pixels,
        "frame_stack": config.frame_stack,
        "discretize": config.discretize,
        "wrapper": config.wrapper,
    }


def _typed(algorithm: str, given: dict[str, Any]) -> dict[str, Any]:
    """Return ``--set`` values with text read by the kind of its field: ``64x64`` is a network."""
    from tuner.space.text import read_text

    infos = field_infos(algorithm_class(algorithm))
    return {n: read_text(infos[n], v) if isinstance(v, str) and n in infos else v for n, v in given.items()}


def _run_spec(plan: StudyPlan, hyperparameters: Hyperparameters, seed: int) -> RunSpec:
    from tuner.contract.spec import RunId
    from tuner.seeding import evaluation_seed

    spec = plan.run_spec(RunId(0), hyperparameters, seed)
    # Episodes that no search has seen: what a search chose plays fresh ones.
    fresh = dataclasses.replace(spec.evaluation, seed=evaluation_seed(seed, "select", plan.rules.evaluation_seeds))
    return dataclasses.replace(spec, evaluation=fresh)


def _threshold(facts: EnvFacts, spec: RunSpec, until_solved: bool) -> float:
    """Return the mean return at which a training ends before its last step; none reaches infinity."""
    if not until_solved:
        return float("inf")
    if facts.reward_threshold is None:
        raise InputError(f"--until-solved: {spec.env.id} has no reward threshold; leave it out.")
    return facts.reward_threshold
