"""A run that goes on from its file ends with an undisturbed run's bits, and so does one that has to start over."""

import dataclasses
import functools
import os
import random
import zlib

import gymnasium as gym
import numpy as np
import pytest
from training.desk import MIXED, Desk, make_spec

from tuner.contract.spec import EvaluationSpec, RunId
from tuner.envs.bare import BareEnv
from tuner.envs.encoders import encoder_for
from tuner.envs.journal import Journal
from tuner.envs.spec import EnvSpec
from tuner.hyperparameters import FQIHyperparameters, QLearningHyperparameters
from tuner.training import run_checkpoint
from tuner.training.lone.fitted import FittedRun
from tuner.training.lone.tabular import TabularRun
from tuner.training.lone.trainer import LoneTrainer
from tuner.training.run_checkpoint import RunCheckpoints, fingerprint
from tuner.training.stack import runner as stack_runner
from tuner.training.stack.trainer import NativeTrainer


class KilledError(Exception):
    """Stands for a worker's death."""


class DyingDesk(Desk):
    """A desk whose trainer dies once all runs have been evaluated, and saved, ``rounds`` times."""

    def __init__(self, specs, rounds):
        super().__init__(specs)
        self.names, self.rounds = [spec.run_id for spec in specs], rounds

    def report(self, points):
        answer = super().report(points)
        if min(len(self.points.get(name, ())) for name in self.names) > self.rounds:
            raise KilledError
        return answer


def train(specs, lanes, folder=None, **kwargs):
    desk = Desk(specs)
    checkpoints = None if folder is None else RunCheckpoints(folder, every_s=0, cost_factor=0)
    NativeTrainer(lanes, desk, checkpoints=checkpoints, **kwargs).train(desk)
    return desk


def train_until_killed(specs, lanes, folder, rounds, **kwargs):
    with pytest.raises(KilledError):
        NativeTrainer(lanes, checkpoints=RunCheckpoints(folder, every_s=0, cost_factor=0), **kwargs).train(
            DyingDesk(specs, rounds)
        )


def steps_taken(monkeypatch):
    """Count the steps of training environments from here on."""
    taken = []
    step = BareEnv.step

    def counted(self, action):
        taken.append(action)
        return step(self, action)

    monkeypatch.setattr(BareEnv, "step", counted)
    return taken


def assert_same(one, other):
    assert one.points == other.points
    assert {run_id: outcome.kind for run_id, outcome in other.outcomes.items()} == dict.fromkeys(
        one.points, "completed"
    )
    for run_id, weights in one.weights.items():
        for name, array in weights.items():
            np.testing.assert_array_equal(array, other.weights[run_id][name])


@pytest.fixture(scope="module")
def undisturbed():
    """By environment: a run of every variant, and what becomes of them in one stack."""

    @functools.cache
    def trained(env):
        specs = [make_spec(i, env, steps=300, evaluations=5, **changes) for i, changes in enumerate(MIXED)]
        specs = [dataclasses.replace(spec, evaluation=EvaluationSpec(2, 77, 40)) for spec in specs]
        return specs, train(specs, 10)

    return trained


@pytest.mark.slow
@pytest.mark.parametrize(
    ("env", "rounds"), [("CartPole-v1", 1), ("CartPole-v1", 3), ("FrozenLake-v1", 2), ("MountainCar-v0", 2)]
)
def test_runs_of_every_variant_go_on_bit_for_bit(env, rounds, undisturbed, tmp_path, monkeypatch):
    specs, whole = undisturbed(env)
    for spec in specs:
        train_until_killed([spec], 1, tmp_path, rounds)
    restored = spy_on_restoring(monkeypatch)
    assert_same(whole, train(specs[::-1], 3, tmp_path))  # in a stack, on other lanes, some after a refill
    assert restored == [True] * len(specs)
    assert not list(tmp_path.iterdir()), "what has ended needs no file"


