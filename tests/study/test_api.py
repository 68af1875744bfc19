import json
import os
import re
import signal
import subprocess
import sys
import threading
import time

import pytest
import yaml
from study_fakes import FakeExecutor

import tuner
from tuner.errors import InputError, ResumeError, StudyFailedError, StudyLockedError
from tuner.plan import recipe as recipe_module
from tuner.plan.naming import study_name
from tuner.plan.recipe import StudyRecipe
from tuner.plan.resolve import plan_study
from tuner.study.reading.study import load
from tuner.study.search import open_study as open_study_module
from tuner.study.store.locks import study_lock

SMALL = {"env": "CartPole-v1", "steps": 300, "evaluations": 3, "eval_episodes": 1, "pruner": "none"}


pytestmark = pytest.mark.usefixtures("in_tmp")


class Listener:
    def __init__(self):
        self.calls, self.notes, self.last = [], [], None

    def start(self, snapshot):
        self.calls.append("start")

    def update(self, snapshot):
        self.calls.append("update")
        self.last = snapshot

    def note(self, line):
        self.notes.append(line)

    def finish(self, snapshot):
        self.calls.append("finish")
        self.last = snapshot


def test_a_study_leaves_database_report_and_export(tmp_path):
    listener = Listener()
    # Of what Stable-Baselines3 has alone: RL Zoo's form has a key for the environment.
    recipe = tuner.StudyRecipe(**{**SMALL, "space": "classic"}, trials=3)
    result = tuner.run(recipe, progress=listener, executor=FakeExecutor())
    assert result.ending == "done"
    assert (tmp_path / "studies" / "tuner.db").is_file()
    folder = tmp_path / "reports" / result.name
    assert {p.name for p in folder.iterdir()} == {"index.html", "report.json", "trials.csv", "best.yaml"}
    assert yaml.safe_load((folder / "best.yaml").read_text())["CartPole-v1"]["learning_rate"] == (
        result.best.learning_rate
    )
    assert result.data.count("completed") == 3
    assert listener.calls[0] == "start"
    assert listener.calls[-1] == "finish"
    assert listener.calls.count("finish") == 1
    assert (listener.last.done, listener.last.trials, listener.last.best.score) == (3, 3, result.data.best.score)
    assert listener.last.steps == 900


def test_a_finished_study_is_reported_again_without_an_executor():
    recipe = StudyRecipe(**SMALL, trials=2)
    first = tuner.run(recipe, executor=FakeExecutor())

    class Forbidden:
        def run(self, supervisor):
            raise AssertionError

    again = tuner.run(recipe, executor=Forbidden())
    assert again.data.trials == first.data.trials


def test_an_interrupted_study_is_reported_and_the_same_command_finishes_it():
    recipe = StudyRecipe(**SMALL, trials=4)
    first = tuner.run(recipe, executor=FakeExecutor(stop_after_reports=5))
    assert first.ending == "interrupted"
    assert first.report.is_file()
    assert first.data.count("completed") < 4
    listener = Listener()
    second = tuner.run(recipe, progress=listener, executor=FakeExecutor())
    assert second.ending == "done"
    assert second.data.count("completed") == 4
    assert any(" of 4 trials " in line for line in listener.notes)


@pytest.mark.parametrize(("trials", "goes_on"), [(1, False), (2, False), (3, True)])
def test_runs_cut_short_are_gone_on_with_only_where_trials_are_missing(monkeypatch, trials, goes_on):
    begun = tuner.run(StudyRecipe(**SMALL, trials=4), executor=FakeExecutor(stop_after_reports=8))
    assert begun.data.count("completed") == 2
    monkeypatch.setattr(tuner.api.RunCheckpoints, "steps", lambda self: [200])
    listener = Listener()
    tuner.run(StudyRecipe(**SMALL, trials=trials), progress=listener, executor=FakeExecutor())
    assert ("Going on from step 200 with 1 run cut short." in listener.notes) == goes_on


def test_when_everything_fails_the_report_is_written_and_the_reasons_are_named(tmp_path):
    with pytest.raises(StudyFailedError, match="3 x failed: failed on purpose") as error:
        tuner.run(StudyRecipe(**SMALL, trials=3), executor=FakeExecutor(lambda spec: "failed"))
    assert error.value.exit_code == 3
    (page,) = tmp_path.glob("reports/*/index.html")
    assert str(page.relative_to(tmp_path)) in str(error.value)
    assert not list(tmp_path.glob("reports/*/best.yaml"))


def test_a_trainer_that_raises_leaves_no_trial_running():
    class Broken:
        def run(self, supervisor):
            supervisor.take({}, block=True)
            raise RuntimeError("the executor is broken")

    recipe = StudyRecipe(**SMALL, trials=2, study="s")
    with pytest.raises(RuntimeError, match="broken"):
        tuner.run(recipe, executor=Broken())
    assert {t.state for t in load("s").trials} == {"FAIL", "WAITING"}
    assert tuner.run(recipe, executor=FakeExecutor()).data.count("completed") == 2


