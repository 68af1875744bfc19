"""Starts come first, whoever asks; the prior fades; both are stored with the study."""

import dataclasses

import numpy as np
import optuna
import pytest
import yaml
from optuna.trial import TrialState
from study_fakes import FakeExecutor

import tuner
from tuner.errors import InputError
from tuner.hyperparameters import algorithm_class, from_mapping
from tuner.plan.known import Known, Start, known_settings
from tuner.plan.recipe import StudyRecipe
from tuner.plan.resolve import plan_study
from tuner.plan.stored import plan_again
from tuner.space.catalog import load_by_name
from tuner.space.nearest import nearest_params
from tuner.space.prior import load_prior, packaged_prior
from tuner.space.ranges import Choice, Dimension
from tuner.study.sampling.proposals import STRENGTH, Proposals
from tuner.study.sampling.samplers import make_sampler
from tuner.study.search.asker import SpaceAsker
from tuner.study.store import keys as attr

SPACE = load_by_name("default").for_environment("Unheard-v0")[0].clip_to_budget()
FIELDS = {d.name: d for d in SPACE.dimensions}


def point(**values):
    return nearest_params(SPACE, from_mapping("dqn", {"learning_starts": 1000, **values}))


KNOWN = Known(
    starts=(Start("a", point(gamma=0.95)), Start("b", point(gamma=0.99)), Start("c", point(gamma=0.999))),
    good=((point(learning_rate=1e-3), 0.75), (point(learning_rate=1e-4), 0.25)),
)


def study_of(known, name="tpe"):
    sampler = make_sampler(name, seed=5, startup_trials=10, known=known, dimensions=SPACE.dimensions)
    return optuna.create_study(sampler=sampler, direction="maximize")


class Suggest:
    def __init__(self, trial):
        self.trial = trial

    def float(self, name, low, high, log, step):
        return self.trial.suggest_float(name, low, high, log=log, step=step)

    def int(self, name, low, high, log, step):
        return self.trial.suggest_int(name, low, high, log=log, step=step)

    def choice(self, name, options):
        return self.trial.suggest_categorical(name, options)


def ask(study):
    trial = study.ask()
    SPACE.sample(Suggest(trial))
    return trial, study.sampler.proposal


@pytest.mark.parametrize("name", ["tpe", "random", "gp", "qmc"])
def test_the_first_trials_are_the_starts_in_order_whoever_samples(name):
    study = study_of(KNOWN, name)
    for start in KNOWN.starts:
        trial, proposal = ask(study)
        assert proposal.source == start.name
        assert trial.params == start.params
        study.tell(trial, 1.0)
    assert ask(study)[0].params not in [start.params for start in KNOWN.starts]


def test_a_lost_trials_successor_takes_no_place_of_a_start():
    study = study_of(KNOWN)
    lost, _ = ask(study)
    study.tell(lost, state=TrialState.FAIL)
    study.enqueue_trial(dict(lost.params), user_attrs={attr.RETRY_OF: lost.number})
    again, none = ask(study)
    assert again.params == KNOWN.starts[0].params and none is None
    assert [ask(study)[1].source for _ in range(2)] == ["b", "c"]


def test_a_lost_starts_successor_is_marked_as_that_start_and_an_enqueued_trial_as_none():
    study, asker = study_of(KNOWN), SpaceAsker(SPACE, seed=5, replicates=1)
    lost = study.ask()
    asker.fill(lost)
    study.tell(lost, state=TrialState.FAIL)
    study.enqueue_trial(dict(lost.params), user_attrs={attr.RETRY_OF: 0, attr.ROOT: 0})
    again = study.ask()
    asker.fill(again)
    study.enqueue_trial(dict(KNOWN.starts[2].params))
    own = study.ask()
    asker.fill(own)
    assert [t.user_attrs.get(attr.SOURCE) for t in (lost, again, own)] == ["a", "a", None]


