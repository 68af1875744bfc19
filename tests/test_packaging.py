"""What is built is what is needed, and it works away from the checkout."""

import runpy
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel, built with the tools at hand: nothing is downloaded."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--no-index", "-q"]
    done = subprocess.run([*command, "-w", str(folder), str(ROOT)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (built,) = folder.glob("*.whl")
    return built


def names(wheel):
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def test_the_wheel_holds_every_module(wheel):
    modules = {p.relative_to(ROOT).as_posix() for p in (ROOT / "tuner").rglob("*.py")}
    assert modules <= names(wheel)


def test_the_wheel_holds_spaces_recipes_templates_and_the_typing_mark(wheel):
    inside = names(wheel)
    assert "tuner/py.typed" in inside
    for folder, inner in (("search_spaces", "tuner/search_spaces"), ("studies", "tuner/studies")):
        for path in (ROOT / folder).rglob("*.yaml"):
            assert f"{inner}/{path.relative_to(ROOT / folder).as_posix()}" in inside
    for path in (ROOT / "studies" / "library").rglob("*.*"):
        assert f"tuner/studies/library/{path.relative_to(ROOT / 'studies' / 'library').as_posix()}" in inside
    templates = ROOT / "tuner" / "report" / "templates"
    for path in templates.rglob("*.*"):
        assert path.relative_to(ROOT).as_posix() in inside


def test_the_wheel_holds_nothing_else(wheel):
    for name in names(wheel):
        top = name.split("/")[0]
        assert top == "tuner" or top.endswith(".dist-info"), name
        assert not name.endswith((".db", ".db-wal", ".db-shm", ".lock", ".pyc")), name


@pytest.mark.slow
def test_the_wheel_works_in_an_empty_folder(wheel, tmp_path):
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "site")
    (tmp_path / "empty").mkdir()
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); import tuner; assert tuner.__file__.startswith(sys.argv[1]);"
        "from tuner.space.prior import packaged_prior; assert packaged_prior('dqn') is not None;"
        "from tuner.cli import forecast_lines; forecast_lines.cost_facts = lambda plan, need: {};"  # compiles anew here
        "from tuner.cli.app import main; tabular = '--algo q_learning --env FrozenLake-v1 --trials 2 --steps 200';"
        "sys.exit(main(['spaces', 'default']) or main(['--recipe', 'smoke', '--dry-run'])"
        "or main([*tabular.split(), '--executor', 'inline', '--confirm', '0', '--study', 's'])"
        "or main(['settings']))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "site")],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path / "empty",
    )
    assert done.returncode == 0, done.stderr
    assert "learning_rate" in done.stdout
    assert (tmp_path / "empty" / "reports" / "s" / "index.html").is_file()


def test_every_extra_is_known_to_the_doctor_and_part_of_all():
    import tomllib

    from tuner.cli.doctor import EXTRAS

    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    for_users = extras.keys() - {"all", "test", "bench", "docs"}
    assert EXTRAS.keys() == for_users
    (everything,) = extras["all"]
    assert set(everything.removeprefix("tune-dqn[").removesuffix("]").split(",")) == for_users
    assert runpy.run_path(str(ROOT / ".ci" / "extras.py"))["USES"].keys() == extras.keys(), "what .ci/package uses"


def test_the_workflow_example_runs_what_continuous_integration_runs():
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "check.yml").read_text())
    commands = [step["run"] for job in workflow["jobs"].values() for step in job["steps"] if "run" in step]
    assert commands == [".ci/run", ".ci/package"]
    for command in commands:
        assert (ROOT / command).stat().st_mode & 0o111


def test_the_version_is_said_once():
    import tomllib
    from importlib import metadata

    from tuner import __version__

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project.get("version", __version__) == __version__
    assert metadata.version("tune-dqn") == __version__
