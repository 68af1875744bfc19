"""Replays on tables whose truth is known."""

import dataclasses
import json

import design
import numpy as np
import pytest
import replay
import table
import yaml
from curves import Curves, load_curves, placed
from environments import Member, family_of
from portfolio import SPREAD, choose_portfolio, good_settings, to_mapping

from tuner.hyperparameters import DQNHyperparameters, from_mapping
from tuner.space.nearest import nearest_params
from tuner.space.prior import load_prior

STEPS = tuple(range(100, 2001, 100))


def member(family="a", floor=0.0, ceiling=1.0):
    return Member(family, f"lab/{family}-v0", 2000, 5, floor, ceiling, "estimate")


def curves_of(truth, family="a", noise=0.0, seeds=3, rng=None, rows=None):
    """Curves that rise straight to a setting's truth."""
    rng = rng or np.random.default_rng(0)
    truth = np.asarray(truth, float)
    ends = truth[:, None] + noise * rng.standard_normal((len(truth), seeds))
    rise = np.minimum(np.arange(1, 21) / 10, 1.0)
    rows = np.arange(len(truth)) if rows is None else rows
    return Curves.of(member(family), STEPS, ends[..., None] * rise, np.ones((len(truth), seeds)), rows)


@pytest.fixture(scope="module")
def space():
    return design.wide_space("extended")


@pytest.fixture(scope="module")
def settings(space):
    return [placed(s, space) for s in design.draw(space, 26)]


@pytest.mark.parametrize("name", ["random", "tpe", "today", "product"])
def test_a_study_that_tries_everything_exports_the_best(space, settings, name):
    truth = np.random.default_rng(1).permutation(len(settings)) / len(settings)
    other = curves_of(truth[::-1], "b")
    found = replay.replay(space, settings, curves_of(truth), [other], [name], seed=3)[0]
    assert found.exported[100] == pytest.approx(truth.max())
    assert found.exported[10] <= found.exported[30] <= found.exported[100]
    assert found.steps[10] < found.steps[30] < found.steps[100] <= len(settings)


def test_the_same_study_seed_gives_the_same_replay(space, settings):
    table = curves_of(np.linspace(0, 1, len(settings)), noise=0.3)
    both = [replay.replay(space, settings, table, [], ["today"], seed=8)[0] for _ in range(2)]
    assert both[0] == both[1]


def test_a_portfolio_that_holds_the_best_finds_it_at_once(space, settings):
    truth = np.linspace(0, 1, len(settings))
    found = replay.replay(space, settings, curves_of(truth), [curves_of(truth, "b")], ["portfolio"], seed=0)[0]
    assert found.exported[10] == pytest.approx(1.0)


def test_what_is_judged_may_not_be_known_beforehand(space, settings):
    table = curves_of(np.linspace(0, 1, len(settings)))
    with pytest.raises(AssertionError):
        replay.replay(space, settings, table, [table], ["portfolio"], seed=0)[0]


@pytest.mark.slow
def test_the_truth_of_pure_noise_is_its_mean(space, settings):
    """A seed that chose a setting says nothing of what it is worth."""
    rng, exported = np.random.default_rng(0), []
    for seed in range(40):
        table = curves_of(np.full(12, 0.5), noise=0.2, rng=rng)
        exported.append(replay.replay(space, settings, table, [], ["random"], seed)[0].exported[10])
    assert np.mean(exported) == pytest.approx(0.5, abs=4 * 0.2 / np.sqrt(2 * 40))


def test_a_run_that_diverged_is_the_worst_of_its_table(space, settings):
    table = curves_of(np.linspace(0.2, 1, len(settings)))
    returns = table.returns.copy()
    returns[-1, :, 5:] = np.nan
    broken = Curves.of(table.member, STEPS, returns, table.seconds, table.settings)
    assert broken.late[-1].max() < broken.late[0].min()
    found = replay.replay(space, settings, broken, [], ["random"], seed=0)[0]
    assert found.exported[100] == pytest.approx(table.late[-2, 0])


def test_worse_than_random_play_counts_as_random_play():
    table = curves_of([-50.0, 0.5])
    assert table.truth.tolist() == pytest.approx([0.0, 0.5])


def test_settings_whose_seeds_are_not_all_measured_are_left_out():
    seconds = np.ones((4, 3))
    seconds[2, 1] = np.nan
    table = Curves.of(member(), STEPS, np.zeros((4, 3, 20)), seconds, np.arange(4))
    assert table.settings.tolist() == [0, 1, 3]