def test_a_start_that_was_lost_before_it_had_its_values_is_that_start_again():
    study, asker = study_of(KNOWN), SpaceAsker(SPACE, seed=5, replicates=1)
    lost = study.ask()  # and its process dies
    study.tell(lost, state=TrialState.FAIL)
    study.enqueue_trial({}, user_attrs={attr.RETRY_OF: 0, attr.ROOT: 0, attr.POINT: 0})
    again = study.ask()
    asker.fill(again)
    assert again.params == KNOWN.starts[0].params
    assert again.user_attrs[attr.SOURCE] == "a"


PRUNED = optuna.trial.create_trial(state=TrialState.PRUNED)


@pytest.mark.parametrize(("name", "asked"), [("tpe", True), ("gp", True), ("random", False), ("qmc", False)])
def test_the_prior_mixes_with_samplers_that_look_for_good_points_alone(name, asked):
    """Before any trial has ended every proposal would be the prior's."""
    study = study_of(dataclasses.replace(KNOWN, starts=()), name)
    assert [proposal is not None for _, proposal in (ask(study) for _ in range(4))] == [asked] * 4


def test_a_number_of_the_prior_moves_by_a_tenth_of_its_range_and_a_tenth_of_the_choices_is_drawn_anew():
    dimensions = (
        Dimension("rate", "rate", "float", 1e-6, 1.0, log=True),
        Dimension("share", "share", "float", 0.1, 0.7, step=0.1),
        Dimension("word", "word", "categorical", choices=("a", "b")),
    )
    known = Known(good=(({"rate": 1e-3, "share": 0.4, "word": "a"}, 1.0),))
    found = [Proposals(known, dimensions, seed=seed, prior=True).of([], PRUNED, 0).params for seed in range(2000)]
    moved = (np.log10([params["rate"] for params in found]) + 3) / 6
    assert (moved.mean(), moved.std()) == pytest.approx((0, 0.1), abs=0.008)
    assert {params["share"] for params in found} <= {0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7}
    assert np.mean([params["word"] == "b" for params in found]) == pytest.approx(0.1 / 2, abs=0.015)


def test_the_prior_proposes_less_as_trials_come_in():
    known = dataclasses.replace(KNOWN, starts=())
    for finished in (0, round(STRENGTH), 9 * round(STRENGTH)):
        study = optuna.create_study(direction="maximize")
        for number in range(finished):  # stopped ones count as well, lost ones do not
            study.add_trial(PRUNED if number % 2 else optuna.trial.create_trial(value=0.0))
            study.add_trial(optuna.trial.create_trial(state=TrialState.FAIL))
        found = 0
        for seed in range(600):
            proposals = Proposals(known, SPACE.dimensions, seed=seed, prior=True)
            trial = study.ask()._cached_frozen_trial
            found += proposals.of(study.get_trials(deepcopy=False), trial, trial.number) is not None
        wanted = STRENGTH / (STRENGTH + finished)
        assert found / 600 == pytest.approx(wanted, abs=4 * np.sqrt(0.25 / 600))


def test_proposals_of_the_prior_lie_in_the_space_near_its_settings_by_their_shares():
    study = optuna.create_study(direction="maximize")
    trial = study.ask()._cached_frozen_trial
    rates = []
    for seed in range(400):
        proposals = Proposals(dataclasses.replace(KNOWN, starts=()), SPACE.dimensions, seed=seed, prior=True)
        proposal = proposals.of([], trial, 0)
        assert proposal.source == "prior"
        for name, value in proposal.params.items():
            assert proposal.params.keys() == KNOWN.good[0][0].keys()
            d = FIELDS[name]
            assert value in d.choices if d.kind == "categorical" else d.low <= value <= d.high
            assert d.kind != "int" or type(value) is int
        SPACE.resolve(proposal.params)
        rates.append(np.log10(proposal.params["learning_rate"]))
    assert np.mean(np.abs(np.array(rates) + 3) < 0.5) == pytest.approx(0.75 * 0.9, abs=0.15)


