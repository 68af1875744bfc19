"""``tune publish``: the folder that RL Zoo's and huggingface_sb3's users expect, sent to a hub and fetched again."""

import dataclasses
import json
import os
import re
import socket
import statistics
import subprocess
import sys
import types
import zipfile
from pathlib import Path

import hub_server
import numpy as np
import pytest
import yaml
from cli.cli_shell import tune
from hub_server import running
from report import factory

import tuner
from tuner.contract.outcome import EvalPoint
from tuner.contract.spec import EvaluationSpec, RunId, RunSpec
from tuner.envs.spec import EnvSpec, frozen
from tuner.errors import InputError
from tuner.hyperparameters import DQNHyperparameters
from tuner.publish.card import Card, metadata, readme
from tuner.publish.push import push
from tuner.report.numbers.evidence import evidence
from tuner.training.saved.model_files import save_model

EXPECTED = {
    "README.md", "dqn-CartPole-v1", "dqn-CartPole-v1.zip", "config.yml", "args.yml", "env_kwargs.yml", "results.json",
    "train_eval_metrics.zip", ".gitattributes",
}  # fmt: skip


def make_agent(folder="agent", seed=3, wrapper=(), module=None, over=None, arguments=(), **changes):
    hyperparameters = DQNHyperparameters(net_arch=(16, 8), **changes)
    env = EnvSpec("CartPole-v1", arguments, module=module, wrapper=wrapper)
    spec = RunSpec(RunId(0), env, "native", hyperparameters, 1, (50, 100), EvaluationSpec(1, 0, 500))
    spec = dataclasses.replace(spec, schedule_steps=over)
    rng, weights = np.random.default_rng(seed), {}
    for i, (inputs, outputs) in enumerate([(4, 16), (16, 8), (8, 2)]):
        weights[f"q_net.{2 * i}.weight"] = rng.normal(size=(outputs, inputs)).astype(np.float32)
        weights[f"q_net.{2 * i}.bias"] = rng.normal(size=outputs).astype(np.float32)
    if hyperparameters.normalize_observations:
        weights |= {"obs_rms.mean": rng.normal(size=4), "obs_rms.var": rng.uniform(0.001, 2, size=4)}
    points = [EvalPoint(RunId(0), 50, (9.0, 10.0), (9, 10)), EvalPoint(RunId(0), 100, (9.0, 11.0, 12.0), (9, 11, 12))]
    save_model(Path(folder), spec, weights, points)
    return tuner.load_agent(folder)


def publish(*arguments):
    shell = tune("publish", *arguments)
    assert shell.code == 0, shell.err
    return shell


def head(folder):
    return yaml.safe_load(re.match(r"---\n(.*?)---\n", (Path(folder) / "README.md").read_text(), re.S).group(1))


@pytest.fixture
def no_film(monkeypatch):
    """Films are for one test: they take a second each."""
    from tuner.errors import InputError
    from tuner.publish import folder

    def refuse(*_):
        raise InputError("not here")

    monkeypatch.setattr(folder, "record_agent", refuse)


@pytest.mark.slow
def test_the_folder_holds_what_is_expected_and_a_film(in_tmp):
    make_agent()
    shell = publish("agent", "--episodes", "5")
    folder = in_tmp / "agent" / "hub"
    assert {path.name for path in folder.iterdir()} == EXPECTED | {"replay.mp4"}
    assert shell.out.startswith(f"{folder.relative_to(in_tmp)}: mean return ")
    assert "![A game](replay.mp4)" in (folder / "README.md").read_text()


