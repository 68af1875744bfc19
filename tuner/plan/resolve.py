"""From a recipe to a complete study: every 'decide for me' decided, every mistake found, nothing written yet."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gymnasium import spaces

from tuner.contract.grid import evaluation_grid
from tuner.contract.rules import CURRENT, Rules, native_path
from tuner.contract.spec import EvaluationSpec, RunId, RunSpec
from tuner.envs.family_names import ATARI, MINATAR, eval_epsilon, family
from tuner.envs.make import EnvFacts
from tuner.envs.preflight import RegisteredHereError, preflight
from tuner.envs.spec import EnvSpec
from tuner.errors import InputError
from tuner.hyperparameters import ALGORITHMS, Backend, Hyperparameters, algorithm_class, field_infos
from tuner.optional import require
from tuner.plan.extremes import Draw
from tuner.plan.imported import TrialsOf
from tuner.plan.known import NOTHING_KNOWN, Known, known_settings, unread
from tuner.plan.naming import checkpoint_folder, file_name, study_name
from tuner.plan.recipe import StudyRecipe
from tuner.seeding import evaluation_seed, stream
from tuner.space.catalog import list_spaces, load_by_name
from tuner.space.model import SearchSpace
from tuner.storage_url import default_storage
from tuner.text import counted
from tuner.training.cost.cores import available_cores

#: Lanes of a worker where nobody says how many: beyond this a stack of small networks gains little on a core.
DEFAULT_LANES = 16

#: Height and width from which an image counts as large.
LARGE_IMAGE = 36

#: Trials in flight at least, and one for each worker; above it, an eighth of the study, so that seven eighths learn
#: from results.
MIN_TRIALS_IN_FLIGHT = 4


@dataclass(frozen=True)
class StudyPlan:
    """A complete study.

    Attributes:
        name: Study name.
        storage: Storage URL (with its password: never print it, see :func:`tuner.storage_url.mask`).
        recipe: The recipe, validated: what was asked for.
        backend: Who trains.
        trials: Trials there shall be in all.
        timeout: Seconds until the search stops; None: no limit.
        deadline: Monotonic second at which this stage is done, whatever it has left out; None: when its runs are.
        space: The search space for this environment, budget and backend.
        env: The environment.
        facts: What is known of it.
        grid: Environment steps at which runs are evaluated.
        evaluation: How they are evaluated.
        workers: Worker processes.
        lanes: Lanes of each worker.
        trials_in_flight: Trials that may be open at a time.
        runs_in_flight: Runs (trials times seeds) that may be queued or training at a time.
        device: ``cpu`` or ``cuda``.
        notes: Lines the user should read.
        rules: What decides its numbers beside its settings.
        known: What it knows before its first trial.
        unit: What progress counts: ``trial``, or ``run`` in the confirm stage.
        id: The stored study's random id; empty before it is open, and where version 0.1.0 made it.
    """

    name: str
    storage: str
    recipe: StudyRecipe
    backend: Backend
    trials: int
    timeout: float | None
    space: SearchSpace
    env: EnvSpec
    facts: EnvFacts
    grid: tuple[int, ...]
    evaluation: EvaluationSpec
    workers: int
    lanes: int
    trials_in_flight: int
    runs_in_flight: int
    device: str
    notes: tuple[str, ...] = ()
    rules: Rules = CURRENT
    known: Known = NOTHING_KNOWN
    unit: str = "trial"
    deadline: float | None = None
    id: str = ""

    @property
    def numeric_path(self) -> str:
        """Which arithmetic trains: one choice per study."""
        native = native_path(self.rules.update_path, self.device, self.facts.encoder.image)
        return f"{native if self.backend == 'native' else 'torch'}-{self.device}"

    @property
    def trains_here(self) -> bool:
        """Whether its workers share this machine's memory, and nothing else."""
        return self.recipe.executor != "ray" or self.recipe.ray_address == "local"

    @property
    def algorithm(self) -> str:
        """What trains, as ``--algo`` takes it."""
        return self.space.algorithm

    @property
    def clock(self) -> str:
        """What a run's budget counts."""
        return algorithm_class(self.algorithm).clock

    @property
    def side_by_side(self) -> int:
        """Runs that each worker trains at a time."""
        return self.lanes if algorithm_class(self.algorithm).stacked(self.backend) else 1

    @property
    def runs(self) -> int:
        """Runs of all trials: one for each seed."""
        return self.trials * self.recipe.seeds_per_trial

    @property
    def seed(self) -> int:
        """Source of all randomness of the study."""
        return self.recipe.seed

    @property
    def reports(self) -> Path:
        """Folder of all reports."""
        return Path(self.recipe.report_dir)

    @property
    def report(self) -> Path:
        """Folder of its own report."""
        return self.reports / file_name(self.name)

    @property
    def checkpoints(self) -> Path:
        """Folder that its long runs are saved in while they train: another database's study of its name has another."""
        return checkpoint_folder(self.report.absolute(), self.id)

    @property
    def sees_images(self) -> bool:
        """Whether networks are convolutional."""
        return self.facts.encoder.image is not None

    def run_specs(self, trial: int, hyperparameters: Hyperparameters, seeds: Sequence[int]) -> list[RunSpec]:
        """Return a trial's runs, one for each seed."""
        return [self.run_spec(RunId(trial, r), hyperparameters, seed) for r, seed in enumerate(seeds)]

    def run_spec(self, run_id: RunId, hyperparameters: Hyperparameters, seed: int) -> RunSpec:
        """Return the run of these hyperparameters with this seed."""
        return RunSpec(
            run_id=run_id,
            env=self.env,
            backend=self.backend,
            hyperparameters=hyperparameters,
            seed=seed,
            grid=self.grid,
            evaluation=self.evaluation,
            device=self.device,
            rules=self.rules,
        )