def test_the_first_ctrl_c_ends_gently_and_the_second_at_once():
    class Slow(FakeExecutor):
        def run(self, supervisor):
            threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGINT)).start()
            while supervisor.tick():
                time.sleep(0.01)
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(5)
            raise AssertionError

    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        tuner.run(StudyRecipe(**SMALL, trials=2), executor=Slow())
    assert signal.getsignal(signal.SIGINT) is before


def test_a_second_run_of_a_study_is_refused_and_leaves_it_alone(tmp_path):
    recipe = StudyRecipe(**SMALL, trials=2, study="s")
    (tmp_path / "studies").mkdir()
    with study_lock(tmp_path / "studies" / "tuner.db", "s"), pytest.raises(StudyLockedError, match=str(os.getpid())):
        tuner.run(recipe, executor=FakeExecutor())
    assert not (tmp_path / "studies" / "tuner.db").exists()


@pytest.mark.parametrize(
    "settings",
    [
        {"env": "CartPol-v1"}, {"trials": 0}, {"study": "a/b"}, {"space": "defualt"}, {"set": {"gama": 0.9}},
        {"set": {"gamma": 2.0}}, {"storage": "foo://x"}, {"backend": "sb3", "set": {"double_q": True}},
        {"env_arg": {"nonsense": 1}}, {"report_dir": "taken"}, {"steps": 2, "evaluations": 3},
    ],
)  # fmt: skip
def test_bad_input_is_one_line_and_nothing_is_written(tmp_path, settings):
    (tmp_path / "taken").write_text("")
    with pytest.raises(InputError) as error:
        tuner.run(StudyRecipe(**{**SMALL, **settings}), executor=FakeExecutor())
    assert "\n" not in str(error.value)
    assert [p.name for p in tmp_path.iterdir()] == ["taken"]


def test_a_resume_with_another_seed_is_refused():
    tuner.run(StudyRecipe(**SMALL, trials=1, study="s"), executor=FakeExecutor())
    with pytest.raises(ResumeError, match="--seed was 0, now 1"):
        tuner.run(StudyRecipe(**SMALL, trials=2, study="s", seed=1), executor=FakeExecutor())


SPELLINGS = [
    {"double_q": "no", "net_arch": "32x32", "buffer_size": 1e4, "gamma": 1.0},
    {"double_q": False, "net_arch": [32, 32], "buffer_size": 10_000, "gamma": 1},
    {"double_q": "off", "net_arch": "32,32", "buffer_size": "10_000", "gamma": "1"},
]


def test_values_that_mean_the_same_make_one_study_however_they_are_spelled():
    names = {tuner.run(StudyRecipe(**SMALL, trials=1, set=s), executor=FakeExecutor()).name for s in SPELLINGS}
    assert names == {study_name(StudyRecipe(**SMALL, set=SPELLINGS[1]))}  # which is as it was
    assert load(names.pop()).recipe["set"] == SPELLINGS[1]


@pytest.mark.parametrize("name", [None, "s"])
def test_a_study_that_stored_a_spelling_goes_on_by_any_that_means_the_same(monkeypatch, name):
    first, other = ({**SMALL, "set": values, "study": name} for values in SPELLINGS[::2])
    with monkeypatch.context() as patch:  # as earlier versions did
        patch.setattr(recipe_module, "set_as_meant", lambda algorithm, values: dict(values))
        patch.setattr(open_study_module, "set_as_meant", lambda algorithm, values: dict(values))
        begun = tuner.run(StudyRecipe(**first, trials=1), executor=FakeExecutor())
    assert begun.data.recipe["set"] == SPELLINGS[0]
    again = tuner.run(StudyRecipe(**first, trials=2), executor=FakeExecutor())
    assert (again.name, len(again.data.trials)) == (begun.name, 2)
    assert tuner.run(StudyRecipe(**{**other, "study": begun.name}, trials=2)).name == begun.name
    assert again.data.recipe["set"] == SPELLINGS[0]


@pytest.mark.filterwarnings("ignore:Query string argument:sqlalchemy.exc.SAWarning")  # SQLite takes no password
def test_the_password_of_the_storage_is_nowhere_in_what_is_written(tmp_path):
    url = f"sqlite:///{tmp_path}/s.db?password=it's my S3cret"
    result = tuner.run(StudyRecipe(**SMALL, trials=1, storage=url), executor=FakeExecutor())
    for path in (tmp_path / "s.db", *result.report.parent.iterdir()):
        assert b"S3cret" not in path.read_bytes(), path
    document = json.loads((result.report.parent / "report.json").read_text())
    assert "password=***" in document["commands"]["dashboard"]


# Plans.


