"""The code of docs/use-the-agent.md is run, block by block, on one agent."""

import json
import re
import threading
import urllib.error
import urllib.request
from pathlib import Path

import gymnasium
import numpy as np
import pytest

import tuner
from tuner.contract.spec import EvaluationSpec, RunId, RunSpec
from tuner.envs.spec import EnvSpec
from tuner.hyperparameters import DQNHyperparameters
from tuner.training.saved.model_files import save_model

PAGE = (Path(__file__).parent.parent / "docs" / "use-the-agent.md").read_text(encoding="utf-8")

BLOCKS = {
    title: found.group(1)
    for title, text in re.findall(r"^## ([^\n]+)\n(.*?)(?=^## |\Z)", PAGE, re.S | re.M)
    if (found := re.search(r"```python\n(.*?)```", text, re.S)) is not None
}

FOLDER = "reports/pole/agents/best"


def make_agent(**changes):
    hyperparameters = DQNHyperparameters(net_arch=(16, 8), **changes)
    spec = RunSpec(RunId(0), EnvSpec("CartPole-v1"), "native", hyperparameters, 1, (100,), EvaluationSpec(1, 0, 9))
    rng, weights = np.random.default_rng(3), {}
    for i, (inputs, outputs) in enumerate([(4, 16), (16, 8), (8, 2)]):
        weights[f"q_net.{2 * i}.weight"] = rng.normal(size=(outputs, inputs)).astype(np.float32)
        weights[f"q_net.{2 * i}.bias"] = rng.normal(size=outputs).astype(np.float32)
    if hyperparameters.normalize_observations:
        weights |= {"obs_rms.mean": rng.normal(size=4), "obs_rms.var": rng.uniform(0.001, 2, size=4)}
    save_model(Path(FOLDER), spec, weights)
    return tuner.load_agent(FOLDER)


@pytest.fixture
def observations(in_tmp):
    env = gymnasium.make("CartPole-v1")
    env.observation_space.seed(0)
    found = [env.reset(seed=i)[0] for i in range(20)]
    return [*found, *np.random.default_rng(1).normal(size=(80, 4)).astype(np.float32)]


def run(title, names=None):
    names = {} if names is None else names
    exec(BLOCKS[title], names)
    return names


def test_every_way_has_its_code():
    assert list(BLOCKS) == ["In a loop", "With NumPy alone", "With Stable-Baselines3", "As a service"]


def test_the_loop_plays_an_episode(in_tmp):
    make_agent()
    names = run("In a loop")
    assert names["done"] and names["env"].action_space.contains(np.int64(names["agent"].act(names["observation"])))


@pytest.mark.parametrize("normalized", [False, True])
def test_numpy_alone_acts_as_the_agent_does(observations, normalized):
    agent = make_agent(normalize_observations=normalized)
    act = run("With NumPy alone")["act"]
    actions = [act(observation) for observation in observations]
    assert actions == agent.act_many(observations).tolist()
    assert set(actions) == {0, 1}


def test_stable_baselines3_acts_as_the_agent_does(observations):
    agent = make_agent()
    model = run("With Stable-Baselines3", {"agent": agent, "observation": observations[0]})["model"]
    actions, _ = model.predict(np.stack(observations), deterministic=True)
    assert actions.tolist() == agent.act_many(observations).tolist()


def test_the_service_answers_what_the_agent_does(observations):
    agent, ready = make_agent(), threading.Event()
    code = BLOCKS["As a service"].replace("8000", "0")  # any free port
    code = code.replace("server.serve_forever()", "ready.set()\nserver.serve_forever()")
    names = {"ready": ready}
    thread = threading.Thread(target=exec, args=(code, names), daemon=True)
    thread.start()
    assert ready.wait(60)
    server = names["server"]
    names["Act"].log_message = lambda *_: None
    try:
        for observation in observations[:3]:
            request = urllib.request.Request(
                f"http://127.0.0.1:{server.server_port}", json.dumps(observation.tolist()).encode()
            )
            with urllib.request.urlopen(request, timeout=60) as answer:
                assert json.load(answer) == {"action": agent.act(observation)}
        for nonsense in (b"[1, 2]", b"left", b'{"place": 1}'):
            with pytest.raises(urllib.error.HTTPError, match="400"):
                urllib.request.urlopen(f"http://127.0.0.1:{server.server_port}", nonsense, timeout=60)
    finally:
        server.shutdown()
        server.server_close()
    thread.join(60)