def test_the_torch_path_goes_on_too(tmp_path):
    specs = [make_spec(0, steps=600, optimizer="rmsprop", tau=0.5)]
    whole = train(specs, 1, numeric_path="torch")
    train_until_killed(specs, 1, tmp_path, 1, numeric_path="torch")
    assert_same(whole, train(specs, 1, tmp_path, numeric_path="torch"))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("env", "changes"),
    [
        (EnvSpec("MinAtar/Breakout-v1"), {"prioritized": True, "n_steps": 3, "dueling": True}),
        (EnvSpec("MinAtar/SpaceInvaders-v1"), {}),
        (EnvSpec("CartPole-v1", pixels=True), {"n_steps": 2, "train_freq": 10}),
        pytest.param(EnvSpec("BreakoutNoFrameskip-v4"), {}, marks=pytest.mark.slow),
        pytest.param(EnvSpec("ALE/Pong-v5"), {"prioritized": True, "train_freq": 10}, marks=pytest.mark.slow),
    ],
    ids=lambda value: value.id if isinstance(value, EnvSpec) else "",
)
def test_runs_on_images_go_on_bit_for_bit(env, changes, tmp_path, monkeypatch):
    # The memory has come round when the run is saved for the last time, after 60 steps.
    settings = {"net_arch": (), "buffer_size": 50, "learning_starts": 30, "train_freq": 4, "gradient_steps": 1}
    made = make_spec(0, env.id, steps=120, evaluations=4, **{**settings, **changes})
    specs = [dataclasses.replace(made, env=env, evaluation=EvaluationSpec(1, 77, 5))]
    whole = train(specs, 1)
    train_until_killed(specs, 1, tmp_path, 2)
    assert len(list(tmp_path.iterdir())) == 1
    restored = spy_on_restoring(monkeypatch)
    assert_same(whole, train(specs, 1, tmp_path))
    assert restored == [True], "it started over"


def spy_on_restoring(monkeypatch):
    """Return a list that gets the answer of each try to go on from a file."""
    answers = []
    restore = stack_runner.restore_run

    def call(*args):
        answers.append(restore(*args))
        return answers[-1]

    monkeypatch.setattr(stack_runner, "restore_run", call)
    return answers


def assert_go_on_and_feel_no_neighbours(specs, folder, monkeypatch):
    """Alone, side by side, and killed and carried on in another order and in fewer lanes, runs are the same."""
    whole = Desk([])
    for one in specs:
        alone = train([one], 1)
        whole.points |= alone.points
        whole.weights |= alone.weights
    assert_same(whole, train(specs, len(specs)))
    train_until_killed(specs, len(specs), folder, 1)
    restored = spy_on_restoring(monkeypatch)
    assert_same(whole, train(specs[::-1], len(specs) - 1, folder))
    assert restored == [True] * len(specs), "it started over"


@pytest.mark.slow
@pytest.mark.parametrize("rounds", [1, 3])
@pytest.mark.parametrize(
    ("env", "hyperparameters"),
    [
        ("FrozenLake-v1", QLearningHyperparameters(learning_rate_schedule="linear")),
        ("Taxi-v4", QLearningHyperparameters()),
        ("CartPole-v1", QLearningHyperparameters()),
        ("CartPole-v1", FQIHyperparameters(regressor="tree", n_transitions=500)),
        ("CartPole-v1", FQIHyperparameters(regressor="neural", n_transitions=600, behavior_eps=0.5, epochs=2)),
    ],
    ids=lambda value: value if isinstance(value, str) else value.algorithm,
)
def test_runs_of_the_other_algorithms_go_on_bit_for_bit(env, hyperparameters, rounds, tmp_path):
    grid = (1, 2, 4, 6, 8) if hyperparameters.algorithm == "fqi" else (1500, 3000, 4500, 6000, 7500)
    spec = dataclasses.replace(make_spec(0, env), hyperparameters=hyperparameters, grid=grid)

    def trainer(observer, folder=None):
        files = None if folder is None else RunCheckpoints(folder, every_s=0, cost_factor=0)
        return LoneTrainer(FittedRun if hyperparameters.algorithm == "fqi" else TabularRun, observer, files)

    whole, again = Desk([spec]), Desk([spec])
    trainer(whole).train(whole)
    with pytest.raises(KilledError):
        trainer(None, tmp_path).train(DyingDesk([spec], rounds))
    assert len(list(tmp_path.iterdir())) == 1
    began = []
    updates = again.on_update
    again.on_update = lambda run_id, step, *rest: began.append(step) or updates(run_id, step, *rest)
    trainer(again, tmp_path).train(again)
    assert_same(whole, again)
    assert min(began) > grid[rounds - 1], "it started over"
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("damage", ["episode", "agent/table", "points"])
def test_a_lone_run_with_a_damaged_file_starts_over(damage, tmp_path):
    spec = dataclasses.replace(make_spec(0, "Taxi-v4"), hyperparameters=QLearningHyperparameters(), grid=(500, 1000))
    desks = [Desk([spec]), Desk([spec])]
    files = RunCheckpoints(tmp_path, every_s=0, cost_factor=0)
    LoneTrainer(TabularRun, desks[0]).train(desks[0])
    with pytest.raises(KilledError):
        LoneTrainer(TabularRun, None, files).train(DyingDesk([spec], 1))
    saved = files.load(spec)
    files.save(spec, {name: array for name, array in saved.items() if name != damage})
    LoneTrainer(TabularRun, desks[1], files).train(desks[1])
    assert_same(*desks)


