"""The look at an environment before a study: a fault is named by its call; what it does to its process ends there."""

import dataclasses
import functools
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import gymnasium as gym
import numpy as np
import psutil
import pytest
from gymnasium import spaces
from gymnasium.envs.classic_control import CartPoleEnv
from gymnasium.envs.registration import EnvSpec as EntrySpec

from tuner.envs import child
from tuner.envs import preflight as preflight_module
from tuner.envs.encoders import encoder_for
from tuner.envs.make import EnvFacts
from tuner.envs.preflight import misfit, preflight
from tuner.envs.spec import EnvSpec
from tuner.errors import UnusableEnvironmentError
from tuner.plan.recipe import StudyRecipe
from tuner.plan.resolve import plan_study

HEAD = """
import os, sys, threading, time
import gymnasium as gym, numpy as np
from gymnasium import spaces
class Words(spaces.Space):
    def __init__(self): super().__init__(dtype=str)
class Env(gym.Env):
    observation_space = spaces.Box(-1, 1, (2,), np.float32)
    action_space = spaces.Discrete(2)
    def reset(self, *, seed=None, options=None): return np.zeros(2, np.float32), {}
    def step(self, action): return np.zeros(2, np.float32), 0.0, False, False, {}
class Mine(Env):
"""
TAIL = "\ngym.register('Mine-v0', entry_point=Mine)\n"

FAULTS = {
    "def reset(self, *, seed=None, options=None): return np.zeros(2, np.float32)": r"reset\(\) must return",
    "def reset(self, *, seed=None, options=None): return np.zeros(3), {}": r"reset\(\) returned .* shape must be",
    "def reset(self): return np.zeros(2), {}": r"reset\(seed=0\) raised TypeError.*signature",
    "def reset(self, *, seed=None, options=None): return options['level'], {}": "TypeError.*Nobody gives it options",
    "def step(self, action): return np.zeros(2), 0.0, False, {}": r"step\(.*\(observation, reward, terminated",
    "def step(self, action): return np.zeros(2), np.array([1.0]), False, False, {}": "reward that is one number",
    "def step(self, action): return np.zeros(2), None, False, False, {}": "reward that is one number",
    "def step(self, action): return np.zeros(2), 0.0, 'False', False, {}": "terminated that is true or false, got str",
    "def step(self, action): return np.zeros(2), 0.0, {'__all__': False}, {}, {}": "terminated that is true or false",
    "def step(self, action): return np.zeros(2), 0.0, False, np.zeros(2, bool), {}": "truncated that is true or false",
    "def step(self, action): return np.zeros(2), 0.0, float('nan'), False, {}": "terminated that is true or false",
    "observation_space = spaces.Dict(a=spaces.Discrete(2), b=spaces.Discrete(2))\n"
    "    def reset(self, *, seed=None, options=None): return {'a': 0}, {}": "the key 'b' is missing",
    "observation_space = spaces.Dict(a=spaces.Discrete(2), w=Words())": r"Words at \['w'\]",
}
ENDS = {
    "def __init__(self): os._exit(0)": r"gymnasium.make\(\) ended its process \(exit status 0\)",
    "def __init__(self): sys.exit(0)": r"gymnasium.make\(\) raised SystemExit",
    "def step(self, action): os._exit(3)": r"step\(\d\) ended its process \(exit status 3\)",
    "def close(self): os._exit(0)": r"close\(\) ended its process",
    "def close(self): raise OSError('gone')": r"close\(\) raised OSError: gone",
}


def mine(folder: Path, body: str) -> EnvSpec:
    file = folder / "mine_env.py"
    file.write_text(f"{HEAD}    {body}\n{TAIL}")
    return EnvSpec("Mine-v0", module=str(file))


@pytest.fixture
def inline(monkeypatch: pytest.MonkeyPatch) -> Callable[..., EnvFacts]:
    """A look in this very process, a thirtieth of the time: for what an environment returns, not what it does."""
    for known, name in ((gym.registry, "Mine-v0"), (sys.modules, "mine_env")):
        monkeypatch.setitem(known, name, None)  # or it would stay there
        del known[name]
    return functools.partial(preflight, inline=True)


@pytest.mark.parametrize("body", FAULTS)
def test_a_fault_is_named_by_its_call(body: str, tmp_path: Path, inline: Callable[..., EnvFacts]) -> None:
    with pytest.raises(UnusableEnvironmentError, match=FAULTS[body]) as caught:
        inline(mine(tmp_path, body), "dqn")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("body", [*[body for body in FAULTS if "Dict" in body], *ENDS])