def test_known_settings_survive_the_database():
    assert Known.from_stored(KNOWN.to_mapping()) == KNOWN
    assert Known.from_stored(None) == Known()


def recipe(**changes):
    return StudyRecipe(env="CartPole-v1", **changes).validated()


def test_what_is_named_trains_before_the_portfolio_and_once():
    known = known_settings(recipe(start_with=("zoo", "defaults")), SPACE)
    assert [start.name for start in known.starts[:2]] == ["zoo", "defaults"]
    assert known.starts[0].params["batch_size_pow"] == 6
    assert SPACE.resolve(known.starts[1].params).batch_size == algorithm_class("dqn")().batch_size
    assert len({str(sorted(start.params.items())) for start in known.starts}) == len(known.starts)


def test_what_the_space_does_not_search_of_a_file_is_said(tmp_path):
    path = tmp_path / "own.yaml"
    path.write_text(
        "schema: tune/1\nalgorithm: dqn\nenv: CartPole-v1\nn_timesteps: 300\n"
        "hyperparameters: {noisy: true, quantiles: 5, learning_starts: 1000, weight_averaging: 0, gamma: 0.95}\n"
    )
    (note,) = known_settings(recipe(start_with=(str(path), "defaults")), SPACE).notes
    assert note.endswith("own.yaml: the space does not search all of it, and it trains with quantiles=1 (not 5) and "
                         "noisy=false (not true).")  # fmt: skip
    rainbow = load_by_name("rainbow").for_environment("X-v0")[0]
    assert not known_settings(recipe(start_with=(str(path),), space="rainbow"), rainbow).notes


def test_an_environments_name_plays_no_part_in_what_is_known():
    envs = ("CartPole-v1", "X-v0")
    spaces = [load_by_name("default").for_environment(env)[0].with_budget(20_000, 10, 10) for env in envs]
    recipes = [recipe(), dataclasses.replace(recipe(), env="X-v0")]
    first, second = (known_settings(r, s.clip_to_budget()) for r, s in zip(recipes, spaces, strict=True))
    assert first == second


@pytest.mark.parametrize("changes", [{"prior": "none"}, {"space": "classic"}, {"space": "zoo"}])
def test_without_the_prior_nothing_is_known(changes):
    assert known_settings(recipe(**changes), SPACE) == Known()


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"start_with": ("nowhere.yaml",)}, "--start-with nowhere.yaml"),
        ({"prior": "nowhere.yaml"}, "nowhere.yaml: cannot be read"),
    ],
)
def test_what_cannot_be_used_is_named(changes, says):
    with pytest.raises(InputError, match=says):
        known_settings(recipe(**changes), SPACE)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[]", "a prior has the keys"),
        ("algorithm: fqi\nsettings: {}", "is fqi, but --algo is dqn"),
        ("algorithm: dqn\nsettings: {a: {lr: 1}}", "settings: a: dqn has no hyperparameter 'lr'"),
        ("algorithm: dqn\nsettings: {}\nportfolio: [a]", "'a' is named"),
        ("algorithm: dqn\nsettings: {a: {}}\nportfolio: [[a]]", "['a'] is named"),
        ("algorithm: dqn\nsettings: {a: {}, b: {}}\ngood: {a: 1.0e+308, b: 1.0e+308}", "shares must have a sum"),
        ("algorithm: dqn\nsettings: {a: {}}\ngood: {a: -1}", "must be positive"),
        ("algorithm: dqn\nsettings: {a: !!python/object:os.system {}}", "only plain data is allowed"),
        ("algorithm: dqn\nsettings: {a: 3}", "must be a mapping"),
    ],
)
def test_a_broken_prior_is_refused_in_one_line(tmp_path, text, says):
    path = tmp_path / "prior.yaml"
    path.write_text(text)
    with pytest.raises(InputError) as refused:
        known_settings(recipe(prior=str(path)), SPACE)
    assert says in str(refused.value)
    assert "\n" not in str(refused.value)


