"""Who takes part in the confirm stage: the search's best trials, and what the winner is compared with."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tuner.contract.grid import evaluation_grid
from tuner.hyperparameters import algorithm_class, defaults, field_infos, from_mapping, trains
from tuner.plan.recipe import SAMPLERS
from tuner.result.confirmation import TITLES, Contestant, Role
from tuner.result.study import REPEAT, StudyData, TrialRow
from tuner.study.confirm.choice import floor_of

if TYPE_CHECKING:
    from tuner.plan.resolve import StudyPlan


def setting_key(backend: str, algorithm: str, hyperparameters: Mapping[str, Any], steps: int | None = None) -> str:
    """Return what stands for a setting: equal settings on one backend have equal keys, and share their runs.

    One that trains for ``steps`` of its own has a key of its own: its runs are no runs of the same values in others.
    Younger fields, and those that learning does not depend on, came after there were keys: at their defaults they have
    no part in them.
    """
    own = [] if steps is None else [steps]
    infos = field_infos(algorithm_class(algorithm))
    younger = {name for name, info in infos.items() if info.younger or not info.learned}
    values = {n: v for n, v in hyperparameters.items() if n not in younger or v != infos[n].default}
    text = json.dumps([backend, algorithm, values, *own], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def finalists(data: StudyData, limit: int, backend: str) -> list[Contestant]:
    """Return the completed trials to train again, the most promising first, each setting once.

    By rule 2 a model orders them; the one with the best score is among them in any case, the last if need be. By rule
    3 the model's first is followed by the best of the settings known beforehand and by the one with the best score:
    they take part however few there is a budget for. By rule 4 they bring the scores of the search's runs with them,
    but where the worst runs decide; by rule 6 those that diverged, too, as a select run that diverges counts.
    """
    from tuner.study.confirm.ranking import ranked_by_worth  # brings linear algebra, which a reader can do without

    order = ranked_by_worth(data) if data.rules.finalists > 1 else list(data.ranked)
    if data.rules.finalists > 2:
        order = [*order[:1], *_best_known(data)[:1], *data.ranked[:1], *order[1:]]
    promising = dict.fromkeys(c.key for c in _different(data, order, backend))
    known = {c.key: c for c in _different(data, data.ranked, backend)}
    keys = list(promising)[:limit]
    best = next(iter(known), None)
    if best is not None and keys and best not in keys:
        keys[-1] = best
    return [known[key] for key in keys]


def _best_known(data: StudyData) -> list[TrialRow]:
    """Return the completed trials of settings that were known before the search, the best first."""
    return [t for t in data.ranked if t.source not in ("", "prior", REPEAT) and t.hyperparameters]


def _different(data: StudyData, trials: Iterable[TrialRow], backend: str) -> list[Contestant]:
    """Return trials as finalists, each setting once: its first, by rule 4 with the scores of all its runs."""
    found: dict[str, Contestant] = {}
    counts = data.rules.finalists > 3 and data.recipe.get("objective") != "worst"
    for trial in trials:
        if trial.hyperparameters:
            contestant = _of_trial(data, trial, "finalist", backend)
            first = found.setdefault(contestant.key, contestant)
            if counts and trial.score is not None:
                scores = (*first.searched, *[trial.score] * max(len(trial.curves), 1))
                found[first.key] = dataclasses.replace(first, searched=scores)
    if counts and data.rules.finalists > 5:
        _count_diverged(data, found, backend)
    return list(found.values())


def _count_diverged(data: StudyData, found: dict[str, Contestant], backend: str) -> None:
    """Add the runs of settings that another run of theirs has made finalists."""
    floor = floor_of(data)
    for trial in data.trials:
        if trial.outcome in ("diverged", "timed_out") and trial.hyperparameters and floor is not None:
            first = found.get(_of_trial(data, trial, "finalist", backend).key)
            if first is not None:
                found[first.key] = dataclasses.replace(first, searched=(*first.searched, floor))


def grid_of(plan: StudyPlan, contestant: Contestant) -> tuple[int, ...]:
    """Return the steps at which a contestant's runs are evaluated: as many times as all others."""
    steps = contestant.n_timesteps
    return plan.grid if steps is None else evaluation_grid(steps, min(len(plan.grid), steps))