def test_the_score_is_that_of_this_agent_on_the_episodes_that_are_named(in_tmp, no_film):
    returns, _ = make_agent().evaluate(20, 7)
    publish("agent", "--episodes", "20", "--seed", "7", "-o", "hub")
    results = json.loads((in_tmp / "hub" / "results.json").read_text())
    assert results["mean_reward"] == pytest.approx(statistics.fmean(returns))
    assert results["std_reward"] == pytest.approx(np.std(returns))
    assert (results["n_eval_episodes"], results["is_deterministic"]) == (20, True)
    metric = head("hub")["model-index"][0]["results"][0]["metrics"][0]
    assert metric["value"] == f"{statistics.fmean(returns):.2f} +/- {np.std(returns):.2f}"
    assert "seeds 7 to 26" in (in_tmp / "hub" / "README.md").read_text()


def test_the_zip_is_the_agent_and_the_folder_beside_it_is_its_content(in_tmp, no_film):
    from stable_baselines3 import DQN

    agent = make_agent()
    publish("agent", "--episodes", "1", "-o", "hub")
    code = re.search(r"```python\n(.*?)```", (in_tmp / "hub" / "README.md").read_text(), re.S).group(1)
    assert "from stable_baselines3 import DQN" in code and "model = DQN.load(path, buffer_size=1)" in code
    compile(code, "the card's", "exec")
    model = DQN.load("hub/dqn-CartPole-v1.zip", buffer_size=1)
    observations = np.random.default_rng(0).normal(size=(200, 4)).astype(np.float32)
    actions, _ = model.predict(observations, deterministic=True)
    assert actions.tolist() == agent.act_many(observations).tolist()
    with zipfile.ZipFile("hub/dqn-CartPole-v1.zip") as archive:
        for name in archive.namelist():
            assert (in_tmp / "hub" / "dqn-CartPole-v1" / name).read_bytes() == archive.read(name)


def test_its_settings_train_again_and_its_curve_is_evalcallbacks(in_tmp, no_film):
    make_agent(learning_rate=0.002)
    publish("agent", "--episodes", "1", "-o", "hub")
    config = yaml.safe_load((in_tmp / "hub" / "config.yml").read_text())
    assert (config["learning_rate"], config["policy"], config["n_timesteps"]) == (0.002, "MlpPolicy", 100)
    shell = tune("train", "--env", "CartPole-v1", "--config", "hub/config.yml", "--steps", "50", "--quiet", "-o", "b")
    assert shell.code == 0, shell.err
    arguments = yaml.safe_load((in_tmp / "hub" / "args.yml").read_text())
    assert (arguments["algo"], arguments["env"], arguments["env_kwargs"]) == ("dqn", "CartPole-v1", None)
    with zipfile.ZipFile("hub/train_eval_metrics.zip") as archive:
        curve = np.load(archive.open("evaluations.npz"))
        assert curve["timesteps"].tolist() == [50, 100]
        assert curve["results"].tolist() == [[9, 10], [9, 11]]


@pytest.mark.parametrize("double_q", [False, True], ids=["zip", "no zip"])
def test_an_agent_that_was_trained_on_has_one_number_of_steps_everywhere(double_q, in_tmp, no_film):
    make_agent(double_q=double_q, over=60)
    publish("agent", "--episodes", "1", "-o", "hub")
    files = [
        yaml.safe_load(path.read_text())
        for path in (Path("hub/config.yaml"), Path("hub/config.yml"), Path("hub/args.yml"))
        if path.exists()
    ]
    card = Path("hub/README.md").read_text()
    assert {each["n_timesteps"] for each in files} == {100} == {int(n) for n in re.findall(r"n_timesteps: (\d+)", card)}
    assert "environment steps: `100`" in card and "after its first 60 environment steps" in card