def test_what_was_trained_is_not_trained_again(tmp_path, monkeypatch):
    """Not even repeated, but for the last episodes: CartPole's are short."""
    specs = [make_spec(0, steps=3000, evaluations=6)]
    train_until_killed(specs, 1, tmp_path, 4)
    taken = steps_taken(monkeypatch)
    desk = train(specs, 1, tmp_path)
    evaluation = sum(sum(p.lengths) for p in desk.points[RunId(0)][4:])
    assert 1000 <= len(taken) - evaluation <= 1000 + 2 * 500


class Dice(gym.Env):
    """Shows what the system's entropy says, which nobody can ask for again."""

    observation_space = gym.spaces.Box(0, 1, (2,), np.float32)
    action_space = gym.spaces.Discrete(2)

    def __init__(self):
        self.dice, self.left = random.SystemRandom(), 0

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.left = 10
        return np.zeros(2, np.float32), {}

    def step(self, action):
        self.left -= 1
        return np.full(2, self.dice.random(), np.float32), 1.0, self.left == 0, False, {}


gym.register("tests/Dice-v0", Dice, disable_env_checker=True)


def test_an_environment_that_draws_from_the_systems_entropy_trains_and_starts_over(tmp_path, monkeypatch):
    specs = [make_spec(0, "tests/Dice-v0", steps=300)]
    train_until_killed(specs, 1, tmp_path, 1)
    restored = spy_on_restoring(monkeypatch)
    assert train(specs, 1, tmp_path).outcomes[RunId(0)].kind == "completed"
    assert restored == [False]


def test_a_lane_of_a_stack_is_saved_no_more_often_than_it_is_due(tmp_path, monkeypatch):
    written = []
    monkeypatch.setattr(run_checkpoint, "replace_with", lambda path, write: written.append(path))
    for every_s, files in ((0.0, 2), (1000.0, 0)):
        written.clear()
        desk = Desk([make_spec(0)])
        NativeTrainer(1, checkpoints=RunCheckpoints(tmp_path, every_s=every_s, cost_factor=0)).train(desk)
        assert len(written) == files, "each evaluation but the last, or none of a short run"


@pytest.mark.parametrize("damage", ["cut", "empty", "foreign", "pickled"])
def test_a_file_that_cannot_be_read_lets_the_run_start_over(damage, tmp_path):
    specs = [make_spec(0)]
    whole = train(specs, 1)
    train_until_killed(specs, 1, tmp_path, 1)
    (path,) = tmp_path.iterdir()
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:-200])
    elif damage == "empty":
        path.write_bytes(b"")
    elif damage == "foreign":
        np.savez(path, run=np.array("{}"))
    else:
        with np.load(path) as arrays:
            np.savez(path, **{**dict(arrays), "run": np.array([KilledError], object)})
    assert_same(whole, train(specs, 1, tmp_path))


def test_a_file_of_another_run_or_version_is_never_found(monkeypatch):
    one = make_spec(0)
    names = {
        fingerprint(one),
        fingerprint(make_spec(0, seed=1)),
        fingerprint(make_spec(0, learning_rate=1e-3)),
        fingerprint(make_spec(0, steps=601)),
        fingerprint(dataclasses.replace(one, env=EnvSpec("CartPole-v1", module="mine"))),
    }
    monkeypatch.setattr(run_checkpoint, "package_versions", lambda: {"torch": "0"})
    names.add(fingerprint(one))
    assert len(names) == 6
    assert fingerprint(one) == fingerprint(dataclasses.replace(one, run_id=RunId(9), alone=True))


def test_a_memory_beyond_the_limit_or_the_disk_writes_no_file(tmp_path, monkeypatch):
    specs = [make_spec(0)]
    for limits in ({"max_bytes": 10_000}, {}):
        if not limits:
            monkeypatch.setattr(run_checkpoint, "replace_with", full_disk)
        desk = Desk(specs)
        NativeTrainer(1, checkpoints=RunCheckpoints(tmp_path, every_s=0, cost_factor=0, **limits)).train(desk)
        assert desk.outcomes[RunId(0)].kind == "completed"
        assert not list(tmp_path.iterdir())


def full_disk(path, write):
    raise OSError(28, "No space left on device")


class Secretive(gym.Env):
    """Draws from a generator that nobody finds: the system's."""

    observation_space = gym.spaces.Box(-1, 1, (2,), np.float32)
    action_space = gym.spaces.Discrete(2)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.steps = 0
        return self.look(), {}

    def step(self, action):
        self.steps += 1
        return self.look(), 1.0, self.steps == 20, False, {}

    def look(self):
        return np.frombuffer(os.urandom(2), np.int8).astype(np.float32) / 128


