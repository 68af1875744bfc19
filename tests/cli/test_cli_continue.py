"""``tune train --continue``: a training that was cut, or is given more steps, becomes what it would have become."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from cli_shell import tune

from tuner.cli import train_and_save
from tuner.cli.train_progress import TrainingWatch
from tuner.training.saved.checkpoint import CHECKPOINT, load_checkpoint
from tuner.training.saved.model_files import load_model

EASY = Path(__file__).parents[1] / "data" / "easy.py"

#: Learns from step 100 on, four times a hundred steps; its memory has begun anew by step 1,000 where it holds 300.
LEARNS = ("--set", "learning_starts=100", "--set", "learning_rate=0.001", "--set", "target_update_interval=200")

#: What a run of 2,000 steps is made of; epsilon falls over its first 400.
WHOLE = ("--env", "CartPole-v1", *LEARNS, "--eval-episodes", "2", "--quiet")


def train(*arguments):
    shell = tune("train", *arguments)
    assert shell.code == 0, shell.err
    return shell


def weights(folder, name="weights.npz"):
    with np.load(Path(folder) / name) as arrays:
        return {key: arrays[key] for key in arrays.files}


def assert_same_weights(one, other, name="weights.npz"):
    mine, theirs = weights(one, name), weights(other, name)
    assert mine.keys() == theirs.keys()
    for key, array in mine.items():
        np.testing.assert_array_equal(array, theirs[key])


def log(folder):
    return json.loads((Path(folder) / "training.json").read_text())


@pytest.fixture
def ctrl_c_at():
    """Press Ctrl-C right after the evaluation at a step, once."""

    with pytest.MonkeyPatch.context() as patch:

        def at(step):
            seen = TrainingWatch.on_point

            def interrupt(self, point):
                seen(self, point)
                if point.step == step:
                    patch.undo()
                    raise KeyboardInterrupt

            patch.setattr(TrainingWatch, "on_point", interrupt)

        yield at


VARIANTS = {
    "plain": (),
    "full memory": ("--set", "buffer_size=300"),
    "variants": ("--set", "n_steps=3", "--set", "prioritized=true", "--set", "double_q=true", "--set", "dueling=true"),
    "normalized": ("--set", "normalize_observations=true"),
}


@pytest.mark.slow
@pytest.mark.parametrize("changes", VARIANTS.values(), ids=VARIANTS)
def test_a_thousand_steps_and_a_thousand_more_train_as_two_thousand_in_one_go(changes, in_tmp):
    """Epsilon falls over the same 400 steps in both: a share of what each was first given."""
    arguments = (*WHOLE, *changes)
    fixed = ("--set", "priority_beta=1") if "prioritized=true" in changes else ()  # it rises over the steps as well
    train(*arguments, *fixed, "--set", "exploration_fraction=0.2", "--steps", "2000", "--evaluations", "4", "-o", "one")
    train(*arguments, *fixed, "--set", "exploration_fraction=0.4", "--steps", "1000", "--evaluations", "2", "-o", "two")
    halfway = weights("two")
    train("--continue", "two", "--steps", "2000", "--quiet")
    assert_same_weights("one", "two")
    assert any((halfway[key] != array).any() for key, array in weights("two").items())
    one, two = log("one"), log("two")
    assert two["episodes"] == one["episodes"]
    for name in ("step", "loss", "q_value"):
        assert two["updates"][name] == one["updates"][name]
    assert two["updates"]["epsilon"] == pytest.approx(one["updates"]["epsilon"], abs=1e-12)
    assert [p["step"] for p in two["evaluations"]] == [500, 1000, 1500, 2000]
    # Those before play episodes of their own: the last third of a run does, and 1,000 was an end.
    assert two["evaluations"][2:] == one["evaluations"][2:]


def test_a_zip_made_in_between_changes_no_bit(in_tmp, monkeypatch):
    """The spaces of this environment are attributes of its class: whoever seeded them would reach every instance."""
    arguments = (*WHOLE[2:], "--env", "Easy-v0", "--env-module", str(EASY), "--set", "learning_starts=50")
    first = (*arguments, "--steps", "400", "--evaluations", "2", "-o")
    with monkeypatch.context() as patch:
        patch.setattr(train_and_save, "_write_zip", lambda *_: None)
        train(*first, "one")
        train("--continue", "one", "--steps", "800", "--quiet", "--env-module", str(EASY))
    train(*first, "two")
    train("--continue", "two", "--steps", "800", "--quiet", "--env-module", str(EASY))
    assert Path("two/model.zip").is_file() and not Path("one/model.zip").exists()
    assert_same_weights("one", "two")
    assert log("one")["episodes"] == log("two")["episodes"]


@pytest.mark.parametrize(
    "arguments",
    [
        (*WHOLE, "--steps", "1200", "--evaluations", "6"),
        (*WHOLE, "--steps", "1200", "--evaluations", "6", "--set", "prioritized=true", "--set", "n_steps=2"),
        ("--env", "Taxi-v4", "--algo", "q_learning", "--steps", "1200", "--evaluations", "6", "--eval-episodes", "2",
         "--quiet"),
        ("--env", "CartPole-v1", "--algo", "fqi", "--set", "regressor=tree", "--set", "n_transitions=400",
         "--steps", "6", "--evaluations", "6", "--quiet"),
    ],
    ids=["dqn", "variants", "q_learning", "fqi"],
)  # fmt: skip
def test_what_ctrl_c_cut_becomes_what_it_would_have_become(arguments, in_tmp, ctrl_c_at):
    train(*arguments, "-o", "one")
    one = log("one")
    step = one["evaluations"][2]["step"]
    ctrl_c_at(step)
    assert tune("train", *arguments, "-o", "two").code == 130
    assert load_model(Path("two")).evaluations[-1].step == step
    train("--continue", "two", "--quiet")
    assert_same_weights("one", "two")
    assert_same_weights("one", "two", "best_weights.npz")
    assert load_model(Path("two")).evaluations == load_model(Path("one")).evaluations
    assert load_model(Path("two"), best=True).evaluations == load_model(Path("one"), best=True).evaluations
    assert log("two") == one
    assert Path("two/config.yaml").read_text() == Path("one/config.yaml").read_text()


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A training of 600 steps."""
    folder = tmp_path_factory.mktemp("trained") / "run"
    train(*WHOLE, "--steps", "600", "--evaluations", "3", "-o", str(folder))
    return folder


