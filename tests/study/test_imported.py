"""``--start-with``: Optuna studies of others by a mapping file, and report.json; nothing of them runs."""

import dataclasses
import json

import optuna
import pytest
from study_fakes import FakeExecutor, empty_database

import tuner
from tuner.errors import InputError
from tuner.plan.imported import of_optuna, of_report
from tuner.plan.resolve import plan_study
from tuner.study.reading.foreign import best_trials
from tuner.study.reading.study import load

URL = "sqlite:///old.db"

RECIPE = tuner.StudyRecipe(
    env="CartPole-v1", steps=300, evaluations=3, eval_episodes=1, pruner="none", trials=4, confirm=0, space="classic",
    prior="none", study="new", storage="sqlite:///new.db",
)  # fmt: skip


@pytest.fixture(autouse=True)
def here(in_tmp):
    """Databases and files go there."""
    for name in ("old", "new"):
        (in_tmp / f"{name}.db").write_bytes(empty_database())


def make_study(*trials, direction="maximize", name="theirs"):
    study = optuna.create_study(storage=URL, study_name=name, direction=direction)
    for params, value in trials:
        kinds = {
            key: optuna.distributions.CategoricalDistribution(["tiny", "small", "48x24"])
            if isinstance(v, str)
            else optuna.distributions.FloatDistribution(v, v)
            if isinstance(v, float)
            else optuna.distributions.IntDistribution(v, v)
            for key, v in params.items()
        }
        state = optuna.trial.TrialState.COMPLETE if value is not None else optuna.trial.TrialState.FAIL
        study.add_trial(optuna.trial.create_trial(params=params, distributions=kinds, value=value, state=state))


def read(**content):
    return of_optuna({"optuna": URL, "study": "theirs", **content}, "dqn", best_trials)


def test_parameters_are_called_what_the_file_says_and_the_best_come_first():
    make_study(
        ({"lr": 0.01, "net": "tiny", "seed": 7}, 10.0),
        ({"lr": 0.002, "net": "small", "seed": 7}, 30.0),
        ({"lr": 0.003, "net": "48x24", "seed": 7}, 20.0),
        ({"lr": 0.5, "net": "tiny", "seed": 7}, None),
    )
    settings = read(
        parameters={"lr": "learning_rate", "net": "net_arch", "seed": None},
        values={"net": {"tiny": [32]}},
        fixed={"gamma": 0.95},
        trials=3,
    )
    assert list(settings) == ["trial 1", "trial 2", "trial 0"]
    assert [s.learning_rate for s in settings.values()] == [0.002, 0.003, 0.01]
    assert [list(s.net_arch) for s in settings.values()] == [[64, 64], [48, 24], [32]]
    assert {s.gamma for s in settings.values()} == {0.95}


@pytest.mark.parametrize(
    ("env", "epsilon"), [("ALE/Pong-v5", 0.001), ("module:PongNoFrameskip-v4", 0.001), ("CartPole-v1", 0.0)]
)
def test_a_stored_study_knows_how_greedy_its_evaluations_are(env, epsilon):
    optuna.create_study(storage=URL, study_name="stored").set_user_attr(
        "recipe", {"env": env, "algo": "dqn", "backend": "native"}
    )
    assert load("stored", URL).eval_epsilon == epsilon


def test_a_study_that_minimises_has_its_least_first():
    make_study(*[({"learning_rate": rate}, loss) for rate, loss in ((0.1, 3.0), (0.01, 1.0), (0.02, 2.0))],
               direction="minimize")  # fmt: skip
    assert [s.learning_rate for s in read(trials=2).values()] == [0.01, 0.02]


