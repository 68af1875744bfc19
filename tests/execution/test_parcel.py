"""What travels to other machines: the user's own code, all of it and nothing else."""

from __future__ import annotations

import pytest

from tuner.errors import InputError
from tuner.execution import parcel
from tuner.execution.parcel import pack


@pytest.fixture
def home(tmp_path):
    """A user's folder with code, a package with data, and things that are nobody's business."""
    folder = tmp_path / "home"
    package = folder / "mazes"
    (package / "levels").mkdir(parents=True)
    (package / "__pycache__").mkdir()
    for name in ("my_env.py", "rewards.py", "mazes/__init__.py", "mazes/levels/one.txt", "mazes/__pycache__/x.pyc"):
        (folder / name).write_text(f"# {name}\n")
    (folder / "studies").mkdir()
    for name in ("studies/tuner.db", "id_rsa", "notes.txt", ".secret.py"):
        (folder / name).write_text("private")
    return folder


@pytest.fixture
def into(tmp_path):
    folder = tmp_path / "into"
    folder.mkdir()
    return folder


def files(folder):
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())


CODE = ["mazes/__init__.py", "mazes/levels/one.txt", "my_env.py", "rewards.py"]


@pytest.mark.parametrize("module", ["my_env.py", "./my_env.py", "ABSOLUTE"])
def test_a_file_travels_with_the_code_beside_it_and_nothing_else(home, into, module):
    module = str(home / "my_env.py") if module == "ABSOLUTE" else module
    packed = pack("Maze-v0", module, into, here=home)
    assert (packed.folder, packed.module) == (into, "my_env.py")
    assert files(into) == CODE


def test_a_file_elsewhere_is_found_in_the_new_working_directory(home, into, tmp_path):
    packed = pack("Maze-v0", "../home/my_env.py", into, here=into)
    assert packed.module == "my_env.py"
    assert (into / "my_env.py").read_text() == "# my_env.py\n"


@pytest.mark.parametrize(
    ("env_id", "module"), [("my_env:Maze-v0", None), ("mazes.sub:Maze-v0", None), ("Maze-v0", "mazes")]
)
def test_a_module_of_the_working_directory_travels_under_its_name(home, into, env_id, module):
    packed = pack(env_id, module, into, here=home)
    assert (packed.folder, packed.module) == (into, module)
    assert files(into) == CODE


@pytest.mark.parametrize(
    ("env_id", "module"), [("CartPole-v1", None), ("ale_py:ALE/Pong-v5", None), ("X-v0", "minatar")]
)
def test_installed_environments_need_no_code(home, into, env_id, module):
    packed = pack(env_id, module, into, here=home)
    assert (packed.folder, packed.module) == (None, module)
    assert files(into) == []


def test_the_users_own_wrappers_travel_and_installed_ones_need_no_code(home, into):
    installed, own = "gymnasium.wrappers.ClipReward", 'rewards.Halved:{"by": 2}'
    assert pack("CartPole-v1", None, into, wrapper=(installed,), here=home).folder is None
    assert pack("CartPole-v1", None, into, wrapper=(installed, own), here=home).folder == into
    assert files(into) == CODE


def test_a_folder_of_large_packages_is_refused_in_one_line(home, into, monkeypatch):
    monkeypatch.setattr(parcel, "MAX_BYTES", 20)
    with pytest.raises(InputError, match=r"cannot be sent to the cluster: it is larger than .* folder of its own"):
        pack("Maze-v0", "my_env.py", into, here=home)