def plan_study(
    recipe: StudyRecipe,
    fill: Callable[[StudyRecipe], StudyRecipe] = lambda recipe: recipe,
    trials_of: TrialsOf = unread,
    *,
    play: bool = True,
    stored: bool = False,
) -> StudyPlan:
    """Resolve a recipe: the one place where it is validated.

    Budgets come from the flag, else the space's entry for the environment, else the space's default.

    Args:
        recipe: What is asked for.
        fill: From a recipe for a cluster to one that says how many workers it has room for.
        trials_of: Reads Optuna studies that ``--start-with`` names.
        play: Whether to find what random play earns, which takes seconds.
        stored: As for :func:`tuner.envs.preflight.preflight`.

    Raises:
        InputError: A setting breaks a rule, or the environment or the space cannot be used.
    """
    recipe = recipe.validated()
    if recipe.executor == "ray":
        recipe = fill(recipe)
    env = recipe.env_spec()
    if needs := algorithm_class(recipe.algo).needs:
        require(needs[0], purpose=f"--algo {recipe.algo}", extra=needs[1])
    play_from = evaluation_seed(recipe.seed, "search", CURRENT.evaluation_seeds) if play else None
    recipe, facts, notes = _looked_at(recipe, env, play_from, stored)
    space, said = _space(recipe, facts)
    notes += said
    known = known_settings(recipe, space, trials_of, images=facts.encoder.image is not None)
    notes += known.notes
    if known.grid:
        recipe, note = _of_grid(recipe, space, len(known.grid))
        notes.append(note)
    budget = space.budget
    workers, lanes, trials_in_flight, runs_in_flight = _parallel(recipe, facts)
    return StudyPlan(
        name=study_name(recipe),
        storage=recipe.storage or default_storage(),
        recipe=recipe,
        backend=recipe.backend,
        trials=recipe.trials,
        timeout=recipe.timeout,
        space=space,
        env=env,
        facts=facts,
        grid=evaluation_grid(budget.n_timesteps, budget.evaluations),
        evaluation=EvaluationSpec(
            episodes=budget.eval_episodes,
            seed=evaluation_seed(recipe.seed, "search", CURRENT.evaluation_seeds),
            max_steps=facts.eval_max_steps,
            epsilon=eval_epsilon(recipe.env),
        ),
        workers=workers,
        lanes=lanes,
        trials_in_flight=trials_in_flight,
        runs_in_flight=runs_in_flight,
        device=_device(recipe),
        notes=tuple(notes),
        known=known,
    )