def test_rl_zoos_own_search_needs_no_mapping():
    from rl_zoo3.hyperparams_opt import sample_dqn_params

    study = optuna.create_study(storage=URL, study_name="theirs", sampler=optuna.samplers.RandomSampler(seed=0))
    sampled = []

    def objective(trial):
        extra = {"using_her_replay_buffer": False, "her_kwargs": {}}
        sampled.append(sample_dqn_params(trial, 2, 1, extra))
        return float(trial.number)

    study.optimize(objective, n_trials=8)
    settings = list(read(trials=8).values())
    assert len(settings) == 8
    for ours, theirs in zip(settings, sampled, strict=True):
        for name in ("learning_rate", "train_freq", "exploration_fraction", "target_update_interval", "batch_size"):
            assert getattr(ours, name) == theirs[name]
        assert ours.gamma == pytest.approx(theirs["gamma"])
        assert ours.gradient_steps == theirs["gradient_steps"]
        assert list(ours.net_arch) == theirs["policy_kwargs"]["net_arch"]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ({"params": {}}, r"params: is not a key .*parameters"),
        ({"study": "their"}, r"no study 'their' .*'theirs'"),
        ({"optuna": "sqlite:///nowhere.db"}, "nowhere.db"),
        ({"optuna": 3}, "storage's URL"),
        ({"trials": 0}, "from 1 to 100, got 0"),
        ({"parameters": []}, "parameters: must be a mapping"),
        ({}, r"trial 0: its parameter 'lr' is no hyperparameter .*parameters: \{lr: FIELD\}"),
        ({"parameters": {"lr": "learning_rat"}}, "no hyperparameter 'learning_rat'.*'learning_rate'"),
        ({"parameters": {"lr": "learning_rate"}, "values": {"lr": {0.5: "much"}}}, "trial 0: learning_rate"),
        ({"parameters": {"lr": "gamma"}, "fixed": {"batch_size": 0}}, "trial 0: batch_size"),
    ],
)
def test_a_broken_mapping_is_refused_in_a_line(content, says):
    make_study(({"lr": 0.5}, 1.0))
    with pytest.raises(InputError, match=says) as refused:
        read(**content)
    assert "\n" not in str(refused.value)


def test_a_study_without_a_completed_trial_or_with_two_objectives_is_refused():
    make_study(({"lr": 0.1}, None))
    with pytest.raises(InputError, match="no completed trial"):
        read()
    optuna.create_study(storage=URL, study_name="two", directions=["maximize", "minimize"])
    with pytest.raises(InputError, match="has 2 objectives"):
        read(study="two")


def test_passwords_of_the_url_are_not_shown():
    with pytest.raises(InputError) as refused:
        read(optuna="postgresql://me:secret@127.0.0.1:1/db")
    assert "secret" not in str(refused.value)


def test_a_search_begins_with_them_and_says_where_each_is_from(in_tmp):
    make_study(({"lr": 0.002}, 30.0), ({"lr": 0.003}, 20.0))
    (in_tmp / "old.yaml").write_text(f"optuna: {URL}\nstudy: theirs\nparameters: {{lr: learning_rate}}\n")
    recipe = dataclasses.replace(RECIPE, start_with=("old.yaml",))
    data = tuner.run(recipe, executor=FakeExecutor()).data
    assert [t.source for t in data.trials] == ["old.yaml trial 0", "old.yaml trial 1", "", ""]
    assert [t.hyperparameters["learning_rate"] for t in data.trials[:2]] == pytest.approx([0.002, 0.003])
    report = in_tmp / "reports" / "new" / "report.json"
    again = dataclasses.replace(RECIPE, start_with=(str(report),), study="newer")
    starts = plan_study(again).known.starts
    chosen, *others = of_report(report, "dqn").values()
    assert len(starts) == 3 and starts[0].name == f"{report} trial {data.chosen.number}"
    assert chosen.learning_rate == data.chosen.hyperparameters["learning_rate"]
    scores = {t.hyperparameters["learning_rate"]: t.score for t in data.trials}
    assert [scores[s.learning_rate] for s in others] == sorted((scores[s.learning_rate] for s in others), reverse=True)


def test_a_study_that_tune_made_gives_its_resolved_values(in_tmp):
    data = tuner.run(RECIPE, executor=FakeExecutor()).data
    settings = of_optuna({"optuna": RECIPE.storage, "study": "new", "trials": 1}, "dqn", best_trials)
    ((name, setting),) = settings.items()
    assert name == f"trial {data.ranked[0].number}"
    assert setting.to_mapping() == data.ranked[0].hyperparameters


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{", "is not a report.json"),
        ("[1]", "is not a report.json"),
        ('{"study": {"recipe": {"algo": "fqi"}}, "summary": {"chosen": 0}, "trials": []}', "is of fqi"),
        ('{"study": {"recipe": {"algo": "dqn"}}, "summary": {"chosen": 0}, "trials": []}', "no trial"),
        (
            json.dumps({
                "study": {"recipe": {"algo": "dqn"}}, "summary": {"chosen": 0},
                "trials": [{"number": 0, "score": 1.0, "hyperparameters": {"gamma": 7}}],
            }),
            "trial 0: gamma",
        ),
    ],
)  # fmt: skip
def test_a_broken_report_is_refused_in_a_line(text, says, in_tmp):
    (in_tmp / "report.json").write_text(text)
    with pytest.raises(InputError, match=rf"--start-with report.json: .*{says}") as refused:
        plan_study(dataclasses.replace(RECIPE, start_with=("report.json",)))
    assert "\n" not in str(refused.value)