def test_a_child_says_what_it_found_and_how_it_ended(body: str, tmp_path: Path) -> None:
    with pytest.raises(UnusableEnvironmentError, match=(FAULTS | ENDS)[body]) as caught:
        preflight(mine(tmp_path, body), "dqn")
    assert "\n" not in str(caught.value)


def test_a_call_that_does_not_come_back_is_named_and_its_process_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(child, "CALL_LIMIT_S", 60.0)  # its start takes as long as the machine is busy
    spec = mine(tmp_path, "def step(self, action): open('pid', 'w').write(str(os.getpid())); time.sleep(3000)")
    monkeypatch.chdir(tmp_path)
    pid = tmp_path / "pid"

    def lose_patience():
        wait_until(lambda: pid.is_file() and pid.read_text() != "")
        child.CALL_LIMIT_S = 0.5

    impatient = threading.Thread(target=lose_patience)
    impatient.start()
    with pytest.raises(UnusableEnvironmentError, match=r"step\(.*did not come back within 0\.5 s"):
        preflight(spec, "dqn")
    impatient.join()
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid.read_text()), 0)


def test_a_look_ends_with_who_looks_even_where_that_is_killed(tmp_path: Path) -> None:
    spec = mine(tmp_path, "def step(self, action): open('pid', 'w').write(str(os.getpid())); time.sleep(3000)")
    code = (
        f"from tuner.envs.preflight import preflight; from tuner.envs.spec import EnvSpec; preflight({spec!r}, 'dqn')"
    )
    looks = subprocess.Popen([sys.executable, "-c", code], cwd=tmp_path)
    pid = tmp_path / "pid"
    wait_until(lambda: pid.is_file() and pid.read_text() != "")
    looks.kill()
    looks.wait()
    wait_until(lambda: ended(int(pid.read_text())))


def wait_until(holds: Callable[[], bool]) -> None:
    until = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < until
        time.sleep(0.02)


def ended(pid: int) -> bool:
    """Whether a process has ended; one that nobody has asked for its exit status counts."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


@pytest.mark.parametrize(
    "body",
    [
        "def __init__(self): threading.Thread(target=time.sleep, args=(300,)).start()",
        "def __init__(self): os.chdir('/'); os.umask(0o777); sys.stdout = None",
        "def __init__(self): os.closerange(0, 3)",
        "def step(self, action): return [0.0, 5.0], np.float64(1), np.bool_(True), 0, {}",
        "observation_space = property(lambda self: spaces.Box(-1, 1, (2,)))",
    ],
)
def test_what_it_does_to_its_process_stays_there(body: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    facts = preflight(mine(tmp_path, body), "dqn")
    assert (facts.n_actions, facts.encoder.input_size) == (2, 2)
    assert Path.cwd() == tmp_path


def test_a_member_fits_and_a_stranger_does_not() -> None:
    space = spaces.Dict(
        a=spaces.Discrete(3, start=1), b=spaces.Tuple([spaces.MultiBinary(2), spaces.Box(0, 1, (2, 2))])
    )
    space.seed(0)
    assert all(misfit(space, space.sample()) == "" for _ in range(20))
    stranger = {**space.sample(), "a": 0}
    assert "['a']" in misfit(space, stranger)


@pytest.mark.parametrize(
    ("space", "value"),
    [
        (spaces.Discrete(10), -1),
        (spaces.Discrete(10, start=1), 0),
        (spaces.Discrete(10), 10),
        (spaces.Box(0, 255, (40, 40, 1), np.uint8), np.full((40, 40, 1), 0.9, np.float32)),
    ],
)
def test_an_observation_outside_of_its_space_is_never_read_as_another(space: spaces.Space, value: object) -> None:
    with pytest.raises(ValueError, match=r"outside|bytes"):
        encoder_for(space).store(value)


@pytest.mark.parametrize(
    ("declared", "value", "said"),
    [
        ("flag: bool = True", "no", "flag must be true or false, got 'no'. Say flag=false."),
        ("flag=False", "Yes", "flag must be true or false, got 'Yes'. Say flag=true."),
        ("flag: bool = True", "flase", "flag must be true or false, got 'flase'. Say flag=true or flag=false."),
        ("flag: bool = True", (1, 2), "flag must be true or false, got (1, 2). Say flag=true or flag=false."),
        ("flag: bool = True", False, ""),
        ("flag: bool = True", 0, ""),
        ("flag=True", "gaussian", ""),
        ("flag: bool | str = True", "no", ""),
        ("flag='yes'", "no", ""),
        ("**rest", "no", ""),
    ],
)
def test_text_for_a_truth_value_is_refused_where_it_is_known_to_be_one(tmp_path, inline, declared, value, said):
    file = tmp_path / "mine_env.py"
    file.write_text(f"{HEAD}    def __init__(self, {declared}): pass\n{TAIL}")
    spec = EnvSpec("Mine-v0", (("flag", value),), str(file))
    if said:
        with pytest.raises(UnusableEnvironmentError, match=f"^{re.escape(f'Mine-v0: --env-arg {said}')}$"):
            inline(spec, "dqn")
    else:
        inline(spec, "dqn")
    inline(spec, "dqn", stored=True)  # what was trained so goes on so


def test_a_truth_value_is_no_number_of_steps(tmp_path, inline):
    spec = dataclasses.replace(mine(tmp_path, "pass"), kwargs=(("max_episode_steps", True),))
    with pytest.raises(UnusableEnvironmentError, match="max_episode_steps must be a whole number, got true"):
        inline(spec, "dqn")
    assert inline(spec, "dqn", stored=True).max_episode_steps == 1  # what was trained so goes on so


@pytest.mark.parametrize("ended", ["np.bool_(False)", "0", "None", "np.array(0)", "np.array([False])", "0.0"])
def test_what_python_and_numpy_write_for_false_ends_no_episode(tmp_path, inline, ended):
    inline(mine(tmp_path, f"def step(self, action): return np.zeros(2), 0.0, {ended}, {ended}, {{}}"), "dqn")


def test_a_table_takes_more_numbers_than_a_network(tmp_path):
    many = tmp_path / "many.py"
    many.write_text(
        HEAD
        + """    observation_space = spaces.Discrete(40_000)
    def reset(self, *, seed=None, options=None): return 39_999, {}
    def step(self, action): return 7, 0.0, False, False, {}