def test_the_cards_head_is_what_huggingface_sb3_writes(in_tmp):
    from huggingface_hub import ModelCard

    card = Card(
        env="CartPole-v1", met="CartPole-v1", zoo_algorithm="dqn", title="DQN", library="stable_baselines3",
        file="dqn.zip", lack="",
        repository="me/pole", mean=481.234, std=3.5, episodes=10, first_seed=0, config={}, about={}, verdict=(),
        evidence=None, command="", notes=(), film=False,
    )  # fmt: skip
    # As package_to_hub writes it for these numbers. The package itself asks for a huggingface_hub below 1.
    evaluation = {"name": "mean_reward", "type": "mean_reward", "value": "481.23 +/- 3.50", "verified": False}
    result = {
        "task": {"type": "reinforcement-learning", "name": "reinforcement-learning"},
        "dataset": {"name": "CartPole-v1", "type": "CartPole-v1"},
        "metrics": [evaluation],
    }
    assert metadata(card) == {
        "library_name": "stable-baselines3",
        "tags": ["CartPole-v1", "deep-reinforcement-learning", "reinforcement-learning", "stable-baselines3"],
        "model-index": [{"name": "DQN", "results": [result]}],
    }
    assert "over 10 greedy episodes of this very agent, reset with seeds 0 to 9, which" in readme(card)
    one = dataclasses.replace(card, episodes=1, first_seed=3)
    assert "over 1 greedy episode of this very agent, reset with seed 3, which" in readme(one)
    read = ModelCard(readme(card)).data
    assert read.eval_results[0].metric_value == "481.23 +/- 3.50"


@pytest.mark.parametrize("place", ["", "the best of the 10 runs of the first setting"])
def test_a_card_with_a_verdict_says_which_of_its_runs_the_agent_is(place):
    """The best of ten is a lucky seed: whoever trains the setting gets one of them."""
    facts = {
        "env": "A-v0", "met": "A-v0", "zoo_algorithm": "dqn", "title": "DQN", "library": "tune", "file": "",
        "lack": "", "repository": "U/a", "config": {}, "about": {}, "command": "", "notes": (), "film": False,
    }  # fmt: skip
    judged = evidence(factory.confirmed())
    card = Card(**facts, mean=1.0, std=0.0, episodes=2, first_seed=0, verdict=["x"], evidence=judged, place=place)
    assert f"The agent here is {place or 'one of these runs'}." in readme(card)


@pytest.mark.slow
def test_a_study_s_card_holds_its_verdict_with_intervals_and_command(in_tmp, no_film):
    small = ("--space", "classic", "--steps", "300", "--trials", "3", "--evaluations", "3", "--eval-episodes", "2",
             "--set", "learning_starts=50", "--set", "net_arch=8", "--confirm", "2", "--confirm-seeds", "3",
             "--confirm-budget", "20", "--workers", "1", "--quiet")  # fmt: skip
    shell = tune("--env", "CartPole-v1", *small, "--study", "pole")
    assert shell.code == 0, shell.err
    for which in ("best", "median"):
        publish("pole", "--agent", which, "--episodes", "2", "-o", which)
        text = (in_tmp / which / "README.md").read_text()
        assert re.search(r"\| Trial \d \| [\d.]+ \(95 % interval .*\) \| 3 \|\n\| The algorithm's defaults \|", text)
        assert head(which)["model-index"][0]["name"] == "DQN"
        assert "tune --env CartPole-v1 --trials 3" in text
        assert f"The agent here is the {which} of the 3 runs of the first setting." in text
        assert str(in_tmp) not in text
    assert publish("pole", "--episodes", "2").out.startswith("reports/pole/hub: ")


def test_what_is_published_again_replaces_what_was_there_and_nothing_of_others(in_tmp, no_film):
    make_agent(normalize_observations=True)
    publish("agent", "--episodes", "1", "-o", "hub")
    (in_tmp / "hub" / "notes.txt").write_text("mine")
    (in_tmp / "hub" / "data").mkdir()
    (in_tmp / "hub" / "data.zip").write_bytes(b"mine")
    assert (in_tmp / "hub" / "vec_normalize.pkl").is_file()
    make_agent(seed=4)
    publish("agent", "--episodes", "1", "-o", "hub")
    assert {path.name for path in (in_tmp / "hub").iterdir()} == EXPECTED | {"notes.txt", "data", "data.zip"}
    assert sorted(path.name for path in in_tmp.iterdir()) == ["agent", "hub"]