def test_an_environment_that_does_not_come_to_the_same_place_lets_the_run_start_over(tmp_path, monkeypatch):
    gym.register("Secretive-v0", entry_point=Secretive)
    try:
        specs = [make_spec(0, "Secretive-v0", steps=3000, evaluations=6)]
        train_until_killed(specs, 1, tmp_path, 4)
        taken = steps_taken(monkeypatch)
        desk = train(specs, 1, tmp_path)
        assert [p.step for p in desk.points[RunId(0)]] == [500, 1000, 1500, 2000, 2500, 3000]
        assert len(taken) > 3000, "every step is taken anew"
    finally:
        del gym.registry["Secretive-v0"]


@pytest.mark.parametrize("change", ["marks", "rewards", "ends", "now", "starts"])
def test_whatever_differs_on_the_way_is_noticed(change):
    saved = dict(journal_after(90)[1].snapshot())
    if change == "ends":
        saved["ends"] = np.zeros_like(saved["ends"])
    elif saved[change].dtype.kind == "U":
        saved[change] = np.array(str(saved[change]).replace("1", "2"))
    else:
        saved[change] = saved[change] + 1
    env, journal = journal_after(0)
    try:
        came = journal.repeat(saved, env.first, env.store)
    except (ValueError, KeyError, TypeError):
        came = None
    assert came is None


@pytest.mark.parametrize("steps", [0, 1, 17, 90, 300])
def test_an_environment_is_led_to_the_same_place_and_goes_on_alike(steps):
    player, journal = journal_after(steps)
    other, theirs = journal_after(0)
    came = theirs.repeat(journal.snapshot(), other.first, other.store)
    np.testing.assert_array_equal(came, player.current)
    assert [play(player, journal, 60) for _ in range(3)] == [play(other, theirs, 60) for _ in range(3)]
    assert all(
        np.array_equal(a, b) for a, b in zip(journal.snapshot().values(), theirs.snapshot().values(), strict=True)
    )


@pytest.mark.slow
@pytest.mark.parametrize("env_id", ["BreakoutNoFrameskip-v4", "ALE/Breakout-v5"])
def test_a_game_is_led_over_lost_lives_and_lost_games(env_id):
    """Its random generator and its lives are in the emulator, where no attribute shows them."""
    player, journal = journal_after(7, env_id)
    while "null" in str(journal.snapshot()["starts"]):  # the first game of all is among those repeated
        play(player, journal, 70)
    other, theirs = journal_after(0, env_id)
    came = theirs.repeat(journal.snapshot(), other.first, other.store)
    np.testing.assert_array_equal(came, player.current)
    assert play(player, journal, 140) == play(other, theirs, 140)


class Player:
    """Presses the buttons in turns."""

    def __init__(self, env):
        self.env, self.encoder = env, encoder_for(env.env.observation_space)
        self.store = self.encoder.store
        self.first = self.current = self.flat(env.reset(seed=3))

    def flat(self, observation):
        return np.array(self.store(observation), np.float32).reshape(-1)


def journal_after(steps, env_id="CartPole-v1"):
    player = Player(BareEnv.make(EnvSpec(env_id), training=True))
    journal = Journal(player.env)
    play(player, journal, steps)
    return player, journal


def play(player, journal, steps):
    """Play in stretches of 7 steps, and return a number for each that stands for all that was seen."""
    seen = []
    buttons = int(player.env.env.action_space.n)
    for begin in range(0, steps, 7):
        rows = []
        for i in range(min(7, steps - begin)):
            observation, reward, terminated, truncated = player.env.step(i % buttons)
            player.current = player.flat(observation)
            ended = terminated or truncated
            rows.append((i % buttons, ended, player.current, reward))
            if ended:
                journal.before_reset()
                player.current = player.flat(player.env.reset())
        actions, ends, observations, rewards = (np.array(column) for column in zip(*rows, strict=True))
        journal.add(actions, ends, observations, rewards.astype(np.float32))
        seen.append((zlib.crc32(observations.tobytes()), zlib.crc32(rewards.tobytes())))
    return seen


@pytest.mark.parametrize("kept", [("names", "a"), ("names", "b")])
def test_a_file_that_lost_an_array_is_no_file(tmp_path, kept):
    files, spec = RunCheckpoints(tmp_path), make_spec(0)
    files.save(spec, {"a": np.arange(3), "b": np.arange(2)})
    loaded = files.load(spec)
    assert loaded is not None and sorted(loaded) == ["a", "b"]
    (path,) = tmp_path.iterdir()
    with np.load(path) as arrays:
        left = {name: arrays[name] for name in kept}
    np.savez(path, **left)
    assert files.load(spec) is None
