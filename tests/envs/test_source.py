"""A study notices when the files that its environment comes from have changed."""

import pytest

from tuner.envs.source import source_digest
from tuner.envs.spec import EnvSpec


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "physics.py").write_text("GRAVITY = 9.8")
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts" / "__init__.py").write_text("")
    (tmp_path / "parts" / "wheel.py").write_text("from . import spoke")
    (tmp_path / "parts" / "spoke.py").write_text("")
    (tmp_path / "lazy.py").write_text("")
    (tmp_path / "other.py").write_text("")
    (tmp_path / "car.py").write_text(
        "import os, numpy\nfrom physics import GRAVITY\nimport parts.wheel\nPOINT = 'lazy:Env'"
    )
    return tmp_path


SPECS = (EnvSpec("Car-v0", module="car.py"), EnvSpec("Car-v0", module="car"), EnvSpec("car:Car-v0"))


@pytest.mark.parametrize("spec", SPECS, ids=str)
@pytest.mark.parametrize(
    "name", ["car.py", "physics.py", "parts/__init__.py", "parts/wheel.py", "parts/spoke.py", "lazy.py"]
)
def test_a_change_of_any_file_that_the_environment_imports_is_seen(folder, spec, name):
    before = source_digest(spec)
    assert before is not None
    (folder / name).write_text((folder / name).read_text() + "\nX = 1")
    assert source_digest(spec) != before


def test_other_files_and_environments_without_a_module_do_not_count(folder):
    before = source_digest(SPECS[0])
    (folder / "other.py").write_text("X = 1")
    assert source_digest(SPECS[0]) == before
    assert source_digest(EnvSpec("CartPole-v1")) is None
    assert source_digest(EnvSpec("ale_py:ALE/Pong-v5")) is None
    assert source_digest(EnvSpec("X-v0", module="nowhere.py")) is None


def test_the_files_are_read_and_never_run(folder):
    (folder / "car.py").write_text("open('RAN', 'w')")
    assert source_digest(SPECS[0]) is not None
    assert not (folder / "RAN").exists()