@pytest.mark.parametrize("name", ["README.md", "config.yml", "dqn-CartPole-v1"])
def test_a_folder_in_which_it_would_replace_files_of_others_is_refused(name, in_tmp, no_film):
    make_agent()
    project = in_tmp / "project"
    project.mkdir()
    (project / name).symlink_to(in_tmp / "agent")  # whatever it is
    before = sorted(project.iterdir())
    shell = tune("publish", "agent", "--episodes", "1", "-o", "project")
    assert shell.code == 2 and f"has a {name} that tune publish has not written" in shell.err
    assert sorted(project.iterdir()) == before and before[0].is_symlink()
    assert sorted(path.name for path in in_tmp.iterdir()) == ["agent", "project"]


NATIVE = {"README.md", "model.json", "weights.npz", "config.yaml", "results.json", ".gitattributes"}


def test_what_stable_baselines3_lacks_is_published_as_load_agent_reads_it(in_tmp, no_film):
    agent = make_agent(double_q=True, learning_rate=0.002)
    shell = publish("agent", "--episodes", "5", "-o", "hub")
    assert "No zip: Stable-Baselines3's DQN has no double_q=True" in shell.err
    assert {path.name for path in (in_tmp / "hub").iterdir()} == NATIVE
    observations = np.random.default_rng(0).normal(size=(200, 4)).astype(np.float32)
    again = tuner.load_agent("hub")
    assert again.act_many(observations).tolist() == agent.act_many(observations).tolist()
    assert json.loads((in_tmp / "hub" / "results.json").read_text())["mean_reward"] == np.mean(again.evaluate(5, 0)[0])
    card = (in_tmp / "hub" / "README.md").read_text()
    assert "There is no zip for Stable-Baselines3: Stable-Baselines3's DQN has no double_q=True" in card
    compile(re.search(r"```python\n(.*?)```", card, re.S).group(1), "the card's", "exec")
    assert "tuner.load_agent(" in card and "rl_zoo3" not in card
    assert head("hub")["library_name"] == "tune"
    shell = tune("train", "--env", "CartPole-v1", "--config", "hub/config.yaml", "--steps", "50", "--quiet", "-o", "b")
    assert shell.code == 0, shell.err
    assert tuner.load_agent("b").hyperparameters == agent.hyperparameters


ODD = """
import gymnasium as gym
import numpy as np

class Odd(gym.Env):
    observation_space = gym.spaces.Dict(a=gym.spaces.Box(0, 255, (3, 3, 1), np.uint8))
    action_space = gym.spaces.Discrete(2)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.seen = {"a": self.np_random.integers(0, 256, (3, 3, 1)).astype(np.uint8)}
        self.steps = 0
        return self.seen, {}

    def step(self, action):
        self.steps += 1
        return self.seen, float(action), self.steps == 5, False, {}

gym.register("Odd-v0", Odd)
"""


def test_what_rl_zoo_has_no_words_for_is_published_as_load_agent_reads_it(in_tmp, no_film):
    (in_tmp / "odd.py").write_text(ODD)
    env = EnvSpec("Odd-v0", module="odd.py")
    spec = RunSpec(RunId(0), env, "native", DQNHyperparameters(net_arch=()), 1, (50,), EvaluationSpec(1, 0, 5))
    rng = np.random.default_rng(0)
    weights = {"q_net.0.weight": rng.normal(size=(2, 9)), "q_net.0.bias": rng.normal(size=2)}
    weights = {name: array.astype(np.float32) for name, array in weights.items()}
    save_model(Path("agent"), spec, weights, [EvalPoint(RunId(0), 50, (9.0,), (9,))])
    shell = publish("agent", "--episodes", "3", "-o", "hub", "--env-module", "odd.py")
    assert {path.name for path in (in_tmp / "hub").iterdir()} == NATIVE
    why = "Stable-Baselines3 does not scale the pictures in a flattened Dict"
    assert f"No zip: {why}. The folder holds the agent itself" in shell.err
    card = (in_tmp / "hub" / "README.md").read_text()
    assert f"There is no zip for Stable-Baselines3: {why}. `model.json`" in card
    assert "tuner.load_agent(" in card and "give load_agent its place as env_module" in card
    for line in (
        "evaluate FOLDER --env-module odd.py\n",
        "train --env Odd-v0 --config FOLDER/config.yaml --env-module odd",
    ):
        assert f"\ntune {line}" in card
    published = tuner.load_agent("hub", env_module="odd.py")
    assert published.evaluate(3, 0) == tuner.load_agent("agent", env_module="odd.py").evaluate(3, 0)


