"""The compiled update is compiled once, anew where any of its files has changed, and not by two at a time."""

import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from tuner.agents.dqn import compiling as module
from tuner.agents.dqn import kernels
from tuner.agents.dqn.compiling import COMPILED, compiling, sources
from tuner.agents.dqn.stack import DQNStack
from tuner.envs.encoders import BoxEncoder
from tuner.hyperparameters import DQNHyperparameters

KIND = "vectors_float32"
KEPT = ("other.f-1.py311.nbi", "note.txt")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "cache_folder", lambda: tmp_path)
    for name in (*KEPT, *(f"{name}.f-1.py311.{end}" for name in COMPILED for end in ("nbi", "1.nbc"))):
        (tmp_path / name).touch()
    return tmp_path


def stale(folder):
    return [p.name for p in folder.glob("*.nb[ic]") if p.name.split(".")[0] in COMPILED]


def test_a_cold_cache_is_said_once_and_what_was_compiled_from_other_files_goes(folder, capsys):
    with compiling(KIND):
        assert stale(folder) == []
    assert capsys.readouterr().err.count("Compiling") == 1
    assert all((folder / name).exists() for name in KEPT)
    (folder / "kernels.f-1.py311.nbi").touch()
    with compiling(KIND):
        assert stale(folder) == ["kernels.f-1.py311.nbi"]
    assert capsys.readouterr().err == ""


def test_a_change_in_any_of_the_files_compiles_anew(folder, capsys, monkeypatch):
    with compiling(KIND):
        pass
    monkeypatch.setattr(module, "sources", lambda: "changed")
    with compiling(KIND):
        pass
    assert capsys.readouterr().err.count("Compiling") == 2


@pytest.mark.parametrize("name", COMPILED)
def test_every_compiled_file_counts(name, tmp_path):
    here = Path(module.__file__).parent
    for each in COMPILED:
        shutil.copy(here / f"{each}.py", tmp_path)
    assert sources(tmp_path) == sources()
    with (tmp_path / f"{name}.py").open("a") as file:
        file.write("# more")
    assert sources(tmp_path) != sources()


def test_all_files_that_numba_compiles_are_among_them():
    here = Path(module.__file__).parent
    marked = re.compile(r"^ *@(njit|inner|intrinsic)\b", re.MULTILINE)
    assert {path.stem for path in here.glob("*.py") if marked.search(path.read_text())} == set(COMPILED)


def test_what_failed_to_compile_is_compiled_again(folder, capsys):
    with pytest.raises(RuntimeError), compiling(KIND):
        raise RuntimeError("no compiler")
    with compiling(KIND):
        pass
    assert capsys.readouterr().err.count("Compiling") == 2


def test_another_kind_is_compiled_beside_the_first_and_goes_with_it(folder, capsys, monkeypatch):
    with compiling(KIND):
        (folder / "kernels.f-1.py311.nbi").touch()
    with compiling("images_float32"):
        assert stale(folder) == ["kernels.f-1.py311.nbi"]
    with compiling(KIND):
        pass
    assert capsys.readouterr().err.count("Compiling") == 2
    monkeypatch.setattr(module, "sources", lambda: "changed")
    with compiling(KIND):
        assert stale(folder) == []
    with compiling("images_float32"):
        pass
    assert capsys.readouterr().err.count("Compiling") == 2


def test_acting_compiles_nothing_anew_however_its_inputs_lie_in_memory():
    stack = DQNStack(BoxEncoder(3), 2, DQNHyperparameters(net_arch=(8,)), lanes=4, capacity=10, numeric_path="compiled")
    compiled = list(kernels.outputs.signatures)
    steps = np.ones((4, 5, 4), np.float32)
    acting = stack._acting
    for lanes in (slice(0, 1), slice(1, 4)):
        one_step = acting.outputs(lanes, steps[lanes, 2])
        np.testing.assert_array_equal(one_step, acting.outputs(lanes, steps[lanes, 2].copy()))
    acting.frozen(stack.averaging.networks([0, 3]))(steps[::3, ::2, :3].astype(np.float64))
    assert list(kernels.outputs.signatures) == compiled