@pytest.fixture
def short(trained, in_tmp):
    """A copy of it, in ``run``."""
    shutil.copytree(trained, "run")
    return Path("run")


def test_it_says_what_it_does_and_how_to_go_on(in_tmp):
    shell = tune("train", *WHOLE[:-1], "--steps", "600", "--evaluations", "3", "-o", "run")
    assert "tune train --continue run --steps N (" in shell.out
    assert "MB, replay memory included)" in shell.out
    shell = tune("train", "--continue", "run", "--steps", "900")
    assert "Going on from step 600 to 900." in shell.err
    assert "step 400/900" not in shell.err, "what is known is not told again"
    assert "step 800/900" in shell.err
    assert load_model(Path("run")).spec.grid == (200, 400, 600, 800, 900)


def test_another_folder_leaves_the_first_as_it_is(short):
    before = {path.name: path.read_bytes() for path in short.iterdir()}
    train("--continue", "run", "--steps", "800", "-o", "longer", "--quiet")
    assert {path.name: path.read_bytes() for path in short.iterdir()} == before
    assert load_model(Path("longer")).spec.n_timesteps == 800
    train("--continue", "longer", "--steps", "1000", "--quiet")
    train("--continue", "run", "--steps", "1000", "-o", "at-once", "--quiet")
    assert_same_weights("longer", "at-once")


def test_schedules_stay_shares_of_what_was_first_asked_for_unless_they_are_set_anew(short):
    train("--continue", "run", "--steps", "1200", "-o", "kept", "--quiet")
    spec = load_model(Path("kept")).spec
    assert (spec.n_timesteps, spec.schedules_over) == (1200, 600)
    assert "n_timesteps: 1200" in Path("kept/config.yaml").read_text()
    assert log("kept")["updates"]["epsilon"][-1] == spec.hyperparameters.exploration_final_eps
    train("--continue", "run", "--steps", "1200", "--set", "exploration_fraction=1", "-o", "anew", "--quiet")
    spec = load_model(Path("anew")).spec
    assert (spec.schedules_over, spec.hyperparameters.exploration_fraction) == (1200, 1.0)
    assert log("anew")["updates"]["epsilon"][-1] == pytest.approx(0.05)
    assert log("anew")["updates"]["epsilon"][-50] > 0.06


def test_what_the_memory_does_not_hold_may_change(short):
    train("--continue", "run", "--steps", "800", "--set", "learning_rate=0.01", "-o", "fast", "--quiet")
    train("--continue", "run", "--steps", "800", "-o", "same", "--quiet")
    assert load_model(Path("fast")).spec.hyperparameters.learning_rate == 0.01
    assert any((weights("same")[key] != array).any() for key, array in weights("fast").items())


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), ["600 of 600", "--steps N"]),
        (("--steps", "500"), ["--steps N", "above 600"]),
        (("--steps", "900", "--set", "gamma=0.9"), ["--set gamma", "keeps it", "learning_rate"]),
        (("--steps", "900", "--set", "net_arch=8"), ["--set net_arch"]),
        (("--steps", "900", "--set", "gama=0.9"), ["gama"]),
        (("--steps", "900", "--set", "learning_rate_schedule=linear"), ["0 from step 600 on", "exploration_fraction"]),
        (("--steps", "900", "--env", "Acrobot-v1"), ["--env does not go with --continue"]),
        (("--steps", "900", "--seed", "3"), ["--seed does not go with --continue"]),
        (("--steps", "900", "--config", "best.yaml"), ["--config does not go with --continue"]),
        (("--steps", "900", "-o", "run/model.json"), ["-o"]),
    ],
)
def test_bad_input_changes_nothing(short, arguments, words):
    before = {path.name: path.read_bytes() for path in short.iterdir()}
    assert_refused(tune("train", "--continue", "run", *arguments), words)
    assert {path.name: path.read_bytes() for path in short.iterdir()} == before


