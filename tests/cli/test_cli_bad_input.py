"""Bad input gives one clear line on stderr and exit code 2, and leaves nothing behind."""

import re
import subprocess
import sys

import pytest
from cli_shell import tune

import tuner
from tuner.cli.app import build_parser
from tuner.errors import UnusableEnvironmentError

SPACE = """\
algorithm: dqn
budget: {{n_timesteps: 1000}}
search:
  {line}
"""


def refused(folder, *arguments, words=()):
    """Assert that a command is refused as every bad input is; return its line."""
    before = {p: p.stat().st_mtime_ns for p in folder.rglob("*")}
    shell = tune(*arguments)
    assert shell.code == 2
    assert shell.out == ""
    assert shell.err.startswith("tune: error: ")
    assert shell.err.count("\n") == 1, shell.err
    assert "Traceback" not in shell.err
    for word in words:
        assert word in shell.err, shell.err
    assert {p: p.stat().st_mtime_ns for p in folder.rglob("*")} == before
    return shell.err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--env", "CartPol-v1"], ["CartPol-v1", "CartPole-v1"]),
        (["--env", "LunarLander-v2"], ["LunarLander-v3"]),
        (["--env", "Taxi-v3"], ["Taxi-v4"]),
        (["--env", "Pendulum-v1"], ["Discrete", "Pendulum-v1", "Box"]),
        (["--trials", "10"], ["--env", "CartPole-v1"]),
        (["--env", "CartPole-v1", "--trials", "0"], ["--trials", "at least 1", "0"]),
        (["--env", "CartPole-v1", "--trials", "-3"], ["--trials", "-3"]),
        (["--env", "CartPole-v1", "--trials", "ten"], ["--trials", "integer", "'ten'"]),
        (["--env", "CartPole-v1", "--trials", "1.5"], ["--trials", "1.5"]),
        (["--env", "CartPole-v1", "--trials", "[1"], ["--trials", "[1"]),
        (["--env", "CartPole-v1", "--study", "a/b"], ["--study", "a/b"]),
        (["--env", "CartPole-v1", "--study", "../up"], ["--study"]),
        (["--env", "CartPole-v1", "--study", ""], ["--study"]),
        (["--env", "CartPole-v1", "--backend", "sb4"], ["--backend", "native", "sb3"]),
        (["--env", "CartPole-v1", "--sampler", "cmaes"], ["--sampler", "tpe"]),
        (["--env", "CartPole-v1", "--timeout", "soon"], ["--timeout", "soon", "10m"]),
        (["--env", "CartPole-v1", "--steps", "5", "--evaluations", "10"], ["--evaluations", "--steps"]),
        (["--env", "CartPole-v1", "--set", "gama=0.9"], ["gama", "gamma"]),
        (["--env", "CartPole-v1", "--learning-rate", "0.1"], ["'--learning-rate'", "--set learning_rate=VALUE."]),
        (["train", "--env", "CartPole-v1", "--n-envs", "3"], ["'train'", "--n-envs", "--set n_envs=VALUE."]),
        (["--env", "CartPole-v1", "--set", "gamma=2"], ["gamma", "at most 1", "2"]),
        (["--env", "CartPole-v1", "--set", "gamma"], ["--set", "key=value"]),
        (["--env", "CartPole-v1", "--set", "gamma", "0.9"], ["--set takes key=value", "'gamma'"]),
        (["train", "--env", "CartPole-v1", "--env-arg", "a", "1"], ["--env-arg takes key=value", "'a'"]),
        (["--env", "CartPole-v1", "--lr", "0.1"], ["'--lr'", "--set learning_rate=VALUE."]),
        (["--env", "CartPole-v1", "--set", "lr=0.1"], ["'lr'", "Did you mean 'learning_rate'?"]),
        (["sweep", "--env", "CartPole-v1", "--vary", "lr=0.1,1"], ["'lr'", "Did you mean 'learning_rate'?"]),
        (["--env", "CartPole-v1", "--device", "gpu"], ["'gpu'", "Did you mean 'cuda'?"]),
        (["--env", "CartPole-v1", "--gpu"], ["'--gpu'", "Did you mean '--device'?"]),
        (["--env", "CartPole-v1", "--n-jobs", "2"], ["'--n-jobs'", "Did you mean '--workers'?"]),
        (["CartPole-v1"], ["'CartPole-v1'", "--env CartPole-v1."]),
        (["train", "ALE/Pong-v5"], ["'train'", "--env ALE/Pong-v5."]),
        (["-env", "CartPole-v1"], ["no flag '-env'", "Did you mean '--env'?"]),
        (["--env", "CartPole-v1", "-n", "100"], ["no flag '-n'"]),
        (["--env", "CartPole-v1", "--set", "net_arch=[64"], ["--set", "net_arch", "[64"]),
        (["--env", "CartPole-v1", "--env-arg", "colour=red"], ["colour"]),
        (["--env", "CartPole-v1", "--env-module", "nowhere.py"], ["nowhere.py"]),
        (["--env", "CartPole-v1", "--recipe", "nosuch"], ["--recipe", "nosuch"]),
        (["--env", "CartPole-v1", "--space", "defualt"], ["defualt", "default"]),
        (["--env", "CartPole-v1", "--backend", "sb3", "--set", "double_q=true"], ["double_q", "native"]),
        (["--env"], ["--env"]),
        (["--evn", "CartPole-v1"], ["--evn", "--env"]),
        (["--tri", "3", "--env", "CartPole-v1"], ["--tri"]),
        (["--trial", "5"], ["a search", "--trial'", "tune export", "--trials"]),
        (["--episodes", "5"], ["a search", "tune evaluate", "--eval-episodes"]),
        (["train", "--trials", "5"], ["'train'", "belongs to a search"]),
        (["lst"], ["lst", "list"]),
        (["show"], ["STUDY"]),
        (["--env", "CartPole-v1", "list"], ["--env", "list"]),
        (["list", "--trials", "3"], ["list", "--trials"]),
        (["export", "x", "--trial", "best"], ["--trial", "best"]),
        (["evaluate", "nowhere"], ["nowhere"]),
        (["train"], ["--env"]),
        (["train", "--env", "CartPole-v1", "--config", "no.yaml"], ["no.yaml"]),
        (["--env", "CartPole-v1", "--prior", "no.yaml"], ["--prior no.yaml: cannot be read", "packaged, none or"]),
        (["spaces", "nosuch"], ["nosuch"]),
        (["spaces", "--env", "CartPole-v1"], ["--env", "tune spaces default --env CartPole-v1"]),
        (["spaces", "default", "--fields"], ["--fields", "default"]),
        (["spaces", "--fields", "--env", "CartPole-v1"], ["--fields", "--env"]),
        (["publish", "pole", "--private"], ["--private", "--push USER/NAME"]),
        (["show", "nosuch"], ["tuner.db"]),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) and value[:1] != ["--"] else None,
)
def test_bad_input_is_one_line_and_writes_nothing(in_tmp, arguments, words):
    refused(in_tmp, *arguments, words=words)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("learning_rat: {type: float, low: 0.1, high: 0.2}", ["learning_rat", "learning_rate"]),
        ("learning_rate: {type: float, low: 0.1, hihg: 0.2}", ["hihg", "high"]),
        ("learning_rate: {type: float, low: 0.2, high: 0.1}", ["learning_rate", "0.2", "0.1"]),
        ("learning_rate: {type: float, low: 1e-5, high: 0.1}", ["1e-5", "1.0e-05"]),
        ("learning_rate: {type: float, low: 0.1, high: 20.0}", ["learning_rate", "20"]),
        ("learning_rate: !!python/object/apply:os.system ['touch hacked']", ["space.yaml"]),
    ],
)
def test_a_broken_space_is_one_line_and_writes_nothing(in_tmp, line, words):
    (in_tmp / "space.yaml").write_text(SPACE.format(line=line))
    refused(in_tmp, "--env", "CartPole-v1", "--space", "space.yaml", words=["space.yaml", *words])


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("tuner.db", ["sqlite:///"]),
        ("mongodb://user:s3cret@host/x", ["mongodb"]),
        ("sqlite:////proc/nowhere/x.db", ["/proc/nowhere"]),
        ("sqlite:///.", ["folder"]),
        ("sqlite:////dev/null", ["/dev/null is a device or a pipe. Name a file"]),
        ("sqlite://studies/tuner.db", ["such as sqlite:///studies/tuner.db"]),
    ],
)
def test_a_storage_that_cannot_work_is_one_line(in_tmp, url, words):
    line = refused(in_tmp, "--env", "CartPole-v1", "--storage", url, words=["--storage", *words])
    assert "s3cret" not in line


