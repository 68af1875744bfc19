"""An environment's file edited between two runs: old and new scores are not compared; and its megabytes are cut."""

import dataclasses
import sqlite3

import pytest

import tuner
from tuner.api import confirm
from tuner.contract.outcome import MAX_TEXT
from tuner.errors import InputError, ResumeError, UnusableEnvironmentError
from tuner.plan.command_lines import study_words
from tuner.study.reading.study import load

ENVIRONMENT = """\
import gymnasium
from gymnasium.spaces import Discrete
class E(gymnasium.Env):
    observation_space = Discrete(4); action_space = Discrete(2)
    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed); return 0, {}
    def step(self, action):
        return 0, 1.0, True, False, {}
gymnasium.register("E-v0", E)
"""

RECIPE = tuner.StudyRecipe(
    env="E-v0", env_module="changing_env.py", algo="q_learning", trials=1, steps=100, evaluations=2, eval_episodes=1,
    confirm=0, executor="inline", sampler="random", study="s",
)  # fmt: skip

TRUSTED = {"env_module": "changing_env.py"}


@pytest.fixture
def file(in_tmp):
    path = in_tmp / "changing_env.py"
    path.write_text(ENVIRONMENT)
    return path


def test_a_study_whose_environments_file_has_changed_is_not_gone_on_with(file):
    tuner.run(RECIPE)
    more = dataclasses.replace(RECIPE, trials=2)
    file.write_text(ENVIRONMENT.replace("1.0", "100.0"))
    with pytest.raises(ResumeError, match=r"files of 'changing_env\.py' say has changed"):
        tuner.run(more)
    with pytest.raises(InputError, match=r"files of 'changing_env\.py' say has changed"):
        confirm("s", settings=TRUSTED)
    assert len(load("s").trials) == 1
    file.write_text(ENVIRONMENT)
    assert len(tuner.run(more).data.trials) == 2


@pytest.mark.parametrize("prefixed", [False, True])
def test_what_a_database_names_is_imported_only_where_the_user_names_it_too(file, prefixed):
    named = {"env": "changing_env:E-v0", "env_module": None} if prefixed else {}
    tuner.run(dataclasses.replace(RECIPE, **named))
    origin = "changing_env" if prefixed else "changing_env.py"
    file.write_text("raise SystemExit('imported')")
    with pytest.raises(InputError, match=rf"from '{origin}', and importing .* add --env-module {origin} "):
        confirm("s")
    with pytest.raises(InputError, match=f"--env-module defines the study 's' and cannot change: it is '{origin}'"):
        confirm("s", settings={"env_module": "other"})
    assert study_words(load("s").recipe, "s") == f"s --env-module {origin}"


def test_an_environment_that_raises_megabytes_is_one_line(file):
    file.write_text(ENVIRONMENT.replace("return 0, 1.0, True, False, {}", "raise ValueError('x' * 5_000_000)"))
    with pytest.raises(UnusableEnvironmentError, match="ValueError: x") as error:
        tuner.run(dataclasses.replace(RECIPE, executor="processes"))
    assert len(str(error.value)) < 2_000


def test_a_stored_reason_of_megabytes_is_cut(file):
    tuner.run(RECIPE)
    base = sqlite3.connect("studies/tuner.db")
    text = '"' + "x" * 3_000_000 + '"'
    base.execute("insert into trial_user_attributes (trial_id, key, value_json) values (1, 'reason', ?)", (text,))
    base.commit()
    assert len(load("s").trials[0].reason) < MAX_TEXT + 50