def test_settings_come_near_a_space_whose_networks_have_no_hidden_layer():
    space = SPACE.fix("gamma", 0.9)
    networks = Choice(((), (8,), (64, 64)))
    space = dataclasses.replace(space, search={**space.search, "net_arch": networks}, fixed={"gamma": 0.9})
    near = [nearest_params(space, algorithm_class("dqn")(net_arch=widths))["net_arch"] for widths in ((), (9,))]
    assert near == ["linear", "8"]


RENAMED = """
import gymnasium
gymnasium.register(
    "Somewhere-v0", entry_point="gymnasium.envs.classic_control:CartPoleEnv", max_episode_steps=500,
    reward_threshold=475.0,
)
"""


def searched(tmp_path, env, executor=None, **changes):
    settings = {
        "trials": 11, "steps": 400, "evaluations": 4, "eval_episodes": 2, "startup_trials": 2, "confirm": 0,
        "workers": 1, "executor": "inline",
        "storage": f"sqlite:///{tmp_path}/{env}.db", "report_dir": str(tmp_path / "reports"), "quiet": True,
    }  # fmt: skip
    return tuner.run(StudyRecipe(env=env, **{**settings, **changes}), executor=executor).data


def test_the_same_environment_under_another_name_makes_the_same_study(tmp_path):
    """With the budget given: hyperparameters, seeds, sources and whole curves, trial by trial."""
    (tmp_path / "somewhere.py").write_text(RENAMED)
    named = searched(tmp_path, "CartPole-v1")
    renamed = searched(tmp_path, "Somewhere-v0", env_module=str(tmp_path / "somewhere.py"))
    assert named.space == renamed.space
    assert [dict(t.params) for t in named.trials] == [dict(t.params) for t in renamed.trials]
    assert [t.curves for t in named.trials] == [t.curves for t in renamed.trials]
    assert [(t.source, t.seeds) for t in named.trials] == [(t.source, t.seeds) for t in renamed.trials]
    known = load_prior(packaged_prior("dqn"), "dqn")
    assert [t.source for t in named.trials] == [f"portfolio/{name}" for name in known.portfolio][:11]


@pytest.mark.slow
def test_a_resumed_study_keeps_what_it_knew_whatever_the_package_knows_now(tmp_path, monkeypatch):
    first = searched(tmp_path, "CartPole-v1", FakeExecutor())
    monkeypatch.setattr("tuner.plan.known.packaged_prior", lambda algorithm: None)
    again = searched(tmp_path, "CartPole-v1", FakeExecutor(), trials=13)
    monkeypatch.undo()
    (tmp_path / "whole").mkdir()
    whole = searched(tmp_path / "whole", "CartPole-v1", FakeExecutor(), trials=13)
    assert [t.params for t in again.trials[:11]] == [t.params for t in first.trials]
    assert [t.source for t in again.trials] == [t.source for t in whole.trials]


def test_a_study_is_confirmed_without_the_files_that_it_began_from(tmp_path):
    prior = tmp_path / "mine.yaml"
    prior.write_text("algorithm: dqn\nportfolio: [a]\nsettings: {a: {learning_rate: 0.001, learning_starts: 50}}\n")
    data = searched(tmp_path, "CartPole-v1", FakeExecutor(), prior=str(prior), trials=3)
    assert [t.source for t in data.trials] == ["portfolio/a", "", ""]
    prior.unlink()
    storage = f"sqlite:///{tmp_path}/CartPole-v1.db"
    plan = plan_again(data, storage, {})
    assert plan.recipe.prior == str(prior) and plan.space.to_mapping() == data.space


def test_two_of_the_startup_trials_are_random_ones_of_the_studys_seed():
    found = known_settings(recipe(), SPACE).starts
    names = [start.name for start in found]
    assert names[8:10] == ["", ""] and "" not in [*names[:8], *names[10:]] and len(names) == 18
    again = [known_settings(recipe(seed=seed), SPACE).starts for seed in (0, 1)]
    assert again[0] == found
    assert again[1][:8] == found[:8] and again[1][10:] == found[10:]
    drawn = [start.params for starts in again for start in starts[8:10]]
    assert all(a != b for i, a in enumerate(drawn) for b in drawn[:i])
    for params in drawn:
        assert nearest_params(SPACE, SPACE.resolve(params)) == params