def test_two_slashes_never_read_another_file_than_is_written(in_tmp):
    (in_tmp / "x.db").write_bytes(b"")
    refused(in_tmp, "list", "--storage", "sqlite://studies/x.db", words=["sqlite:///studies/tuner.db"])


def test_a_missing_database_driver_is_named_without_the_password(in_tmp, monkeypatch):
    monkeypatch.setitem(sys.modules, "psycopg2", None)
    monkeypatch.setitem(sys.modules, "psycopg", None)
    url = "postgresql://user:s3cret@localhost/x"
    line = refused(in_tmp, "--env", "CartPole-v1", "--storage", url, words=["pip install", "psycopg"])
    assert "s3cret" not in line


def test_a_report_folder_that_cannot_be_used_is_one_line(in_tmp):
    (in_tmp / "taken").write_text("a file")
    refused(in_tmp, "--env", "CartPole-v1", "--report-dir", "taken/reports", words=["--report-dir", "taken"])


@pytest.mark.parametrize("user", ["user:s3cret", "me@corp:s3cret", "user:my s3cret"])
@pytest.mark.parametrize("arguments", [["zz"], ["--set", "a"], ["--storage"], ["list", "extra"]])
def test_no_error_repeats_a_password(in_tmp, user, arguments):
    line = refused(in_tmp, "--storage", f"postgresql://{user}@host/x", *arguments)
    assert "s3cret" not in line