def test_further_seeds_are_no_searchs_and_tell_the_truth():
    seconds = np.ones((3, 5))
    seconds[1:, 3:] = np.nan  # two settings have the first three alone
    ends = np.array([[0.9, 0.3, 0.3, 0.1, 0.4], [0.5] * 5, [0.2] * 5])
    returns = ends[..., None] * np.ones(20)
    table = Curves.of(member(), STEPS, returns, seconds, np.arange(3))
    assert table.late.shape == table.seconds.shape == (3, 3)
    np.testing.assert_allclose(table.fresh, [[0.1, 0.4], [np.nan] * 2, [np.nan] * 2])
    assert table.truth.tolist() == pytest.approx([0.4, 0.5, 0.2])


def test_the_pruner_saves_steps(space, settings):
    truth = np.random.default_rng(2).random(len(settings))
    spent = {
        name: replay.replay(space, settings, curves_of(truth), [], [name], seed=1)[0].steps[100]
        for name in ("tpe", "today")
    }
    assert spent["tpe"] == len(settings)
    assert spent["today"] < 0.95 * spent["tpe"]


def test_a_portfolio_complements_before_it_repeats():
    """One setting is good everywhere but in `c`, its neighbours are nearly as good, one is good in `c` alone."""
    a = curves_of([0.9, 1.0, 0.98, 0.0, 0.1], "a")
    b = curves_of([0.9, 1.0, 0.98, 0.0, 0.1], "b")
    c = curves_of([0.0, 0.0, 0.0, 1.0, 0.2], "c")
    assert choose_portfolio([a, b, c], 2, draws=0) == [1, 3]
    assert choose_portfolio([a, b], 1, draws=0) == [1]
    assert 3 in choose_portfolio([a, b, c], 2)
    assert sorted(choose_portfolio([a, b, c], 9)) == [0, 1, 2, 3, 4]


def greedy(everything, size, draws):
    """A naive twin: one setting after the other, one draw after the other. All families have one member."""
    noise = np.random.default_rng(0).standard_normal((draws, len(everything), len(everything[0].settings)))
    worth = np.empty_like(noise)
    for draw in range(draws):
        for e, curves in enumerate(everything):
            best = curves.truth.max()
            spread = np.sqrt(np.mean([np.var(seeds, ddof=1) for seeds in curves.late])) / best
            error = np.hypot(spread / np.sqrt(curves.late.shape[1]), SPREAD)
            for s, truth in enumerate(curves.truth):
                worth[draw, e, s] = max(truth / best + noise[draw, e, s] * error, 0.0)
    chosen = []
    while len(chosen) < size:
        gains = {}
        for s in set(range(noise.shape[2])) - set(chosen):
            rises = [max(w[s] - max(w[chosen], default=0.0), 0.0) for each in worth for w in each]
            average = np.mean([curves.truth[s] / curves.truth.max() for curves in everything])
            gains[s] = (round(float(np.mean(rises)), 9), average)
        chosen.append(max(gains, key=gains.get))
    return chosen


@pytest.mark.parametrize("seed", range(4))
def test_a_portfolio_counts_on_what_its_few_seeds_say(seed):
    rng = np.random.default_rng(seed)
    everything = [curves_of(rng.random(12), family, noise=0.2, rng=rng) for family in "abc"]
    assert choose_portfolio(everything, 6, draws=16) == greedy(everything, 6, 16)


def test_a_portfolio_holds_what_is_nearly_the_best_somewhere_before_what_is_middling_everywhere():
    """Setting 0 is the best in both; a family like `a` may well prefer setting 1, none setting 2."""
    a, b = curves_of([1.0, 0.95, 0.6], "a"), curves_of([1.0, 0.2, 0.6], "b")
    assert choose_portfolio([a, b], 2, draws=0) == [0, 2]  # nothing is to be gained, and that is better on average
    assert choose_portfolio([a, b], 2) == [0, 1]


def test_what_is_known_is_written_with_what_it_was_made_from_and_read_by_the_product(tmp_path, settings):
    a, b = curves_of([1.0, 0.5, 0.0], "a"), curves_of([0.0, 0.5, 2.0], "b")
    made = to_mapping([1, 0, 2], settings, [a, b], "abc")
    usual = DQNHyperparameters().to_mapping()
    assert not any(value == usual[name] for values in made["settings"].values() for name, value in values.items())
    path = tmp_path / "prior.yaml"
    path.write_text(yaml.safe_dump(made, sort_keys=False))
    read = load_prior(path, "dqn")
    assert dict(read.portfolio) == {settings[i].name: settings[i].hyperparameters for i in (1, 0, 2)}
    assert read.good == ((settings[0].hyperparameters, 0.5), (settings[2].hyperparameters, 0.5))
    assert made["provenance"]["settings_measured"] == {"lab/a-v0": 3, "lab/b-v0": 3}


