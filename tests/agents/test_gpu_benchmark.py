"""The script that measures training on a GPU: its sides on the CPU, and its table."""

import argparse
import importlib.util
import json
import sys
from pathlib import Path

import pytest

from tuner.agents.dqn import captured
from tuner.agents.dqn.captured import CALLS_BEFORE, TrainingCalls

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
SMALL = {"learning_starts": 16, "batch_size": 4, "train_freq": 16, "gradient_steps": 2, "buffer_size": 100}


@pytest.fixture
def gpu(monkeypatch):
    """The script, which imports what lies beside it, with runs of few steps."""
    monkeypatch.setattr(sys, "path", [str(BENCHMARKS), *sys.path])
    monkeypatch.delitem(sys.modules, "engine", raising=False)
    spec = importlib.util.spec_from_file_location("gpu", BENCHMARKS / "gpu.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "ZOO", {**module.ZOO, **SMALL})
    monkeypatch.setattr(captured, "CALLS_BEFORE", captured.CALLS_BEFORE)  # put back after the eager side
    yield module
    sys.modules.pop("engine", None)


def test_both_sides_of_a_row_train_whole_calls_and_one_of_them_captures_none(gpu, monkeypatch):
    groups, lanes_seen = [], set()
    whole = TrainingCalls.__call__

    def noted(self, lanes, batches, numbers):
        lanes_seen.add((lanes.start, lanes.stop))
        groups.append(captured.CALLS_BEFORE)
        return whole(self, lanes, batches, numbers)

    monkeypatch.setattr(TrainingCalls, "__call__", noted)
    for side in ("graph", "eager"):
        groups.clear()
        found = gpu.figures(side, "3", 8, 32, 80, "cpu")
        assert found["rate"] > 0 and found["step_us"] > 0
        assert found["launches"] is found["memory"] is None
        assert lanes_seen == {(0, 3)}
        assert set(groups) == {sys.maxsize if side == "eager" else CALLS_BEFORE}
        assert len(groups) == 3 + 9  # at steps 32, 48 and 64 of the run; then those that are timed


def test_rows_are_lanes_of_cartpole_or_one_of_frames(gpu):
    env, values, lanes = gpu.task("128", 64)
    assert (env, values["net_arch"], lanes) == ("CartPole-v1", (64, 64), 128)
    env, values, lanes = gpu.task("atari", 64)
    assert (values["cnn"], values["net_arch"], lanes) == ("nature", (), 1)


def test_sides_take_turns_and_the_table_has_medians_spreads_and_ratios_of_pairs(gpu, monkeypatch, capsys):
    rates = {"graph": iter((100.0, 300.0, 200.0, 9.0)), "eager": iter((50.0, 100.0, 200.0)), "other": iter((25.0,) * 4)}
    turns = []

    def measure(python, side, row, options):
        turns.append((row, side, python))
        return {"rate": next(rates[side]), "step_us": 40.0, "launches": 0.25, "memory": None}

    monkeypatch.setattr(gpu, "measure", measure)
    gpu.main(["--rows", "16", "--device", "cpu", "--other", "elsewhere"])
    assert [side for _, side, _ in turns] == ["graph", "eager", "other"] * 3
    assert {python for _, side, python in turns if side == "other"} == {"elsewhere"}
    lines = capsys.readouterr().out.splitlines()[-3:]
    assert lines == [
        "| 16 | graph | 200 (100 to 300) | 40 us (40 to 40) | 25% (25% to 25%) | - | 1 |",
        "| 16 | eager | 100 (50 to 200) | 40 us (40 to 40) | 25% (25% to 25%) | - | 2.00 (1.00 to 3.00) |",
        "| 16 | other | 25 (25 to 25) | 40 us (40 to 40) | 25% (25% to 25%) | - | 8.00 (4.00 to 12.00) |",
    ]
    turns.clear()
    gpu.main(["--rows", "atari", "--pairs", "1", "--device", "cpu", "--other", "elsewhere"])
    assert [side for _, side, _ in turns] == ["graph", "other"]


def test_a_side_is_measured_in_a_process_of_its_own(gpu, monkeypatch):
    said = {}

    def run(command, **kwargs):
        said.update(command=command, threads=kwargs["env"]["OMP_NUM_THREADS"])
        return argparse.Namespace(stdout="a word\n" + json.dumps({"rate": 3.0}) + "\n")

    monkeypatch.setattr(gpu.subprocess, "run", run)
    options = argparse.Namespace(width=64, steps=4000, device="cuda")
    assert gpu.measure("elsewhere", "other", "1", options) == {"rate": 3.0}
    assert said["threads"] == "1"
    assert said["command"][0] == "elsewhere"
    assert said["command"][2:5] == ["--child", "other", "1"]
