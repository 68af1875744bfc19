"""What a study knows before its first trial: settings to train first, and where good ones lay elsewhere.

A study's environment plays no part in it, except where ``--start-with zoo`` or ``--start-with library`` asks for its
own values.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

from tuner.errors import InputError
from tuner.hyperparameters import Hyperparameters, beyond_sb3, defaults, field_infos, from_mapping
from tuner.library.names import changes_of
from tuner.plain_yaml import load
from tuner.plan.extremes import Draw
from tuner.plan.imported import TrialsOf, of_optuna, of_report
from tuner.plan.recipe import MOST_COMBINATIONS, SAMPLERS, StudyRecipe
from tuner.seeding import stream
from tuner.space.listed import combinations
from tuner.space.model import SearchSpace
from tuner.space.nearest import nearest_params
from tuner.space.prior import load_prior, packaged_prior
from tuner.text import listed, typed_text
from tuner.zoo.read import read_config
from tuner.zoo.tuned import zoo_values

if TYPE_CHECKING:
    from tuner.library.entry import Entry

#: Packaged search spaces that the packaged prior is for: in others, what was good rests on fields that they fix.
SPACES = ("default", "extended", "rainbow")

#: What the names of a prior's settings begin with.
PORTFOLIO = "portfolio/"

#: Random trials among the first ones, that a report can hold the search to.
RANDOM = 2


class Start(NamedTuple):
    """A setting that trains before the sampler proposes.

    Attributes:
        name: Where it comes from: ``portfolio/NAME``, ``defaults``, ``zoo``, ``library``, or a file; empty for a random
            one.
        params: What the study stores for it.
    """

    name: str
    params: Mapping[str, Any]


@dataclass(frozen=True)
class Known:
    """All that is known beforehand, as points of the study's space.

    Attributes:
        starts: The first trials, all different.
        good: Points that were good elsewhere, with their shares; empty for no prior.
        grid: All points of the study in order, where it trains listed values; then the others are empty.
        notes: What of the asked settings the space cannot train, a line each; not stored.
    """

    starts: tuple[Start, ...] = ()
    good: tuple[tuple[Mapping[str, Any], float], ...] = ()
    grid: tuple[Mapping[str, Any], ...] = ()
    notes: tuple[str, ...] = ()

    def to_mapping(self) -> dict[str, Any]:
        """Return plain data for the database."""
        mapping: dict[str, Any] = {
            "starts": [list(start) for start in self.starts],
            "good": [list(each) for each in self.good],
        }
        return mapping | ({"grid": [dict(point) for point in self.grid]} if self.grid else {})

    @classmethod
    def from_stored(cls, stored: Mapping[str, Any] | None) -> Known:
        """Read what :meth:`to_mapping` wrote; None, as in studies of version 0.1.0: nothing was known."""
        if stored is None:
            return cls()
        starts = tuple(Start(str(name), dict(params)) for name, params in stored["starts"])
        good = tuple((dict(params), float(share)) for params, share in stored["good"])
        return cls(starts, good, tuple(dict(params) for params in stored.get("grid", ())))


NOTHING_KNOWN = Known()


def unread(url: str, study: str) -> NoReturn:
    """Refuse to read a study: where only a search does."""
    raise InputError("an Optuna study is read for a search alone.")


def known_settings(
    recipe: StudyRecipe, space: SearchSpace, trials_of: TrialsOf = unread, *, images: bool = False
) -> Known:
    """Return what a study knows: what ``--start-with`` names first, then the prior's portfolio; or its whole grid.

    The last two startup trials are random ones, where a portfolio is longer than the others.

    Args:
        recipe: The recipe.
        space: The study's space; settings become its nearest points.
        trials_of: Reads Optuna studies that ``--start-with`` names.
        images: Whether the environment is seen as images: what a setting does not name has their defaults then.

    Raises:
        InputError: A name or file of ``--start-with`` or ``--prior`` cannot be used, or the space is no grid.
    """
    known = _settings(recipe, space, trials_of, images)
    return replace(known, starts=with_random(known.starts, recipe, space))


def _settings(recipe: StudyRecipe, space: SearchSpace, trials_of: TrialsOf, images: bool) -> Known:
    """Return what a study knows, without random trials."""
    if recipe.sampler == "grid":
        return Known(grid=combinations(space, seed=recipe.seed, most=MOST_COMBINATIONS))
    starts: dict[str, Hyperparameters] = {}
    for word in recipe.start_with:
        starts |= _named(word, recipe, trials_of, images)
    notes = [_not_searched(name, setting, space) for name, setting in starts.items() if name != "defaults"]
    path = _prior_path(recipe)
    prior = load_prior(path, recipe.algo, images=images) if path is not None else None
    if prior is not None:
        starts |= {f"{PORTFOLIO}{name}": setting for name, setting in prior.portfolio.items()}
    good = prior.good if prior is not None else ()
    return Known(
        _different((name, nearest_params(space, setting)) for name, setting in starts.items()),
        tuple((nearest_params(space, setting), share) for setting, share in good),
        notes=tuple(filter(None, notes)),
    )


def known_to_several(recipes: Sequence[tuple[StudyRecipe, bool]], space: SearchSpace) -> Known:
    """Return what studies of one search know together: first what ``--start-with`` names for each environment.

    Args:
        recipes: Of each environment, and whether it is seen as images; they differ in nothing else.
        space: What all of them search.

    Raises:
        InputError: As :func:`known_settings`.
    """
    every = [_settings(recipe, space, unread, images) for recipe, images in recipes]
    starts = [start for known in every for start in known.starts]
    starts.sort(key=lambda start: start.name.startswith(PORTFOLIO))  # what was asked for comes first
    notes = dict.fromkeys(note for known in every for note in known.notes)
    return replace(every[0], starts=with_random(_different(starts), recipes[0][0], space), notes=tuple(notes))


def with_random(starts: tuple[Start, ...], recipe: StudyRecipe, space: SearchSpace) -> tuple[Start, ...]:
    """Return the first trials with :data:`RANDOM` random ones among them, the last of the startup trials.

    Without them no trial of a long portfolio's study would be random, and nothing would say what the search is worth
    beside drawing at random. Nothing changes where the sampler comes to draw as many itself, or learns nothing, where
    what was asked for takes these places, and where hardly anything would be trained before them.

    Args:
        starts: What is known.
        recipe: The study's; its seed draws.
        space: Is drawn from.
    """
    place = recipe.startup_trials - RANDOM
    asked = sum(not start.name.startswith(PORTFOLIO) for start in starts)
    if not SAMPLERS[recipe.sampler] or not max(asked, RANDOM) <= place < len(starts):
        return starts
    draw = Draw(stream(recipe.seed, "startup"))
    random = [Start("", nearest_params(space, space.resolve(space.sample(draw)))) for _ in range(RANDOM)]
    return (*starts[:place], *random, *starts[place:])


def _not_searched(name: str, setting: Hyperparameters, space: SearchSpace) -> str:
    """Return which values of an asked setting stay as the space has them; empty where none that learning rests on."""
    trained, decided = space.resolve(nearest_params(space, setting)), {*space.search, *space.derived}
    other = [
        f"{info.name}={typed_text(getattr(trained, info.name))} (not {typed_text(getattr(setting, info.name))})"
        for info in field_infos(type(setting)).values()
        if info.learned and info.name not in decided and getattr(trained, info.name) != getattr(setting, info.name)
    ]
    return (
        f"--start-with {name}: the space does not search all of it, and it trains with {listed(other)}."
        if other
        else ""
    )


def _prior_path(recipe: StudyRecipe) -> Path | None:
    if recipe.prior == "none":
        return None
    if recipe.prior != "packaged":
        return Path(recipe.prior)
    return packaged_prior(recipe.algo) if recipe.space in SPACES else None


def _named(word: str, recipe: StudyRecipe, trials_of: TrialsOf, images: bool) -> dict[str, Hyperparameters]:
    if word == "defaults":
        return {word: defaults(recipe.algo, images=images)}
    if word == "zoo":
        values = zoo_values(recipe.env, recipe.algo, recipe.wrapper)
        if values is None:
            met = " in these wrappers" if recipe.wrapper else ""
            raise InputError(
                f"--start-with zoo: RL Zoo has no tuned values for {recipe.env}{met} with --algo {recipe.algo}."
            )
        return {word: from_mapping(recipe.algo, values)}
    if word == "library":
        return {word: _of_library(recipe)}
    try:
        settings = _of_file(Path(word), recipe, trials_of, images)
    except InputError as error:
        raise InputError(
            f"--start-with {word}: {error} It takes defaults, zoo, library, a YAML in RL Zoo's or our own form or of "
            "an Optuna study, or a report.json."
        ) from error
    for setting in settings.values():
        if recipe.backend == "sb3" and (beyond := beyond_sb3(setting)):
            raise InputError(f"--start-with {word}: Stable-Baselines3 does not know {beyond[0]}. Use --backend native.")
    return {f"{word} {name}".rstrip(): setting for name, setting in settings.items()}


def library_entry(recipe: StudyRecipe) -> Entry | None:
    """Return the library's entry for a recipe's very environment and algorithm; None where it has none."""
    from tuner.library.catalog import find_entry  # brings SciPy, which whoever only reads a plan can do without

    changes = changes_of(recipe.to_mapping())
    return find_entry(recipe.env, recipe.env_arg, recipe.algo, changes, recipe.env_module)


def _of_library(recipe: StudyRecipe) -> Hyperparameters:
    entry = library_entry(recipe)
    if entry is None:
        with_arguments = " with these arguments" if recipe.env_arg or changes_of(recipe.to_mapping()) else ""
        raise InputError(
            f"--start-with library: the library has no setting of {recipe.algo} for {recipe.env}{with_arguments}. "
            "Leave it out; tune settings lists all that it has."
        )
    if recipe.backend == "sb3" and (beyond := beyond_sb3(entry.hyperparameters)):
        raise InputError(f"--start-with library: Stable-Baselines3 does not know {beyond[0]}. Use --backend native.")
    return entry.hyperparameters


def library_note(recipe: StudyRecipe, steps: int) -> str:
    """Return that the library holds a verdict for a study's very environment and budget; empty where it does not.

    Args:
        recipe: The study's recipe.
        steps: Environment steps of its runs.
    """
    entry = None if "library" in recipe.start_with else library_entry(recipe)
    if entry is None or entry.n_timesteps != steps:
        return ""
    from tuner.library.words import verdict_text

    return (
        f"The library holds a verdict for this environment: {verdict_text(entry)} (--start-with library trains its "
        "setting first)."
    )


def _of_file(path: Path, recipe: StudyRecipe, trials_of: TrialsOf, images: bool) -> dict[str, Hyperparameters]:
    """Return a file's settings by what they are called in it; of a single one, that is nothing."""
    if path.suffix == ".json":
        return of_report(path, recipe.algo)
    content = load(path)
    if isinstance(content, dict) and "optuna" in content:
        return of_optuna(content, recipe.algo, trials_of, images=images)
    config = read_config(path, recipe.env, recipe.algo)
    if config.algorithm != recipe.algo:
        raise InputError(f"holds values for {config.algorithm}, and --algo is {recipe.algo}.")
    return {"": from_mapping(config.algorithm, config.named, images=images)}


def _different(named: Iterable[tuple[str, Mapping[str, Any]]]) -> tuple[Start, ...]:
    found: list[Start] = []
    for name, params in named:
        if all(params != start.params for start in found):
            found.append(Start(name, params))
    return tuple(found)