def lengths_of(contestants: Iterable[Contestant], grid: Sequence[int]) -> dict[str, float]:
    """Return how many of the others' runs one run is as long as, by key, of contestants with steps of their own."""
    return {c.key: c.n_timesteps / grid[-1] for c in contestants if c.n_timesteps is not None}


def baselines(
    data: StudyData, backend: str, *, zoo_beside: int | None = None, images: bool = False
) -> list[Contestant]:
    """Return what there is to compare with, the most telling first.

    That is defaults; RL Zoo's values, for the environments of its table; the best of the settings known beforehand; the
    best random trial, where the sampler has a random startup.

    Args:
        data: What the search has found.
        backend: Who trains them.
        zoo_beside: As for :func:`fixed_baselines`.
        images: Likewise.
    """
    algorithm, env, wrapper = (data.recipe.get(name) for name in ("algo", "env", "wrapper"))
    met: tuple[str, ...] = tuple(wrapper or ())
    found = fixed_baselines(str(algorithm), str(env), backend, wrapper=met, zoo_beside=zoo_beside, images=images)
    if known := _best_known(data):
        found.append(_of_trial(data, known[0], "known", backend))
    random = (t for t in data.ranked if not t.source and t.hyperparameters)
    startup = [t for t in random if t.place < int(data.recipe.get("startup_trials", 0))]
    if startup and SAMPLERS.get(str(data.recipe.get("sampler"))):
        found.append(_of_trial(data, startup[0], "startup", backend))
    return found


def fixed_baselines(
    algorithm: str,
    env: str,
    backend: str,
    *,
    wrapper: tuple[str, ...] = (),
    zoo_beside: int | None = None,
    images: bool = False,
) -> list[Contestant]:
    """Return the baselines that no search decides: defaults, and RL Zoo's values for the environments of its table.

    Args:
        algorithm: Name of the algorithm.
        env: The environment's id.
        backend: Who trains them.
        wrapper: Wrappers around the environment.
        zoo_beside: Steps of all others' runs, where RL Zoo's values train for their own number (``--zoo-full-budget``);
            None: they train for as many as all others.
        images: Whether networks are convolutional: defaults are those for images then.
    """
    from tuner.zoo.tuned import zoo_config  # brings Gymnasium, which whoever only reads a study can do without

    found = [_setting(algorithm, defaults(algorithm, images=images).to_mapping(), "defaults", backend)]
    zoo = zoo_config(env, algorithm, wrapper)
    if zoo is not None:
        own = zoo.n_timesteps if zoo_beside not in (None, zoo.n_timesteps) else None
        tuned = _setting(algorithm, zoo.hyperparameters, "zoo", backend, own)
        found.append(dataclasses.replace(tuned, tuned_for=zoo.n_timesteps))
    return found


def on_backend(contestant: Contestant, backend: str, algorithm: str) -> Contestant | None:
    """Return a contestant as another backend trains it; None where that backend does not know the setting."""
    hyperparameters = from_mapping(algorithm, contestant.hyperparameters)
    if not trains(backend, hyperparameters):
        return None
    key = setting_key(backend, algorithm, contestant.hyperparameters)
    name = f"{contestant.name} on {backend}"
    return dataclasses.replace(
        contestant, key=key, role="other_backend", name=name, backend=backend, runs=(), searched=()
    )


def _of_trial(data: StudyData, trial: TrialRow, role: Role, backend: str) -> Contestant:
    algorithm = str(data.recipe["algo"])
    values = from_mapping(algorithm, trial.hyperparameters).to_mapping()
    key = setting_key(backend, algorithm, values)
    return Contestant(key, role, f"trial {trial.number}", trial.number, backend, values, trial.score)


def _setting(
    algorithm: str, values: Mapping[str, Any], role: Role, backend: str, steps: int | None = None
) -> Contestant:
    key = setting_key(backend, algorithm, values, steps)
    return Contestant(key, role, TITLES[role], None, backend, values, n_timesteps=steps)


def with_other_backend(
    contestants: tuple[Contestant, ...], winner: str | None, other: str | None, algorithm: str
) -> tuple[Contestant, ...]:
    """Return the contestants, joined by the winner on the other backend where that is asked for and possible."""
    chosen = next((c for c in contestants if c.key == winner), None)
    if chosen is None or other is None:
        return contestants
    twin = on_backend(chosen, other, algorithm)
    return contestants if twin is None else (*contestants, twin)
