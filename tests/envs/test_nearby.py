"""Environments in files of the working folder: packages by any name, and hints where nobody has imported one."""

import pytest

from tuner.envs.make import make
from tuner.envs.nearby import package_of, who_registers
from tuner.envs.source import source_digest
from tuner.envs.spec import EnvSpec
from tuner.errors import UnknownEnvironmentError

PICKER = """
import gymnasium, numpy as np

class Picker(gymnasium.Env):
    observation_space = gymnasium.spaces.Discrete(3)
    action_space = gymnasium.spaces.Discrete(2)
"""


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder with a package that imports its own parts by both kinds of import."""
    monkeypatch.chdir(tmp_path)
    package = tmp_path / f"depot_{tmp_path.name}"  # a module is imported once for each process
    package.mkdir()
    (package / "picker.py").write_text(PICKER)
    (package / "__init__.py").write_text(
        f"import gymnasium\nfrom {package.name}.picker import Picker\nfrom .picker import Picker as Same\n"
        f'gymnasium.register("{package.name}/Picker-v0", "{package.name}.picker:Picker")\n'
    )
    return package.name


@pytest.mark.parametrize("written", ["{}", "{}/__init__.py", "{}/", "./{}"])
def test_a_package_is_imported_by_its_name_its_file_or_its_folder(here, written):
    spec = EnvSpec(f"{here}/Picker-v0", module=written.format(here))
    env = make(spec)
    assert type(env.unwrapped).__module__ == f"{here}.picker"
    env.close()
    assert source_digest(spec) == source_digest(EnvSpec("x", module=here)) is not None


def test_a_file_is_no_package(here, tmp_path):
    assert package_of(tmp_path / here / "picker.py") is None
    assert package_of(tmp_path / here) == package_of(tmp_path / here / "__init__.py") == (tmp_path, here)


@pytest.mark.parametrize("asked", ["{}/Picker-v0", "Picker-v0"])
def test_an_unknown_id_names_the_package_that_speaks_of_it(here, asked):
    with pytest.raises(UnknownEnvironmentError) as error:
        make(EnvSpec(asked.format(here)))
    assert f"--env-module {here}." in str(error.value)
    assert "ALE" not in str(error.value)


def test_an_unknown_id_names_the_file_that_registers_it(tmp_path):
    (tmp_path / "other.py").write_text("import gymnasium\n")
    (tmp_path / "mine.py").write_text(
        "import gymnasium as gym\ngym.register(id='Sorter-v3', entry_point='mine:Sorter')\n"
    )
    assert who_registers("Sorter-v3", tmp_path) == "mine.py registers it: add --env-module mine.py."
    assert who_registers("Sorter-v2", tmp_path) == "mine.py registers one of that name: add --env-module mine.py."
    assert who_registers("Mixer-v0", tmp_path) == ""