def test_the_budget_comes_from_the_flag_else_the_environments_entry_else_the_default(tmp_path):
    (tmp_path / "mine.yaml").write_text(
        "algorithm: dqn\nbudget: {n_timesteps: 900, evaluations: 3}\nfixed: {}\n"
        "search: {gamma: {type: float, low: 0.9, high: 0.99}}\n"
        "environments: {Acrobot-v1: {budget: {n_timesteps: 600}}}\n"
    )
    common = {"space": "mine.yaml", "trials": 1}
    listed = plan_study(StudyRecipe(env="Acrobot-v1", **common))
    assert listed.grid == (200, 400, 600)
    assert listed.notes == ()
    other = plan_study(StudyRecipe(env="CartPole-v1", **common))
    assert other.grid == (300, 600, 900)
    assert "CartPole-v1" in other.notes[0]
    assert plan_study(StudyRecipe(env="Acrobot-v1", steps=60, evaluations=2, **common)).grid == (30, 60)


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"trials": 100, "workers": 2}, (2, 6, 12, 12)),
        ({"trials": 10, "workers": 2}, (2, 2, 4, 4)),
        ({"trials": 1000, "workers": 2}, (2, 16, 32, 32)),
        ({"trials": 100, "workers": 2, "lanes": 8}, (2, 8, 16, 16)),
        ({"trials": 100, "workers": 2, "backend": "sb3"}, (2, 1, 2, 2)),
        ({"trials": 10, "workers": 2, "seeds_per_trial": 3}, (2, 6, 4, 12)),
        ({"trials": 100, "workers": 8, "executor": "inline"}, (1, 12, 12, 12)),
        ({"trials": 20, "workers": 16, "lanes": 1}, (16, 1, 16, 16)),  # never fewer than workers
    ],
)
def test_trials_in_flight_leave_seven_eighths_of_the_study_to_learn_from(settings, expected):
    plan = plan_study(StudyRecipe(env="CartPole-v1", **settings))
    assert (plan.workers, plan.lanes, plan.trials_in_flight, plan.runs_in_flight) == expected


def test_importing_tuner_loads_nothing_heavy():
    code = (
        "import sys, tuner, tuner.plan.recipe, tuner.plan.recipe_files, tuner.storage_url, tuner.result.study;"
        "tuner.StudyRecipe; print([m for m in ('torch', 'optuna', 'gymnasium', 'sqlalchemy') if m in sys.modules])"
    )
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"


def test_unknown_names_of_the_package_are_attribute_errors():
    with pytest.raises(AttributeError, match="nonsense"):
        tuner.nonsense  # noqa: B018


@pytest.mark.parametrize("wrong", [None, {}, {"env": "CartPole-v1"}, "CartPole-v1", StudyRecipe])
def test_what_is_no_recipe_is_one_line(wrong):
    with pytest.raises(InputError, match=re.escape(f"got {wrong!r}.")) as raised:
        tuner.run(wrong)
    assert str(raised.value).startswith("recipe must be a tuner.StudyRecipe")


@pytest.mark.parametrize(("name", "wrong"), [("progress", 3), ("progress", tuner.progress), ("executor", "inline")])
def test_what_cannot_watch_or_host_a_study_is_one_line_and_leaves_nothing(name, wrong, tmp_path):
    with pytest.raises(InputError, match=rf"^{name} must be .*, got {re.escape(repr(wrong))}\.$"):
        tuner.run(StudyRecipe(**SMALL, trials=1), **{name: wrong})
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("env", ["CartPole-v1", ""])
def test_several_environments_in_a_recipe_are_for_the_command_line(env, tmp_path):
    recipe = StudyRecipe(**{**SMALL, "env": env}, trials=1, envs=("Acrobot-v1", "MountainCar-v0"))
    with pytest.raises(InputError, match="tune --env A --env B"):
        tuner.run(recipe, executor=FakeExecutor())
    assert not list(tmp_path.iterdir())


def test_completion_knows_the_api_before_anything_of_it_is_imported():
    look = "import sys, tuner; print(set(tuner.__all__) <= set(dir(tuner)), 'optuna' in sys.modules)"
    said = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, check=True).stdout
    assert said == "True False\n"


WITHOUT_A_GUARD = """
import gymnasium, tuner
gymnasium.register("my/Pole-v0", entry_point="gymnasium.envs.classic_control.cartpole:CartPoleEnv", max_episode_steps=9)
try:
    tuner.run(tuner.StudyRecipe(env="my/Pole-v0", env_module="search.py", trials=2, steps=300, executor={executor!r}))
except tuner.errors.InputError as error:
    if __name__ != "__main__":
        raise
    print(error)
"""


@pytest.mark.parametrize("executor", ["processes", "inline"])
def test_a_script_that_searches_when_it_is_imported_for_its_environments_is_told_so(in_tmp, executor):
    (in_tmp / "search.py").write_text(WITHOUT_A_GUARD.format(executor=executor))
    done = subprocess.run([sys.executable, "search.py"], capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    assert "Importing 'search.py' failed: InputError: it calls tuner.run when it is imported." in done.stdout
    assert done.stdout.count("\n") == 1
    assert not (in_tmp / "reports").exists() and not (in_tmp / "studies").exists()
