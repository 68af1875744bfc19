"""An environment that ends its process ends no command without a word, and moves no file of it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tuner.cli.app import main
from tuner.surroundings import Surroundings

ENVIRONMENT = """\
import os, sys, gymnasium
from gymnasium.spaces import Discrete
class E(gymnasium.Env):
    observation_space = Discrete(4); action_space = Discrete(2)
    def __init__(self):
        os.makedirs("assets", exist_ok=True); os.chdir("assets"); os.umask(0o777); self.steps = 0
        sys.stdout = sys.stderr = None
    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed); return 0, {{}}
    def step(self, action):
        self.steps += 1
        if self.steps > 150: {how}
        return 0, 1.0, self.steps % 10 == 0, False, {{}}
gymnasium.register("E-v0", E)
"""


def tune(*arguments):
    return subprocess.run([sys.executable, "-m", "tuner", *arguments], capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ("os._exit(0)", "exit status 0"),
        ("sys.exit(0)", "exit status 0"),
        ("os.kill(os.getpid(), 11)", "signal 11"),
    ],
)
def test_an_environment_that_ends_its_process_is_one_line_and_no_success(in_tmp, how, words):
    (in_tmp / "e.py").write_text(ENVIRONMENT.format(how=how))
    done = tune("train", "--env", "E-v0", "--env-module", "e.py", "--algo", "q_learning", "--steps", "400", "--quiet")
    assert done.returncode in (2, 3)
    assert done.stderr.startswith("tune: error: ") and done.stderr.count("\n") == 1, done.stderr
    assert words in done.stderr


def test_sigterm_ends_a_training_as_ctrl_c_does_and_leaves_its_model(in_tmp):
    told = "self.steps == 151 and 'tuner' in sys.argv[0] and (os.kill(os.getppid(), 15), time.sleep(60))"
    text = ENVIRONMENT.format(how=told).replace("import os,", "import time, os,")
    (in_tmp / "e.py").write_text(text.replace("sys.stdout = sys.stderr = None", "pass"))
    done = tune("train", "--env", "E-v0", "--env-module", "e.py", "--algo", "q_learning", "--steps", "400", "-o", "m")
    assert done.returncode == 130, done.stderr
    assert "Interrupted: the model is that of step" in done.stdout and (in_tmp / "m" / "model.json").exists()


DEAF = """
def deaf():
    for _ in range(2):
        try:
            os.kill(os.getppid(), 15); time.sleep(600)
        except KeyboardInterrupt:
            pass
    time.sleep(600)
"""


def test_a_second_signal_ends_a_training_whose_environment_hears_none(in_tmp):
    text = ENVIRONMENT.format(how="deaf()").replace("import os,", "import time, os,")
    (in_tmp / "e.py").write_text(DEAF + text.replace("sys.stdout = sys.stderr = None", "pass"))
    done = tune("train", "--env", "E-v0", "--env-module", "e.py", "--algo", "q_learning", "--steps", "400", "--quiet")
    assert (done.returncode, done.stderr) == (130, "tune: interrupted\n")


@pytest.mark.slow
def test_what_an_environment_prints_is_no_part_of_the_answer(in_tmp):
    text = ENVIRONMENT.format(how="pass").replace("sys.stdout = sys.stderr = None", "print('chatter')")
    (in_tmp / "e.py").write_text(text)
    short = ["--steps", "100", "--evaluations", "1", "--eval-episodes", "1", "-o", "m"]
    trained = tune("train", "--env", "E-v0", "--env-module", "e.py", "--algo", "q_learning", *short)
    played = tune("evaluate", "m", "--env-module", str(in_tmp / "e.py"), "--episodes", "2")
    for done, word in ((trained, "tune evaluate"), (played, "mean return")):
        assert done.returncode == 0, done.stderr
        assert "chatter" not in done.stdout and word in done.stdout and "chatter" in done.stderr


def test_help_is_an_answer(in_tmp):
    for words in (["--help"], ["train", "--help"], ["--version"]):
        done = tune(*words)
        assert done.returncode == 0 and "tune" in done.stdout and not done.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    "command",
    [
        ["--trials", "1", "--confirm", "0", "--study", "s", "--executor", "inline"],
        ["--trials", "1", "--confirm", "0", "--study", "s", "--workers", "1"],
        ["--trials", "1", "--dry-run", "--executor", "inline"],
        ["train"],
    ],
    ids=["inline", "workers", "dry-run", "train"],
)
def test_a_thread_of_an_environment_does_not_keep_a_command_alive(in_tmp, command):
    start = "threading.Thread(target=time.sleep, args=(3000,)).start()"
    text = ENVIRONMENT.format(how="pass").replace("import os,", "import threading, time, os,")
    (in_tmp / "e.py").write_text(text.replace("sys.stdout = sys.stderr = None", start))
    rest = ["--env", "E-v0", "--env-module", "e.py", "--algo", "q_learning", "--steps", "200", "--evaluations", "2"]
    words = [*command, *rest, "--eval-episodes", "1"]
    done = subprocess.run(
        [sys.executable, "-m", "tuner", *words], capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stderr
    assert ("runs in this very process" in done.stdout + done.stderr) == ("inline" in command)


def test_a_working_folder_that_was_removed_is_one_line(in_tmp, monkeypatch, capsys):
    (in_tmp / "gone").mkdir()
    monkeypatch.chdir(in_tmp / "gone")
    (in_tmp / "gone").rmdir()
    with Surroundings.kept():  # nobody gets back into it
        os.chdir(in_tmp)
    monkeypatch.setattr("tuner.cli.app._run", lambda arguments: Path("here").absolute())
    os.mkdir(in_tmp / "gone")
    os.chdir(in_tmp / "gone")
    (in_tmp / "gone").rmdir()
    assert main(["list"]) == 2
    assert capsys.readouterr().err == (
        "tune: error: No such file or directory. The folder that tune is run in has been removed. Run it in one that "
        "is there.\n"
    )


@pytest.mark.parametrize(("algorithm", "last"), [("q_learning", "training.html"), ("dqn", "model.zip")])
def test_an_environment_that_moves_to_another_folder_moves_no_training(in_tmp, algorithm, last):
    (in_tmp / "e.py").write_text(ENVIRONMENT.format(how="pass").replace("sys.stdout = sys.stderr = None", "pass"))
    named = ["--env-module", "e.py"]
    train = ["train", "--env", "E-v0", *named, "--algo", algorithm, "--steps", "60", "--evaluations", "2", "-o", "m"]
    assert main([*train, "--eval-episodes", "1", "--quiet"]) == 0
    assert (in_tmp / "m" / last).exists()
    assert main(["publish", "m", *named, "--episodes", "2", "-o", "hub"]) == 0
    assert (in_tmp / "hub" / "README.md").exists() and Path.cwd() == in_tmp


@pytest.mark.slow
def test_an_environment_that_moves_to_another_folder_moves_no_study(in_tmp):
    (in_tmp / "e.py").write_text(ENVIRONMENT.format(how="pass"))
    done = tune(
        "--env", "E-v0", "--env-module", "e.py", "--algo", "q_learning", "--trials", "2", "--steps", "200",
        "--study", "s", "--evaluations", "2", "--eval-episodes", "1", "--confirm", "0", "--executor", "inline",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert (in_tmp / "reports" / "s" / "index.html").stat().st_mode & 0o400
    assert (in_tmp / "studies" / "tuner.db").exists()
    assert "Report: reports/s/index.html" in done.stdout