@pytest.mark.parametrize(
    ("changes", "places"),
    [
        ({"start_with": ("zoo",)}, [8, 9]),  # what was asked for comes first, the portfolio gives way
        ({"startup_trials": 4}, [2, 3]),
        ({"startup_trials": 3}, []),  # next to nothing would be trained before them
        ({"startup_trials": 30}, []),  # TPE draws as many itself
        ({"sampler": "random"}, []),  # all others are random
        ({"sampler": "gp"}, [8, 9]),
        ({"prior": "none", "start_with": ("zoo", "defaults"), "startup_trials": 4}, []),
    ],
)
def test_random_trials_take_no_place_of_what_was_asked_for(changes, places):
    found = known_settings(recipe(**changes), SPACE).starts
    assert [at for at, start in enumerate(found) if not start.name] == places


def test_more_settings_than_startup_trials_leave_no_place_for_random_ones(tmp_path):
    words = []
    for rate in range(1, 10):
        path = tmp_path / f"{rate}.yaml"
        path.write_text(f"CartPole-v1:\n  n_timesteps: 50000\n  learning_rate: {rate / 1000}\n")
        words.append(str(path))
    found = known_settings(recipe(start_with=tuple(words)), SPACE).starts
    assert "" not in [start.name for start in found]


def test_the_packaged_prior_holds_the_defaults_and_says_what_it_was_made_from():
    path = packaged_prior("dqn")
    known = load_prior(path, "dqn")
    assert algorithm_class("dqn")() in known.portfolio.values()
    assert sum(share for _, share in known.good) == pytest.approx(1)
    measured = yaml.safe_load(path.read_text())["provenance"]["settings_measured"]
    assert len(measured) >= 10 and min(measured.values()) >= 5


OWN = "schema: tune/1\nalgorithm: dqn\nenv: MinAtar/Breakout-v1\nn_timesteps: 300\nhyperparameters: {gamma: 0.9}\n"
ZOOS = "MinAtar/Breakout-v1: {n_timesteps: 300, gamma: 0.9}\n"
VECTORS = "MinAtar/Breakout-v1: {n_timesteps: 300, gamma: 0.9, policy: MlpPolicy}\n"
PRIOR = "algorithm: dqn\nsettings: {a: {gamma: 0.9}}\nportfolio: [a]\n"


@pytest.mark.parametrize(
    ("text", "layers"),
    [(OWN, "linear"), (ZOOS, "linear"), (f"{OWN[:-2]}, net_arch: [64, 64]}}\n", "64x64"), (VECTORS, "64x64"),
     (None, "linear"), (PRIOR, "linear")],
)  # fmt: skip
def test_layers_that_a_start_leaves_out_are_those_for_images_where_images_are_seen(in_tmp, text, layers):
    (in_tmp / "space.yaml").write_text(
        "algorithm: dqn\nbudget: {n_timesteps: 300, evaluations: 2, eval_episodes: 1}\nsearch:\n"
        "  gamma: {type: float, low: 0.5, high: 0.999}\n"
        "  net_arch: {type: categorical, choices: [[], [64, 64]]}\n"
    )
    (in_tmp / "own.yaml").write_text(text or "")
    named = {"prior": "own.yaml"} if text == PRIOR else {"start_with": ("defaults" if text is None else "own.yaml",)}
    given = StudyRecipe(env="MinAtar/Breakout-v1", space="space.yaml", executor="inline", startup_trials=1, **named)
    plan = plan_study(given, play=False)
    assert plan.known.starts[0].params["net_arch"] == layers
    assert not [note for note in plan.notes if note.startswith("--start-with")]