def test_the_card_says_which_wrappers_whoever_loads_the_agent_has_to_name(in_tmp, no_film, monkeypatch):
    monkeypatch.setitem(sys.modules, "mine", None)  # or it would stay there
    del sys.modules["mine"]
    (in_tmp / "mine.py").write_text("import gymnasium\nclass Same(gymnasium.Wrapper):\n    pass\n")
    make_agent(double_q=True, wrapper=("mine.Same",))
    publish("agent", "--episodes", "1", "-o", "hub", "--wrapper", "mine:Same")
    card = (in_tmp / "hub" / "README.md").read_text()
    assert "give load_agent wrapper=['mine.Same'], and tune evaluate --wrapper mine.Same." in card


def test_the_card_names_the_environment_with_its_arguments(in_tmp, no_film):
    make_agent(arguments=frozen({"sutton_barto_reward": True}))
    publish("agent", "--episodes", "1", "-o", "hub")
    assert "\n# DQN playing `CartPole-v1 (sutton_barto_reward=true)`\n" in (in_tmp / "hub" / "README.md").read_text()
    assert head("hub")["tags"][0] == "CartPole-v1"


@pytest.mark.parametrize("double_q", [False, True], ids=["zip", "no zip"])
def test_where_a_module_lies_on_this_machine_is_not_told(double_q, in_tmp, no_film):
    place = in_tmp / "home" / "mine.py"
    place.parent.mkdir()
    place.write_text("")
    make_agent(module=str(place), double_q=double_q)
    assert str(place) in Path("agent/model.json").read_text()
    publish("agent", "--episodes", "1", "-o", "hub", "--env-module", str(place))
    held = {path: path.read_bytes() for path in Path("hub").rglob("*") if path.is_file()}
    for path in Path("hub").glob("*.zip"):
        with zipfile.ZipFile(path) as archive:
            held |= {path / name: archive.read(name) for name in archive.namelist()}
    assert [path for path, content in held.items() if str(in_tmp).encode() in content] == []
    told = held[Path("hub/model.json" if double_q else "hub/dqn-CartPole-v1.zip/tune.json")]
    assert json.loads(told)["env"]["module"] == "mine.py"
    found = "hub" if double_q else "hub/dqn-CartPole-v1.zip"
    card = Path("hub/README.md").read_text()
    assert ("evaluate FOLDER --env-module mine.py\n" if double_q else "enjoy --algo dqn --env CartPole-v1 -f logs "
            "--gym-packages mine\n") in card  # fmt: skip
    with pytest.raises(InputError, match=r"from 'mine\.py'"):
        _ = tuner.load_agent(found).env
    returns = tuner.load_agent(found, env_module=str(place)).evaluate(2)
    assert returns == tuner.load_agent("agent", env_module=str(place)).evaluate(2)