def _looked_at(
    recipe: StudyRecipe, env: EnvSpec, play_from: int | None, stored: bool
) -> tuple[StudyRecipe, EnvFacts, list[str]]:
    """Look at the environment; one that a notebook or script has registered itself trains in that very process."""
    look = functools.partial(preflight, env, recipe.algo, play_from=play_from, stored=stored)
    try:
        return recipe, look(inline=recipe.executor == "inline"), []
    except RegisteredHereError as error:
        if recipe.executor != "processes":
            raise
        recipe = dataclasses.replace(recipe, executor="inline", workers=None).validated()
        note = (
            f"{env.id} is registered in {error.where}, which workers do not import: it trains in this process, on one "
            f"core. {error.way_out} for more."
        )
        return recipe, look(inline=True), [note]


def _of_grid(recipe: StudyRecipe, space: SearchSpace, size: int) -> tuple[StudyRecipe, str]:
    """Return the recipe with no more trials than its grid has combinations, and what is said of them."""
    has = f"The grid has {counted(size, 'combination')} of {counted(len(space.search), 'list')} of values"
    if recipe.trials < size:
        return recipe, f"{has}: {recipe.trials:,} of them, spread, are trained; --trials {size} trains all."
    each = f"each is one trial, {counted(size, 'trial')} in all"
    if recipe.within is not None:
        each = "as many as there is time for, spread, are trained"
    return dataclasses.replace(recipe, trials=size), f"{has}: {each}."


def _space(recipe: StudyRecipe, facts: EnvFacts) -> tuple[SearchSpace, list[str]]:
    notes = []
    if recipe.executor == "inline":
        notes.append("--executor inline: the environment's code runs in this very process, and can end or change it.")
    name = space_name(recipe)
    space, listed = load_by_name(name, recipe.algo).for_environment(recipe.env)
    listed = listed or name != recipe.space
    space = space.with_budget(recipe.steps, recipe.evaluations, recipe.eval_episodes)
    if not listed and recipe.steps is None:
        notes.append(
            f"The search space '{recipe.space}' has no budget for {recipe.env}: each run takes the default "
            f"{space.budget.n_timesteps} {algorithm_class(recipe.algo).clock}. Say --steps N for another."
        )
    for name, value in recipe.set.items():
        space = space.fix(name, value)
    if recipe.n_envs is not None:
        space = _side_by_side(space, recipe)
    if recipe.backend == "sb3":
        asked = {name: space.fixed[name] for name in recipe.set}
        space, dropped = space.for_sb3()
        if dropped:
            notes.append(f"Stable-Baselines3 does not know {', '.join(dropped)}: not searched.")
        fixed = {**space.fixed, **asked}
        beyond = [n for n, v in fixed.items() if space.infos[n].beyond_sb3(v)]
        if beyond:
            raise InputError(
                f"--backend sb3 does not know {beyond[0]}={fixed[beyond[0]]!r}. "
                f"Use --backend native, or leave {beyond[0]} out."
            )
    if "normalize_observations" in space.search and not facts.encoder.normalizable:
        space = space.fix("normalize_observations", False)
    refuse_noise_on_discrete(space.fixed, facts, recipe.env)
    if isinstance(facts.action_space, spaces.Discrete) and "use_sde" in space.search:
        space = space.fix("use_sde", False)
    space = space.clip_to_budget()
    if not space.search:
        raise InputError("Nothing is left to search: every hyperparameter is fixed. Use fewer --set, or tune train.")
    space.resolve(space.sample(Draw(stream(recipe.seed, "startup"))))  # refuses fixed values that do not go together
    return space, [*notes, *_learns_nothing(space)]


