"""A search keeps the agents that its verdict rests on, whatever is killed on the way."""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import functools
import itertools
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from saving_trainer import DeathError
from stable_baselines3 import DQN
from synthetic import value

import tuner
import tuner.api
from tuner.cli.app import main
from tuner.cli.confirm_command import agent_lines
from tuner.cli.delete_command import command as delete_command
from tuner.contract.outcome import EvalPoint, Outcome
from tuner.contract.roles import DONE
from tuner.contract.spec import EvaluationSpec, RunId, RunSpec
from tuner.envs.spec import EnvSpec
from tuner.errors import InputError
from tuner.execution.choose import make_executor
from tuner.execution.inline import InlineExecutor
from tuner.hyperparameters import DQNHyperparameters
from tuner.plan.recipe import StudyRecipe
from tuner.plan.resolve import plan_study
from tuner.result.agents import best_and_median
from tuner.result.confirmation import ConfirmRun, Contestant
from tuner.result.curve import CurvePoint
from tuner.study.reading.study import load
from tuner.study.search.progress import NoProgress
from tuner.study.upkeep import keep_agents as keeping_agents
from tuner.study.upkeep.agent_zips import zips_written
from tuner.study.upkeep.copy import copy_study
from tuner.study.upkeep.keep_agents import keep_agents, kept_agents, models_folder
from tuner.training import keeping
from tuner.training.keeping import KeepingTrainer
from tuner.training.registry import make_trainer
from tuner.training.saved import model_files
from tuner.training.saved.model_files import load_model

REPORT = Path("reports/s")

SMALL = {
    "env": "CartPole-v1", "steps": 300, "evaluations": 3, "eval_episodes": 2, "pruner": "none", "sampler": "random",
    "prior": "none", "set": {"net_arch": [16]}, "study": "s", "executor": "inline",
}  # fmt: skip


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TUNE_STORAGE", raising=False)
    monkeypatch.setattr(tuner.api, "_tell_dashboard", lambda *arguments: None)
    paths = tuner.api.ReportPaths(REPORT / "index.html", None)  # drawing a page takes longer than such a study
    monkeypatch.setattr(tuner.api, "write_study_report", lambda *arguments: paths)


class CurveTrainer:
    """Plays a made-up learning curve, and leaves a network drawn from the run's seed."""

    def __init__(self, observer) -> None:
        self._observer = observer

    def train(self, dispatcher):
        while isinstance(spec := dispatcher.take({}, block=True), RunSpec):
            for step in spec.grid:
                mean = value(spec, step)
                dispatcher.report([EvalPoint(spec.run_id, step, (mean - 1, mean + 1), (5, 5))])
            self._observer.on_end(spec.run_id, network(spec))
            dispatcher.finish(Outcome(spec.run_id, "completed", spec.n_timesteps))


def network(spec):
    rng, sizes = np.random.default_rng(spec.seed), [4, *spec.hyperparameters.net_arch, 2]
    weights = {}
    for i, (inputs, outputs) in enumerate(itertools.pairwise(sizes)):
        weights[f"q_net.{2 * i}.weight"] = rng.normal(size=(outputs, inputs)).astype(np.float32)
        weights[f"q_net.{2 * i}.bias"] = np.zeros(outputs, np.float32)
    return weights


def made_up(seed, **changes):
    evaluation = EvaluationSpec(episodes=2, seed=99, max_steps=100, late_episodes=4)
    hyperparameters = DQNHyperparameters(net_arch=(16,), learning_starts=20, batch_size=8, learning_rate=0.01)
    spec = RunSpec(RunId(seed), EnvSpec("CartPole-v1"), "native", hyperparameters, seed, (100, 200, 300), evaluation)
    return dataclasses.replace(spec, **changes)


class Handing:
    """Hands out runs one after the other, and holds what they report."""

    def __init__(self, specs):
        self._left, self.points = list(specs), []

    def take(self, open_shapes, *, block):
        return self._left.pop(0) if self._left else DONE

    def report(self, points):
        self.points += points
        return frozenset()

    def finish(self, outcome):
        assert outcome.kind == "completed", outcome


