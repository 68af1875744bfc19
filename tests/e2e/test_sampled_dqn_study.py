"""A study of deep Q-learning over sampled actions, from search to replay."""

import functools
import json

import numpy as np
import pytest
import yaml

import tuner
from tuner.cli.app import main
from tuner.training.cost import timing


@pytest.mark.slow
@pytest.mark.usefixtures("pages_of_one_figure")
def test_a_study_goes_from_search_to_its_verdict_its_file_trains_and_a_trial_is_replayed(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TUNE_STORAGE", raising=False)
    command = ["--env", "Pendulum-v1", "--algo", "sampled_dqn", "--study", "swing", "--trials", "2", "--steps", "200"]
    command += ["--set", "learning_starts=50", "--set", "net_arch=16", "--set", "train_freq=8", "--evaluations", "2"]
    command += ["--eval-episodes", "1", "--executor", "inline", "--quiet"]
    with monkeypatch.context() as patch:
        patch.setattr(timing, "measure", functools.partial(timing.measure, piece_s=0.001))
        assert main([*command, "--dry-run"]) == 0
    assert "Box(3,) float32, actions of 1 number" in capsys.readouterr().out
    assert main([*command, "--confirm", "1", "--confirm-seeds", "1", "--confirm-budget", "9"]) == 0
    report = tmp_path / "reports" / "swing"
    document = json.loads((report / "report.json").read_text())
    assert document["evidence"]["winner"] and "defaults" in {c["role"] for c in document["evidence"]["contestants"]}
    exported = yaml.safe_load((report / "best.yaml").read_text())
    assert (exported["schema"], exported["algorithm"]) == ("tune/1", "sampled_dqn")
    assert main(["replay", "swing", "0"]) == 0
    action = tuner.load_agent(report / "agents" / "best").act(np.zeros(3, np.float32))
    assert action.shape == (1,) and abs(action[0]) <= 2
    train = ["train", "--algo", "sampled_dqn", "--config", str(report / "best.yaml"), "--quiet", "-o", "again"]
    assert main([*train, "--steps", "120", "--evaluations", "1"]) == 0
    assert main(["train", "--continue", "again", "--steps", "160", "--quiet"]) == 0
    assert main(["evaluate", "again", "--episodes", "1"]) == 0
