"""Training trials side by side must not cost search quality: whole studies replayed on measured learning curves."""

import dataclasses
import importlib.util
import itertools
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]
LANDSCAPE = ROOT / "tests" / "data" / "landscape-cartpole.npz"
STUDIES, TRIALS = 20, 100


def load_script():
    spec = importlib.util.spec_from_file_location("search_quality", ROOT / "benchmarks" / "search_quality.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


search_quality = load_script()


@pytest.fixture(scope="module")
def landscape():
    return search_quality.Landscape(LANDSCAPE, search_quality.make_plan("default").space)


@pytest.fixture(scope="module")
def choices(landscape):
    """What each way to search chose and proposed, by study seed."""
    return search_quality.replay_arms(landscape, range(STUDIES), TRIALS)


def gains(choices, arm, name):
    """Return the default's true mean `late` minus another arm's, of each study seed."""
    pairs = zip(choices["default"], choices[arm], strict=True)
    return np.array([getattr(mine, name) - getattr(theirs, name) for mine, theirs in pairs])


def test_the_landscape_is_of_the_default_space():
    plan = search_quality.make_plan("default")
    dimensions = {dimension.name: dimension for dimension in plan.space.dimensions}
    with np.load(LANDSCAPE, allow_pickle=False) as file:
        settings, seeds, checkpoints = file["returns"].shape
        assert settings >= 150
        assert seeds >= 5
        assert checkpoints >= 10
        assert file["steps"][-1] == plan.grid[-1]
        assert sorted(dimensions) == sorted(map(str, file["names"]))
        for name, column in zip(file["names"], file["values"].T, strict=True):
            assert dimensions[str(name)].low <= column.min() <= column.max() <= dimensions[str(name)].high
        assert np.nanmax(file["returns"]) <= 500


@pytest.mark.learning
@pytest.mark.parametrize("name", ["confirmed", "proposed"])
def test_trials_side_by_side_are_as_good_as_one_at_a_time(choices, name):
    """The interval of the difference reaches zero: what is lost, if anything, is within the noise."""
    _, high = search_quality.interval(gains(choices, "one at a time", name))
    assert high >= 0


@pytest.mark.learning
def test_the_sampler_proposes_better_settings_than_random_search(choices):
    low, _ = search_quality.interval(gains(choices, "random search", "proposed"))
    assert low > 0


@pytest.mark.learning
def test_what_is_chosen_is_truly_among_the_best_fifth(choices, landscape):
    """By seeds that had no say, in the choice and in the ranking. So is random search's: a narrow space is good."""
    late, fifth = landscape.late, len(landscape.late) // 5
    truths = []
    for ranking in itertools.combinations(range(late.shape[1]), 3):
        best = np.argsort(-late[:, ranking].mean(axis=1))[:fifth]
        truths.append(np.delete(late[best], ranking, axis=1).mean())
    least = max(np.mean(truths), np.median(late.mean(axis=1)))
    for arm, found in choices.items():
        assert np.mean([choice.confirmed for choice in found]) > least, arm


@pytest.mark.learning
def test_pruning_keeps_the_study_from_no_good_setting(landscape):
    """Where a curve says next to nothing of its setting, at most one run in twenty is stopped."""
    plans = [search_quality.make_plan("default", seed) for seed in range(2000, 2040)]
    kept = [dataclasses.replace(p, recipe=dataclasses.replace(p.recipe, pruner="none")) for p in plans]
    pruned, whole = ([search_quality.replay(landscape, p) for p in some] for some in (plans, kept))
    low, _ = search_quality.interval([w.confirmed - p.confirmed for p, w in zip(pruned, whole, strict=True)])
    assert low <= 0
    assert np.mean([p.pruned for p in pruned]) <= 5


def test_a_replay_keeps_as_many_trials_in_flight_as_the_plan_says(landscape):
    """In virtual time, so many lanes shorten a study of many trials almost so many times."""
    plan = search_quality.make_plan("random search", trials=40)
    plan = dataclasses.replace(plan, recipe=dataclasses.replace(plan.recipe, pruner="none"))
    alone = dataclasses.replace(plan, trials_in_flight=1)
    assert plan.trials_in_flight == 5
    rounds = [search_quality.replay(landscape, p).checkpoints for p in (alone, plan)]
    checkpoints = len(landscape.steps)
    assert rounds[0] <= 40 * checkpoints
    assert rounds[0] / 5 <= rounds[1] <= 8 * checkpoints


def test_a_measured_setting_is_nearest_to_itself(landscape):
    space = search_quality.make_plan("default").space
    with np.load(LANDSCAPE, allow_pickle=False) as file:
        names, values = list(map(str, file["names"])), file["values"]
    params = [dict(zip(names, row, strict=True)) for row in values]
    whole = {d.name for d in space.dimensions if d.kind == "int"}
    settings = [space.resolve({n: int(v) if n in whole else v for n, v in row.items()}) for row in params]
    assert [landscape.nearest(setting) for setting in settings] == list(range(len(settings)))