class DyingDispatcher:
    """Its process is killed when a kept run's end is told for the ``dies_at``-th time."""

    def __init__(self, dispatcher, dies_at):
        self._dispatcher, self._left, self.held = dispatcher, dies_at, None

    def take(self, open_shapes, *, block):
        self.held = self._dispatcher.take(open_shapes, block=block)
        return self.held

    def finish(self, outcome):
        self._left -= self.held.keep
        if self.held.keep and self._left == 0:
            raise DeathError
        self._dispatcher.finish(outcome)

    def __getattr__(self, name):
        return getattr(self._dispatcher, name)


class Executor(InlineExecutor):
    """Trains made-up runs in this process; with ``dies_at`` its worker dies once and another one takes over."""

    def __init__(self, dies_at: int = 0, report: Path = REPORT) -> None:
        super().__init__(functools.partial(KeepingTrainer, CurveTrainer, models_folder(report)))
        self._dies_at = dies_at

    def run(self, supervisor):
        dying = DyingDispatcher(supervisor, self._dies_at)
        try:
            super().run(dying)
        except DeathError:
            self.died = True
            supervisor.lost([dying.held.run_id], "worker killed by SIGKILL", "killed")
            super().run(supervisor)


def search(executor=None, trials=12, **settings):
    return tuner.run(StudyRecipe(**{**SMALL, "trials": trials, **settings}), executor=executor or Executor())


@pytest.fixture(scope="module")
def searched(tmp_path_factory):
    """A folder with a study that nothing has disturbed, and its result."""
    folder = tmp_path_factory.mktemp("searched")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.delenv("TUNE_STORAGE", raising=False)
        patch.setattr(tuner.api, "_tell_dashboard", lambda *arguments: None)
        return folder, search()


@pytest.fixture
def study(searched, tmp_path):
    """Stand where that study has ended."""
    shutil.copytree(searched[0], tmp_path, dirs_exist_ok=True)
    return searched[1]