def test_a_password_in_the_environment_is_not_printed(in_tmp, monkeypatch):
    monkeypatch.setenv("TUNE_STORAGE", "mongodb://user:s3cret@host/x")
    assert "s3cret" not in refused(in_tmp, "list", words=["mongodb"])


def test_control_characters_do_not_reach_the_terminal(in_tmp):
    line = refused(in_tmp, "--env", "Cart\x1b[31mPole\n-v1")
    assert "\x1b" not in line


def test_no_arguments_print_ten_lines_and_exit_2(in_tmp):
    shell = tune()
    assert shell.code == 2
    assert shell.out == ""
    assert shell.err.count("\n") <= 10
    commands = [line.strip() for line in shell.err.splitlines() if line.startswith("  tune ")]
    assert len(commands) >= 4
    for line in commands:  # they are ones
        build_parser().parse_args(re.split(r" {2,}|;", line)[0].split()[1:])


def test_a_process_exits_2_with_one_line(in_tmp):
    done = subprocess.run(
        [sys.executable, "-m", "tuner", "--env", "CartPol-v1"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1
    assert list(in_tmp.iterdir()) == []


BEYOND = "1" + "0" * 400


@pytest.mark.parametrize("number", [BEYOND, "9" * 5000, "0x" + "f" * 5000, "2024-13-45", "[" * 5000 + "]" * 5000])
def test_a_number_beyond_all_bounds_is_one_line(in_tmp, number):
    (in_tmp / "recipe.yaml").write_text(f"env: CartPole-v1\ntrials: {number}\n")
    (in_tmp / "space.yaml").write_text(SPACE.format(line=f"gamma: {{low: {number}, high: 1.0}}"))
    (in_tmp / "zoo.yaml").write_text(f"CartPole-v1: {{n_timesteps: 200, policy: MlpPolicy, learning_rate: {number}}}")
    refused(in_tmp, "--recipe", "./recipe.yaml", words=["recipe.yaml"])
    refused(in_tmp, "--env", "CartPole-v1", "--space", "./space.yaml", words=["space.yaml"])
    refused(in_tmp, "train", "--env", "CartPole-v1", "--config", "zoo.yaml", words=["zoo.yaml"])
    for flag in ("--trials", "--timeout", "--confirm-budget", "--seed"):
        refused(in_tmp, "--env", "CartPole-v1", flag, number, words=[flag])
    for setting in ("gamma", "batch_size", "net_arch"):
        refused(in_tmp, "train", "--env", "CartPole-v1", "--set", f"{setting}={number}", words=[setting])


def test_an_errors_line_has_a_length_and_keeps_its_end(in_tmp):
    line = refused(in_tmp, "--env", "x" * 100_000, words=["x" * 100, "more characters"])
    assert len(line) < 2_200


WORN = """
import gymnasium, numpy as np

class Worn(gymnasium.Env):
    observation_space = gymnasium.spaces.Box(-1, 1, (2,), np.float32)
    action_space = gymnasium.spaces.Discrete(2)
    def __init__(self, lasts):
        self.left = lasts
    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return np.zeros(2, np.float32), {}
    def step(self, action):
        self.left -= 1
        if self.left < 0:
            raise ValueError("worn out")
        return np.zeros(2, np.float32), 1.0, False, False, {}

gymnasium.register("Worn-v0", Worn, max_episode_steps=200)
"""


@pytest.mark.slow
@pytest.mark.parametrize("within", [None, 60.0], ids=["looked at", "timed"])
def test_an_environment_that_breaks_is_unusable(within, in_tmp, tmp_path_factory):
    module = tmp_path_factory.mktemp("module") / "worn.py"  # importing it leaves compiled code beside it
    module.write_text(WORN)
    lasts = 0 if within is None else 100  # not at the first look: where runs are timed
    command = ("--env", "Worn-v0", "--env-module", str(module), "--env-arg", f"lasts={lasts}", "--quiet")
    refused(in_tmp, *command, *(("--within", "60s") if within else ()), words=["Worn-v0", "ValueError: worn out"])
    given = {"env_module": str(module), "env_arg": {"lasts": lasts}, "within": within, "quiet": True}
    with pytest.raises(UnusableEnvironmentError, match="worn out"):
        tuner.run(tuner.StudyRecipe(env="Worn-v0", **given))
    if within:
        shell = tune(*command, "--dry-run")  # a plan is worth reading, and no class of ours is in it
        assert shell.code == 0 and re.search(
            r"time +not known: Worn-v0: a run failed: ValueError: worn out\n", shell.out
        )


#: Longer than a file's name may be.
LONG = "x" * 300


@pytest.mark.parametrize(
    "arguments",
    [
        ["train", "--env", "CartPole-v1", "--config", "defaults", "-o", LONG],
        ["train", "--env", "CartPole-v1", "--config", LONG],
        ["train", "--continue", LONG],
        ["evaluate", LONG],
        ["record", LONG],
        ["export", "--model", LONG],
        ["publish", LONG],
        ["compare", LONG, "other.yaml"],
        ["paper", LONG],
        ["board", LONG],
        ["spaces", LONG],
        ["list", "--storage", f"sqlite:///{LONG}"],
        ["--recipe", LONG],
        ["--env", "CartPole-v1", "--space", LONG],
        ["--env", "CartPole-v1", "--report-dir", LONG],
        ["--env", "CartPole-v1", "--start-with", LONG],
        ["--env", "CartPole-v1", "--env-module", f"{LONG}.py"],
    ],
    ids=lambda arguments: " ".join(word for word in arguments if "x" * 9 not in word),
)
def test_a_name_longer_than_a_file_may_have_is_a_line(in_tmp, arguments):
    refused(in_tmp, *arguments, words=["File name too long"])


@pytest.mark.parametrize(("written", "meant"), [("'3'", "3"), ("'1_000'", "")])
def test_a_number_in_quotes_is_explained_as_what_it_is(tmp_path, monkeypatch, written, meant):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "r.yaml").write_text(f"env: CartPole-v1\ntrials: {written}\n")
    line = refused(tmp_path, "--recipe", "r.yaml", words=["--trials must be an integer of at least 1"])
    assert (f"Write it without quotes: {meant}.\n" in line) == bool(meant)


def test_a_lock_file_that_cannot_be_written_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    place = tmp_path / "studies.db.tiny.lock"
    place.mkdir()
    command = ("--env", "CartPole-v1", "--study", "tiny", "--steps", "200", "--storage", "sqlite:///studies.db")
    line = refused(tmp_path, *command, "--quiet", words=["The lock file", "studies.db.tiny.lock"])
    assert line.endswith("it lies beside the database. Choose another --storage.\n")