def _learns_nothing(space: SearchSpace) -> list[str]:
    """Return that every run ends before its first update, where it does."""
    first, steps = "learning_starts", space.budget.n_timesteps
    if first in space.search or first not in space.infos:
        return []
    starts = space.fixed.get(first, space.infos[first].default)
    if starts < steps:
        return []
    return [
        f"Nothing is learned: the first {starts:,} environment steps of a run only fill its memory ({first}), and a "
        f"run has {steps:,}. Use more --steps, or --set {first}={max(steps // 10, 1)}."
    ]


def refuse_noise_on_discrete(values: Mapping[str, Any], facts: EnvFacts, env: str) -> None:
    """Refuse ``use_sde`` where actions are discrete.

    Raises:
        InputError: So it is.
    """
    if values.get("use_sde") and isinstance(facts.action_space, spaces.Discrete):
        raise InputError(f"use_sde needs continuous actions; {env} has {facts.actions}. Leave use_sde out.")


def _side_by_side(space: SearchSpace, recipe: StudyRecipe) -> SearchSpace:
    """Return the space with ``--n-envs``."""
    if "n_envs" not in space.infos:
        able = "|".join(name for name, cls in ALGORITHMS.items() if "n_envs" in field_infos(cls))
        raise InputError(
            f"--n-envs: {recipe.algo} learns from one environment. Leave it out, or use --backend sb3 --algo {able}."
        )
    if recipe.set.get("n_envs", recipe.n_envs) != recipe.n_envs:
        raise InputError(f"--n-envs {recipe.n_envs} and --set n_envs={recipe.set['n_envs']} differ. Keep one of them.")
    return space.fix("n_envs", recipe.n_envs)


def space_name(recipe: StudyRecipe) -> str:
    """Return the search space to read: ``default`` stands for another file where the algorithm has one for a family."""
    known = family(recipe.env)
    own = known if known in (ATARI, MINATAR) else "pixels" if recipe.pixels else "default"
    if recipe.space != "default" or own not in [listing.name for listing in list_spaces(recipe.algo)]:
        return recipe.space
    return own


def _parallel(recipe: StudyRecipe, facts: EnvFacts) -> tuple[int, int, int, int]:
    """Return workers, lanes of each, trials in flight and runs in flight."""
    workers = 1 if recipe.executor == "inline" else (recipe.workers or available_cores())
    seeds = recipe.seeds_per_trial
    if recipe.lanes is not None:
        runs = recipe.lanes * workers
        return workers, recipe.lanes, -(-runs // seeds), runs
    image = facts.encoder.image
    # Convolutions of large images fill a core on their own; more lanes would only fill memory.
    alone = image is not None and min(image[1:]) >= LARGE_IMAGE
    stacked = algorithm_class(recipe.algo).stacked(recipe.backend)
    places = (DEFAULT_LANES if stacked and not alone else 1) * workers
    # Where the time may be up at any moment, what trains at a time is what may be lost.
    least, share = (workers, 16) if recipe.within is not None else (max(MIN_TRIALS_IN_FLIGHT, workers), 8)
    trials = min(places, max(least, recipe.trials // share))
    runs = min(places, trials * seeds)
    # Lanes are shared out evenly, so that the first worker to ask does not take every trial in flight.
    return workers, -(-runs // workers), trials, runs


def _device(recipe: StudyRecipe) -> str:
    device = recipe.device
    if device == "cpu":
        return "cpu"
    if recipe.executor == "ray":  # the GPUs are those of other machines
        return "cuda" if recipe.gpus_per_worker > 0 else "cpu"
    import torch

    if torch.cuda.is_available():
        return "cuda"
    if device == "cuda":
        raise InputError("--device cuda: torch finds no CUDA device. Use --device cpu.")
    return "cpu"


def describe_evaluation(evaluation: EvaluationSpec) -> dict[str, Any]:
    """Return plain data for the database, without what is not set."""
    return {name: value for name, value in dataclasses.asdict(evaluation).items() if value is not None}