def test_the_command_of_a_card_tells_no_places_of_this_machine(monkeypatch):
    from tuner.cli import publish_command
    from tuner.plan.recipe import StudyRecipe
    from tuner.report.numbers import evidence

    monkeypatch.setattr(publish_command, "verdict_lines", lambda data: ["A verdict."])
    monkeypatch.setattr(evidence, "evidence", lambda data: None)
    places = {"report_dir": "/home/me/r", "tensorboard": "/home/me/t", "env_module": "/home/me/mine/__init__.py"}
    recipe = StudyRecipe(env="X-v0", trials=3, space="/home/me/wide.yaml", start_with=("/home/me/a.yaml",), **places)
    data = types.SimpleNamespace(recipe=recipe.to_mapping(), name="mine")
    command = publish_command._facts(data).command
    assert "/home" not in command and "/me" not in command
    for words in ("--env-module mine/__init__.py", "--space wide.yaml", "--start-with a.yaml", "--trials 3"):
        assert words in command


def test_the_best_agent_without_a_zip_is_the_one_of_the_best_evaluation(in_tmp, no_film):
    make_agent(double_q=True)
    Path("agent/best_model.json").write_text(Path("agent/model.json").read_text())
    make_agent("other", seed=9, double_q=True)
    for name in ("model.json", "weights.npz"):
        Path(f"other/{name}").rename(f"agent/best_{name}")
    publish("agent", "--best", "--episodes", "1", "-o", "hub")
    assert Path("hub/weights.npz").read_bytes() == Path("agent/best_weights.npz").read_bytes()
    assert Path("hub/weights.npz").read_bytes() != Path("agent/weights.npz").read_bytes()
    tuner.load_agent("hub")


def test_one_kind_of_folder_published_over_the_other_leaves_nothing_of_it(in_tmp, no_film):
    make_agent(normalize_observations=True)
    make_agent("double", double_q=True)
    for agent, files in (("agent", EXPECTED | {"vec_normalize.pkl"}), ("double", NATIVE), ("agent", EXPECTED)):
        if files == EXPECTED:
            make_agent()
        publish(agent, "--episodes", "1", "-o", "hub")
        assert {path.name for path in (in_tmp / "hub").iterdir()} == files


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("nowhere",), "There is no database"),
        ((".",), r"\. holds no agent. tune train -o DIR leaves one"),
        (("agent/model.json",), r"agent/model\.json is a file, .* Say tune publish agent\.$"),
        (("agent/../double/weights.npz",), r"is a file, .* Say tune publish agent/\.\./double\.$"),
        (("agent", "--agent", "median"), "--agent and --storage belong to a study"),
        (("agent", "--agent", "best"), "--agent and --storage belong to a study"),
        (("agent", "--private"), "--private is for a new repository on the hub. Say --push USER/NAME"),
        (("agent", "--push", "pole"), "--push must be USER/NAME .* got 'pole'"),
        (("agent", "--push", "me/../x"), "--push must be USER/NAME"),
        (("agent", "--episodes", "0"), "--episodes must be"),
        (("agent", "-o", "agent/model.json"), "agent/model.json"),
        (("double", "-o", "agent"), "-o agent is the folder of an agent"),
    ],
)
def test_what_cannot_be_published_is_said_in_a_line_and_nothing_is_written(arguments, says, in_tmp, no_film):
    make_agent()
    make_agent("double", double_q=True)
    before = sorted(in_tmp.rglob("*"))
    shell = tune("publish", *arguments)
    assert shell.code == 2
    assert re.search(says, shell.err) and shell.err.count("\n") == 1
    assert sorted(in_tmp.rglob("*")) == before


@pytest.fixture
def hub(monkeypatch, tmp_path):
    with running() as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", hub.url)  # read where the package is first imported
        monkeypatch.setenv("HF_TOKEN", "hf_secret")
        monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
        monkeypatch.setenv("HF_XET_XORB_COMPRESSION_POLICY", "none")  # see xet_store
        yield hub


