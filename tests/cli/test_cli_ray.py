"""``--executor ray``: what is refused before anything is written, with Ray installed or not."""

import sys

import pytest
from cli_shell import TINY, tune


@pytest.mark.parametrize("extra", [(), ("--dry-run",), ("--ray-address", "local")])
def test_without_the_extra_one_line_says_what_to_install(in_tmp, monkeypatch, extra):
    monkeypatch.setitem(sys.modules, "ray", None)  # as where it is not installed
    done = tune("--env", "CartPole-v1", *TINY, "--executor", "ray", *extra)
    assert (done.code, done.out, done.err.count("\n")) == (2, "", 1)
    assert "--executor ray needs the package 'ray'" in done.err
    assert "pip install 'tune-dqn[ray]'" in done.err
    assert list(in_tmp.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ("--ray-address", "ray://head:10001"),
            "--ray-address must be auto, local or HOST:PORT, got 'ray://head:10001'",
        ),
        (("--ray-address", "head"), "--ray-address must be auto, local or HOST:PORT, got 'head'"),
        (("--cpus-per-worker", "-1"), "--cpus-per-worker must be a number of at least 0, got -1"),
        (("--cpus-per-worker", "many"), "--cpus-per-worker must be a number of at least 0, got 'many'"),
        (("--cpus-per-worker", "0"), "must not both be 0"),
        (("--device", "cuda"), "--device cuda needs --gpus-per-worker"),
    ],
)
def test_settings_of_ray_are_checked_before_it_is_looked_for(in_tmp, arguments, message):
    done = tune("--env", "CartPole-v1", *TINY, "--executor", "ray", *arguments)
    assert (done.code, done.out, done.err.count("\n")) == (2, "", 1)
    assert message in done.err
    assert list(in_tmp.iterdir()) == []


@pytest.mark.parametrize(
    ("script", "whose"),
    [
        ("from ray.tune.cli.scripts import cli", "Ray's"),
        ("import x", "another package's"),
        ("from tuner.__main__ import main", None),
    ],
)
def test_doctor_says_when_the_command_is_not_ours(in_tmp, monkeypatch, script, whose):
    (in_tmp / "tune").write_text(f"#!python\n{script}\n")
    monkeypatch.setattr(sys, "executable", str(in_tmp / "python"))
    out = tune("doctor").out
    assert ("command tune" in out) == (whose is not None)
    assert whose is None or f"is {whose} here: say tune-dqn, or python -m tuner" in out