def files(folder=REPORT / "agents"):
    """Return the bytes of the two agents by path."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for place in ("best", "median")
        for path in sorted((folder / place).glob("*"))
    }


def whole_or_absent():
    for place in ("best", "median"):
        with contextlib.suppress(InputError):
            yield load_model(REPORT / "agents" / place)


@pytest.mark.parametrize("backend", ["native", "sb3"])
def test_a_kept_agent_plays_what_the_last_evaluation_of_its_curve_says(backend, tmp_path):
    spec = made_up(5, backend=backend, keep=True)
    dispatcher = Handing([spec])
    KeepingTrainer(functools.partial(make_trainer, backend, "dqn", 1), tmp_path / "models").train(dispatcher)
    points = dispatcher.points
    (folder,) = (tmp_path / "models").iterdir()
    agent = tuner.load_agent(folder)
    saved = agent.model.spec
    assert [(p.step, p.returns) for p in agent.model.evaluations] == [(p.step, p.returns) for p in points]
    returns, lengths = agent.evaluate(saved.episodes_at(300), saved.evaluation_seed_at(300))
    assert (returns, lengths) == (points[-1].returns, points[-1].lengths)
    assert len(returns) == 4


def test_a_search_keeps_the_agents_of_the_best_and_of_the_median_seed_and_says_where(study):
    confirmation = study.data.confirmation
    scores = sorted((run.score("late") for run in confirmation.winner.phase("verdict")), reverse=True)
    assert [agent.score for agent in study.agents.values()] == [scores[0], scores[len(scores) // 2]]
    seeds = {run.seed: run for run in confirmation.winner.phase("verdict")}
    for place, agent in study.agents.items():
        assert agent.folder == REPORT / "agents" / place
        assert agent.trial == study.data.chosen.number
        model = load_model(agent.folder)
        assert model.spec.seed == agent.seed
        assert [(p.step, p.returns) for p in model.evaluations] == [
            (p.step, tuple(p.returns)) for p in seeds[agent.seed].curve
        ]
        for name, array in network(model.spec).items():
            assert np.array_equal(np.load(agent.folder / "weights.npz")[name], array)
    where, use = agent_lines(study)
    assert "reports/s/agents/best (the best of" in where and "reports/s/agents/median (the median of" in where
    assert use == "Use it: agent = tuner.load_agent('reports/s/agents/best'); action = agent.act(observation)"
    told = json.loads((REPORT / "report.json").read_text())["agents"]
    assert {place: (a["path"], a["seed"], a["score"]) for place, a in told.items()} == {
        place: (f"agents/{place}", a.seed, a.score) for place, a in study.agents.items()
    }
    page = (REPORT / "index.html").read_text().replace("<wbr>", "")
    assert "<code>reports/s/agents/median</code>" in page and "tuner.load_agent(" in page


def test_show_names_the_agents_of_this_very_verdict(study, capsys):
    assert main(["show", "s"]) == 0
    assert "agents: reports/s/agents/best, reports/s/agents/median" in capsys.readouterr().out
    model = REPORT / "agents" / "best" / "model.json"
    model.write_text(model.read_text().replace(f'"seed": {study.agents["best"].seed}', '"seed": 1'))
    assert main(["show", "s"]) == 0
    assert "agents: reports/s/agents/median" in capsys.readouterr().out


def test_a_folder_above_the_agents_names_one(study):
    for named in ("reports/s", "reports/s/agents", "s"):  # the last is the study's own name
        with pytest.raises(InputError, match=r"There is one in reports/s/agents/best\.$"):
            tuner.load_agent(named)


def test_the_same_command_again_writes_no_agent_again(study):
    written = {path: path.stat().st_mtime_ns for path in (REPORT / "agents").rglob("*")}
    assert search().agents == study.agents
    assert {path: path.stat().st_mtime_ns for path in (REPORT / "agents").rglob("*")} == written


def test_a_worker_that_is_killed_between_a_kept_model_and_its_runs_end_costs_neither(searched):
    executor = Executor(dies_at=2)
    result = search(executor)
    assert executor.died
    assert result.agents == searched[1].agents
    assert files() == files(searched[0] / REPORT / "agents")
    assert len(list(models_folder(REPORT).iterdir())) == len(result.data.confirmation.winner.phase("verdict"))


def test_a_supervisor_that_is_killed_before_the_agents_are_copied_leaves_that_to_the_same_command(
    searched, monkeypatch
):
    with monkeypatch.context() as patch, pytest.raises(DeathError):
        patch.setattr(tuner.api, "keep_agents", killed)
        search()
    assert not files()
    assert search().agents == searched[1].agents
    assert files() == files(searched[0] / REPORT / "agents")


def killed(*arguments):
    raise DeathError


@pytest.mark.parametrize("call", range(4))
def test_a_kill_between_any_two_files_of_the_agents_leaves_none_that_is_wrong(call, study, monkeypatch):
    before = files()
    agents = REPORT / "agents"
    for place in ("best", "median"):  # as after another verdict
        other = next(
            path
            for path in models_folder(REPORT).iterdir()
            if (path / "weights.npz").read_bytes() != before[f"{place}/weights.npz"]
        )
        shutil.copytree(other, agents / place, dirs_exist_ok=True)
    wrong = {(agents / place / "weights.npz").read_bytes() for place in ("best", "median")}
    count = iter(range(9))

    def replace_file(path, content):
        if next(count) == call:
            raise DeathError
        model_files.replace_file(path, content)

    confirmation = load("s", None).confirmation
    with monkeypatch.context() as patch, pytest.raises(DeathError):
        patch.setattr(keeping_agents, "replace_file", replace_file)
        keep_agents(confirmation, REPORT)
    right = {agent.seed for agent in study.agents.values()}
    for agent in kept_agents(confirmation, REPORT).values():
        assert agent.seed in right
        assert (agent.folder / "weights.npz").read_bytes() == before[f"{agent.folder.name}/weights.npz"]
    assert all(model.spec.seed in right or wrong for model in whole_or_absent())
    assert keep_agents(confirmation, REPORT) == study.agents
    assert files() == before


def test_a_full_disk_costs_the_agents_and_not_the_study(searched, monkeypatch):
    def replace_file(path, content):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(model_files, "replace_file", replace_file)
        result = search()
    assert result.ending == "done" and result.agents == {}
    verdict = result.data.confirmation.winner.phase("verdict")
    assert [r.curve for r in verdict] == [r.curve for r in searched[1].data.confirmation.winner.phase("verdict")]
    (line,) = agent_lines(result)
    assert line.startswith("Agents: none are there.")


class Notes(NoProgress):
    def __init__(self):
        self.lines = []

    def note(self, line):
        self.lines.append(line)


@pytest.mark.slow
def test_kept_agents_have_zips_that_play_as_they_do_and_go_with_them():
    """In the space of what Stable-Baselines3 has; from a child process as from this one."""
    result = search(space="classic")
    zips = {place: (REPORT / "agents" / place / "model.zip") for place in ("best", "median")}
    seen = np.random.default_rng(0).normal(size=(200, 4)).astype(np.float32)
    for place, path in zips.items():
        actions = DQN.load(path).predict(seen, deterministic=True)[0]
        assert actions.tolist() == tuner.load_agent(result.agents[place].folder).act_many(list(seen)).tolist()
        path.unlink()
    apart = dataclasses.replace(
        plan := plan_study(StudyRecipe(**SMALL)), recipe=dataclasses.replace(plan.recipe, executor="processes")
    )
    notes = Notes()
    with zips_written(apart, result.agents, notes):
        pass
    assert all(path.is_file() for path in zips.values()) and notes.lines == []
    written = zips["best"].stat().st_mtime_ns
    search(space="classic")
    assert zips["best"].stat().st_mtime_ns == written
    (zips["best"].parent / "model.json").write_text("of another")
    keep_agents(load("s", None).confirmation, REPORT)
    assert zips["median"].is_file() and not zips["best"].exists()


def test_agents_of_what_stable_baselines3_lacks_have_no_zip_and_a_line_says_so():
    notes = Notes()
    fixed = {"net_arch": [16], "double_q": True}
    tuner.run(StudyRecipe(**{**SMALL, "trials": 12, "set": fixed}), executor=Executor(), progress=notes)
    assert (REPORT / "agents/best/weights.npz").is_file() and not (REPORT / "agents/best/model.zip").exists()
    (line,) = (line for line in notes.lines if "model.zip" in line)
    assert line.startswith("The agents have no model.zip: Stable-Baselines3's DQN has no double_q=True")


def test_a_search_without_a_verdict_says_that_it_has_no_agents():
    (line,) = agent_lines(search(trials=2, confirm=0))
    assert line == "Agents: none, as no finalist was trained again. tune confirm s does it, or says what it takes."


def test_a_disk_without_room_for_the_copies_costs_these_alone(study, monkeypatch):
    confirmation = load("s", None).confirmation
    shutil.rmtree(REPORT / "agents" / "median")
    with monkeypatch.context() as patch:
        patch.setattr(keeping_agents, "replace_file", lambda *_: (_ for _ in ()).throw(OSError(errno.ENOSPC, "full")))
        assert set(keep_agents(confirmation, REPORT)) == {"best"}
    assert keep_agents(confirmation, REPORT) == study.agents


def test_only_runs_that_are_to_be_kept_are_and_no_more_than_fit_into_the_folder(tmp_path, monkeypatch):
    specs = [made_up(seed, keep=seed != 1) for seed in range(6)]
    KeepingTrainer(CurveTrainer, tmp_path / "all").train(Handing(specs))
    sizes = [(path / "weights.npz").stat().st_size for path in (tmp_path / "all").iterdir()]
    assert len(sizes) == 5
    monkeypatch.setattr(keeping, "MAX_BYTES", 3 * sizes[0])
    KeepingTrainer(CurveTrainer, tmp_path / "few").train(Handing(specs))
    assert {load_model(path).spec.seed for path in (tmp_path / "few").iterdir()} == {0, 2, 3}


def test_more_seeds_of_the_verdict_choose_among_all_of_its_agents(study):
    more = tuner.api.confirm("s", settings={"confirm_seeds": 12, "confirm_budget": 9}, executor=Executor())
    verdict = more.data.confirmation.winner.phase("verdict")
    assert len(verdict) == 12 > len(study.data.confirmation.winner.phase("verdict"))
    scores = sorted((run.score("late") for run in verdict), reverse=True)
    assert [agent.score for agent in more.agents.values()] == [scores[0], scores[6]]
    assert len(list(models_folder(REPORT).iterdir())) == 12


def test_more_seeds_with_another_folder_of_reports_choose_among_all_agents_and_so_does_the_next_command(study):
    other, asked = Path("other/s"), {"confirm_seeds": 12, "confirm_budget": 9}
    more = tuner.api.confirm("s", settings={**asked, "report_dir": "other"}, executor=Executor(report=other))
    scores = sorted((run.score("late") for run in more.data.confirmation.winner.phase("verdict")), reverse=True)
    assert [agent.score for agent in more.agents.values()] == [scores[0], scores[6]]
    assert [agent.folder for agent in more.agents.values()] == [other / "agents/best", other / "agents/median"]
    again = tuner.api.confirm("s", settings=asked, executor=Executor())
    assert [agent.score for agent in again.agents.values()] == [scores[0], scores[6]]
    assert files(REPORT / "agents") == files(other / "agents")


def test_a_finished_study_that_is_reported_elsewhere_takes_its_agents_along(study):
    kept = files()
    moved = search(report_dir="other")
    assert list(moved.agents) == ["best", "median"]
    assert files(Path("other/s/agents")) == kept == files()


def test_a_winner_that_equals_the_defaults_keeps_its_agents(tmp_path):
    space = tmp_path / "defaults.yaml"
    space.write_text("""
        algorithm: dqn
        budget: {n_timesteps: 300, evaluations: 3, eval_episodes: 2, clip: false}
        search: {learning_rate: {type: categorical, choices: [0.0001]}}
    """)
    result = search(trials=1, space=str(space), set={}, confirm_budget=30, confirm_seeds=3)
    assert result.best == DQNHyperparameters()
    assert "defaults" not in {c.role for c in result.data.confirmation.contestants}
    assert set(result.agents) == {"best", "median"}
    assert len(list(models_folder(REPORT).iterdir())) == 3


def test_agents_of_another_setting_are_not_shown_and_go_with_the_next_command(study):
    median = REPORT / "agents" / "median"
    confirmation = load("s", None).confirmation
    (median / "notes.txt").write_text("mine")
    spec = made_up(study.agents["median"].seed)
    model_files.save_model(median, spec, network(spec))
    assert set(kept_agents(confirmation, REPORT)) == {"best"}
    shutil.rmtree(models_folder(REPORT))
    assert set(keep_agents(confirmation, REPORT)) == {"best"}
    assert [path.name for path in median.iterdir()] == ["notes.txt"]


def test_on_a_clusters_other_machines_no_agent_is_kept(monkeypatch):
    made = []
    monkeypatch.setattr("tuner.execution.ray.RayExecutor", lambda trainer, *_, **__: made.append(trainer))
    for address in ("auto", "local"):
        recipe = StudyRecipe(**{**SMALL, "executor": "ray", "ray_address": address, "workers": 1})
        make_executor(plan_study(recipe), Path("checkpoints"), Path("models"))
    assert [trainer.func is KeepingTrainer for trainer in made] == [False, True]


def test_deleting_a_study_leaves_its_two_agents_and_no_other_model(study, capsys):
    class Asked:
        storage, study, yes = None, "s", True

    assert delete_command(Asked()) == 0
    assert "Its report and its agents stay in reports/s." in capsys.readouterr().out
    assert not models_folder(REPORT).exists()
    assert set(files()) == {f"{place}/{name}" for place in ("best", "median") for name in ("model.json", "weights.npz")}


def test_a_copy_of_a_study_finds_the_agents_beside_the_same_report(study):
    copy_study("s", "sqlite:///studies/tuner.db", "sqlite:///there.db")
    assert kept_agents(load("s", "sqlite:///there.db").confirmation, REPORT) == study.agents


@pytest.mark.parametrize(
    ("outcomes", "best", "median"),
    [("ccc", 0, 1), ("cccc", 0, 2), ("c", 0, 0), ("cdd", 0, 0), ("ccd", 0, 1), ("ccfd", 0, 1), ("dd", None, None)],
)
def test_the_median_counts_runs_that_diverged_as_the_worst(outcomes, best, median):
    kinds = {"c": "completed", "d": "diverged", "f": "failed"}
    runs = tuple(
        ConfirmRun("verdict", i, i, kinds[kind], (CurvePoint(1, (float(-i),), {}),), 1)
        for i, kind in enumerate(outcomes)
    )
    found = best_and_median(Contestant("k", "finalist", "trial 0", 0, "native", {}, runs=runs), "late")
    assert {place: run.seed for place, run in found.items()} == (
        {} if best is None else {"best": best, "median": median}
    )