@pytest.fixture(params=["xet", "lfs"])
def large_by(request, monkeypatch):
    """Both ways of large files: with hf_xet, and without it."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_DISABLE_XET", request.param == "lfs")
    return request.param


def test_what_is_sent_is_the_folder(in_tmp, no_film, hub):
    make_agent()
    shell = publish("agent", "--episodes", "1", "-o", "hub", "--push", "me/pole")
    sent = hub.repositories["me/pole"]
    files = {
        p.relative_to(in_tmp / "hub").as_posix(): p.read_bytes() for p in (in_tmp / "hub").rglob("*") if p.is_file()
    }
    assert sent == files
    (commit,) = hub.commits
    large = {"dqn-CartPole-v1.zip", "train_eval_metrics.zip"}
    assert {path for path, kind in commit if kind == "lfsFile"} == large, "a new repository's rules hold at first"
    assert {path for path, kind in commit if kind == "file"} == files.keys() - large
    assert shell.out.splitlines()[-1] == f"{hub.url}/me/pole"
    told = {token for method, path, token in hub.requests if method == "POST" and path.startswith("/api/")}
    assert told == {"Bearer hf_secret"}
    assert "hf_secret" not in shell.out + shell.err
    assert "-orga me --repo-name pole" in (in_tmp / "hub" / "README.md").read_text()


@pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")  # huggingface_hub's own, without hf_xet
def test_large_files_go_apart_and_what_is_unchanged_is_not_sent_again(in_tmp, hub, large_by):
    film = np.random.default_rng(0).bytes(hub_server.LARGE_BYTES + 1)
    for name, content in (("a.bin", film), ("b.zip", film[:70_000]), ("README.md", b"# An agent")):
        Path("hub", name).parent.mkdir(exist_ok=True)
        Path("hub", name).write_bytes(content)
    assert push(in_tmp / "hub", "me/pole") == f"{hub.url}/me/pole"
    assert hub.repositories["me/pole"] == {path.name: path.read_bytes() for path in (in_tmp / "hub").iterdir()}
    assert sorted(hub.commits[0]) == [("README.md", "file"), ("a.bin", "lfsFile"), ("b.zip", "lfsFile")]
    stored = [(path, token) for method, path, token in hub.requests if path.startswith(("/xet/", "/large/"))]
    assert stored and all(path.startswith({"xet": "/xet/", "lfs": "/large/"}[large_by]) for path, _ in stored)
    assert "Bearer hf_secret" not in {token for path, token in stored if path != "/large/verify"}
    Path("hub/README.md").write_bytes(b"# Another agent")
    push(in_tmp / "hub", "me/pole")
    assert [path for path, _ in hub.commits[1]] == ["README.md"]


def test_a_store_of_large_files_that_refuses_is_a_line(in_tmp, hub, large_by):
    Path("hub").mkdir()
    Path("hub/a.zip").write_bytes(b"content")
    hub.refuses_large = (403, "no room for hf_secret")
    with pytest.raises(InputError, match=r"does not take it: .*403.* is whole") as refused:
        push(in_tmp / "hub", "me/pole")
    assert "hf_secr" not in str(refused.value)
    assert hub.commits == []


def test_a_store_of_large_files_that_is_away_is_not_waited_for_for_long(in_tmp, hub, monkeypatch):
    hf_xet = pytest.importorskip("hf_xet")
    for name in ("RETRY_MAX_DURATION", "READ_TIMEOUT"):
        monkeypatch.setenv(f"HF_XET_CLIENT_{name}", "1s")  # so that the process has them back afterwards
        monkeypatch.delenv(f"HF_XET_CLIENT_{name}")
    Path("hub").mkdir()
    Path("hub/README.md").write_bytes(b"# An agent")
    push(in_tmp / "hub", "me/pole")
    config = hf_xet.XetConfig()
    waits = [config.get(f"client.{name}").total_seconds() for name in ("retry_max_duration", "read_timeout")]
    assert waits == [20, 60]


def test_a_hub_that_refuses_is_a_line_and_the_folder_stays(in_tmp, no_film, hub):
    make_agent()
    hub.refuses = (403, "You are not me")
    shell = tune("publish", "agent", "--episodes", "1", "-o", "hub", "--push", "me/pole")
    assert shell.code == 2
    line = shell.err.splitlines()[-1]
    assert "--push me/pole: " in line and "does not take it" in line and "hub is whole" in line
    assert "hf_secret" not in shell.err
    assert {path.name for path in (in_tmp / "hub").iterdir()} == EXPECTED


@pytest.mark.parametrize("text", ["bad token hf_secret", "x" * 90 + " hf_secret"])
def test_a_hub_that_tells_the_token_it_was_sent_is_not_quoted_with_it(text, in_tmp, hub, monkeypatch):
    (in_tmp / "hub").mkdir()
    hub.refuses = (400, text)
    with pytest.raises(InputError, match="does not take it") as refused:
        push(in_tmp / "hub", "me/pole")
    assert "hf_secr" not in str(refused.value)
    monkeypatch.setenv("HF_ENDPOINT", hub.url.replace("http://", "http://me:pw@"))
    with pytest.raises(InputError, match=r"me:\*\*\*@127") as refused:
        push(in_tmp / "hub", "me/pole")
    assert "pw" not in str(refused.value)


@pytest.mark.parametrize("answer", [{}, [], {"url": 5}, {"url": "elsewhere://x"}, b"<html>"])
def test_what_no_hub_answers_is_a_line(answer, in_tmp, hub):
    (in_tmp / "hub").mkdir()
    hub.creates = answer
    with pytest.raises(InputError, match=r"answers what no hub answers.* is whole"):
        push(in_tmp / "hub", "me/pole")


def test_a_hub_that_falls_silent_is_a_line(in_tmp, hub, monkeypatch):
    (in_tmp / "hub").mkdir()
    monkeypatch.setattr("tuner.publish.push.SILENT_S", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{silent.getsockname()[1]}")
        with pytest.raises(InputError, match=r"does not take it: .*timed out"):
            push(in_tmp / "hub", "me/pole")


def test_a_hub_that_does_not_answer_is_a_line(in_tmp, no_film, monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    make_agent()
    shell = tune("publish", "agent", "--episodes", "1", "-o", "hub", "--push", "me/pole")
    assert shell.code == 2 and "http://127.0.0.1:9 does not take it" in shell.err


@pytest.mark.slow
@pytest.mark.parametrize("normalized", [False, True])
def test_rl_zoo_fetches_it_and_plays_it(normalized, in_tmp, no_film, hub):
    make_agent(normalize_observations=normalized)
    publish("agent", "--episodes", "1", "-o", "hub", "--push", "me/dqn-CartPole-v1")
    surroundings = {**os.environ, "TRUST_REMOTE_CODE": "True"}
    of = ["--algo", "dqn", "--env", "CartPole-v1", "-f", "logs"]
    # RL Zoo 2.9 waits for the error of older clients where a repository has no statistics.
    (in_tmp / "fetch.py").write_text(
        "import runpy, requests.exceptions, huggingface_hub.errors as errors\n"
        "requests.exceptions.HTTPError = errors.HfHubHTTPError\n"
        "runpy.run_module('rl_zoo3.load_from_hub', run_name='__main__')\n"
    )
    fetch = ["rl_zoo3.load_from_hub"] if normalized else ["fetch"]
    for command in ([*fetch, *of, "-orga", "me"], ["rl_zoo3.enjoy", *of, "--no-render", "-n", "300"]):
        done = subprocess.run(
            [sys.executable, "-m", *command], capture_output=True, text=True, check=False, env=surroundings, timeout=250
        )
        assert done.returncode == 0, done.stderr[-2000:]
    assert "Episode Reward" in done.stdout
    assert (in_tmp / "logs/dqn/CartPole-v1_1/CartPole-v1/vecnormalize.pkl").is_file() == normalized