"""
        + TAIL
    )
    spec = EnvSpec("Mine-v0", module=str(many))
    assert preflight(spec, "q_learning").observation == "Discrete(40000)"
    with pytest.raises(UnusableEnvironmentError, match=r"40_000 numbers \(one-hot\).*--algo q_learning"):
        preflight(spec, "dqn")


def test_an_id_that_only_this_process_knows_is_explained(monkeypatch):
    monkeypatch.setitem(gym.registry, "OnlyHere-v0", EntrySpec("OnlyHere-v0", entry_point="__main__:Env"))
    with pytest.raises(UnusableEnvironmentError, match=r"registered in your script.*env_module='my_env.py'.*inline"):
        preflight(EnvSpec("OnlyHere-v0"), "dqn")


def test_a_study_of_an_environment_of_ones_own_script_trains_in_that_process_and_says_so(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(gym.registry, "Mine-v7", EntrySpec("Mine-v7", CartPoleEnv, max_episode_steps=20))
    recipe = StudyRecipe(env="Mine-v7", steps=200, trials=1, workers=2)
    plan = plan_study(recipe, play=False)
    assert (plan.recipe.executor, plan.workers) == ("inline", 1)
    (said,) = [note for note in plan.notes if "Mine-v7 is registered in" in note]
    assert "trains in this process, on one core" in said and "env_module=" in said
    with pytest.raises(UnusableEnvironmentError, match=r"Mine-v7 is .*, or train here with executor='inline'"):
        plan_study(dataclasses.replace(recipe, executor="ray"), play=False)


def test_an_environment_is_looked_at_once_and_again_when_its_files_have_changed(tmp_path, monkeypatch):
    looks = []
    look = preflight_module.call_in_child

    def counted(*arguments, **named):
        looks.append(arguments[1].id)
        return look(*arguments, **named)

    monkeypatch.setattr(preflight_module, "call_in_child", counted)
    spec = mine(tmp_path, "pass")
    for _ in range(3):
        preflight(spec, "dqn")
    assert len(looks) == 1
    Path(spec.module).write_text(Path(spec.module).read_text() + "\n# another version\n")
    preflight(spec, "dqn")
    assert len(looks) == 2