def test_families_share_the_prior_equally_and_so_do_a_familys_environments(settings):
    a = [curves_of(np.linspace(0, 1, 20), "a"), curves_of(np.linspace(1, 0, 20), "a")]
    b = curves_of(np.linspace(0, 1, 10), "b")
    assert good_settings([*a, b]) == {19: 0.125, 18: 0.125, 0: 0.125, 1: 0.125, 9: 0.5}


def test_a_family_of_many_members_weighs_as_much_as_one_of_few():
    many = [dataclasses.replace(curves_of([1.0, 0.8], "a")) for _ in range(5)]
    few = [curves_of([0.0, 1.0], "b")]
    assert choose_portfolio([*many, *few], 1) == [1]


def test_a_setting_of_the_space_is_nearest_to_itself(space, settings):
    for setting in settings[len(design.named_settings()) :]:
        values = setting.hyperparameters.to_mapping()
        found = space.resolve(nearest_params(space, setting.hyperparameters)).to_mapping()
        assert found.pop("net_arch") == values.pop("net_arch")
        assert found == pytest.approx(values)


def test_a_setting_outside_the_space_stands_at_its_edge(space):
    values = from_mapping("dqn", {"net_arch": (400, 300), "learning_rate": 0.5, "train_freq": 1})
    params = nearest_params(space, values)
    assert params["net_arch"] == "256x256"
    assert params["learning_rate"] == pytest.approx(1e-2)


def test_a_resampled_table_repeats_and_leaves_out_settings_but_changes_none(space, settings):
    table = curves_of(np.linspace(0, 1, 12))
    again = table.of_rows(np.array([3, 3, 7, 40]))
    assert again.settings.tolist() == [3, 3, 7]
    np.testing.assert_array_equal(again.late, table.late[[3, 3, 7]])
    both = [table, curves_of(np.linspace(1, 0, 12), "b")]
    found = [r for each in replay.replay_all(space, settings, both, ["random"], range(6), resample=True) for r in each]
    assert len(found) == 12
    best = {r.exported[100] for r in found if r.env == "lab/a-v0"}
    assert len(best) > 1, "each study seed has a table of its own"
    assert best <= set(np.linspace(0, 1, 12))


def test_replays_go_on_from_the_studies_of_a_file(tmp_path, space, settings):
    both, path = [curves_of(np.linspace(0, 1, 12)), curves_of(np.linspace(1, 0, 12), "b")], tmp_path / "replays.jsonl"
    whole = [r for each in replay.replay_all(space, settings, both, ["random", "tpe"], range(2)) for r in each]
    assert replay.stored(path) == replay.stored(None) == []
    lines = [json.dumps(dataclasses.asdict(r)) for r in whole]
    path.write_text("\n".join([*lines[:3], lines[3][:40]]))  # and then it was killed
    found = replay.stored(path)
    assert found == whole[:3]
    there = {(r.env, r.seed, r.method) for r in found}
    rest = replay.replay_all(space, settings, both, ["random", "tpe"], range(2), there=there)
    assert [r for each in rest for r in each] == whole[3:]


def test_values_tuned_for_an_environment_are_no_part_of_its_familys_table(tmp_path, settings):
    runs = [table.Measured(s, r, (1.0,) * 20, (0.0,) * 20, 1.0, 20, "") for s in range(len(settings)) for r in range(3)]
    for name in ("CartPole-v1", "lab-Acrobot-v0", "lab-Catch-v0"):
        table.write_archive(tmp_path / f"{name}.npz", runs, len(settings), tuple(range(1, 21)))
    found = {c.member.family: {settings[int(row)].name for row in c.settings} for c in load_curves(tmp_path, settings)}
    assert all(family_of(env) for s in settings for env in s.tuned_for)
    everything = {s.name for s in settings}
    assert everything - found["cartpole"] == {"zoo/CartPole-v1", "hand/CartPole-v1"}
    assert everything - found["acrobot"] == {"zoo/LunarLander-v3+Acrobot-v1", "hand/Acrobot-v1"}
    assert found["catch"] == everything