def assert_refused(shell, words):
    assert (shell.code, shell.out) == (2, "")
    assert shell.err.splitlines()[-1].startswith("tune: error: ")
    assert "Traceback" not in shell.err
    for word in words:
        assert word in shell.err.splitlines()[-1]


def test_a_folder_without_a_state_is_refused(in_tmp):
    assert_refused(tune("train", "--continue", "nowhere", "--steps", "9"), ["nowhere has no checkpoint.npz"])
    train(*WHOLE, "--steps", "200", "--evaluations", "1", "--backend", "sb3", "-o", "sb3")
    assert not Path("sb3", CHECKPOINT).exists()
    assert_refused(tune("train", "--continue", "sb3", "--steps", "900"), ["sb3 has no checkpoint.npz", "Baselines3"])


@pytest.mark.parametrize("model", ["q_learning", "images"])
def test_a_model_of_version_0_1_0_has_no_state(in_tmp, model):
    old = Path(__file__).parents[1] / "data" / "v0_1_0" / "models" / model
    assert_refused(tune("train", "--continue", str(old), "--steps", "900000"), ["has no checkpoint.npz to go on from"])


@pytest.mark.parametrize("kept", [0, 100, -100])
def test_a_damaged_state_is_refused(short, kept):
    path = short / CHECKPOINT
    path.write_bytes(path.read_bytes()[:kept])
    assert_refused(tune("train", "--continue", "run", "--steps", "900"), ["checkpoint.npz cannot be gone on from"])


def test_a_training_of_another_backend_leaves_no_older_state_behind(short):
    train(*WHOLE, "--steps", "200", "--evaluations", "1", "--backend", "sb3", "-o", "run")
    assert not (short / CHECKPOINT).exists()


RANDOM_ENV = """\
import gymnasium
import numpy as np


class Restless(gymnasium.Env):
    observation_space = gymnasium.spaces.Box(-1, 1, (2,))
    action_space = gymnasium.spaces.Discrete(2)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return np.random.default_rng().uniform(-1, 1, 2).astype(np.float32), {}

    def step(self, action):
        return np.random.default_rng().uniform(-1, 1, 2).astype(np.float32), 1.0, False, False, {}


gymnasium.register("Restless-v0", entry_point=Restless, max_episode_steps=20)
"""


def test_an_environment_that_does_not_repeat_itself_is_refused_and_nothing_is_lost(in_tmp):
    Path("restless.py").write_text(RANDOM_ENV)
    env = ("--env-module", "restless.py", "--env", "Restless-v0")
    train(*env, *LEARNS, "--steps", "200", "--evaluations", "2", "--eval-episodes", "1", "-o", "run", "--quiet")
    before = {path.name: path.read_bytes() for path in Path("run").iterdir()}
    again = ("train", "--continue", "run", "--steps", "400")
    assert_refused(tune(*again), ["importing that runs its code", "--env-module"])
    assert_refused(tune(*again, "--env-module", "restless.py"), ["does not come to the same place"])
    assert {path.name: path.read_bytes() for path in Path("run").iterdir()} == before


def test_what_reached_the_threshold_goes_on_and_ends_there_again(in_tmp):
    easy = ("--env-module", str(EASY))
    train(*easy, "--env", "Easy-v0", "--steps", "600", "--evaluations", "3", "--until-solved", "-o", "run", "--quiet")
    assert load_checkpoint(Path("run")).step == 200
    train(*easy, "--continue", "run", "--until-solved", "--quiet")
    assert [point.step for point in load_model(Path("run")).evaluations] == [200, 400]
    train(*easy, "--continue", "run", "--quiet")
    assert [point.step for point in load_model(Path("run")).evaluations] == [200, 400, 600]


def test_a_killed_training_goes_on_without_a_model(in_tmp, monkeypatch):
    """The state stands for itself: it is written while training, the model at the end."""
    train(*WHOLE, "--steps", "600", "--evaluations", "3", "-o", "one")
    train(*WHOLE, "--steps", "400", "--evaluations", "2", "-o", "two")
    for path in Path("two").iterdir():
        if path.name != CHECKPOINT:
            path.unlink()
    train("--continue", "two", "--steps", "600", "--quiet")
    assert [p.step for p in load_model(Path("two")).evaluations] == [200, 400, 600]


def test_a_state_that_is_too_large_is_not_kept_and_that_is_said(in_tmp, monkeypatch):
    from tuner.training.saved import checkpoint

    monkeypatch.setattr(checkpoint, "MAX_BYTES", 10_000)
    shell = train(*WHOLE, "--steps", "200", "--evaluations", "1", "-o", "run")
    assert "--continue cannot go on" in shell.err
    assert "--continue" not in shell.out
    assert not Path("run", CHECKPOINT).exists()
