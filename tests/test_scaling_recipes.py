"""The recipes for clusters: shells and YAML that parse, and commands that this version understands."""

import re
import shlex
import subprocess
from pathlib import Path

import pytest
import yaml

from tuner.cli.app import build_parser
from tuner.cli.run_command import recipe_of

FOLDER = Path(__file__).parent.parent / "docs" / "scaling"
SHELLS = sorted(FOLDER.glob("*.sh"))
MANIFESTS = sorted(FOLDER.glob("*.yaml"))


def understood(words):
    """Parse a command as the command line does, and check every setting."""
    parsed = build_parser().parse_args(words)
    return parsed.command or recipe_of(parsed)


@pytest.mark.parametrize("path", SHELLS, ids=lambda p: p.name)
def test_shell_recipes_parse_and_give_tune_what_it_understands(path):
    subprocess.run(["bash", "-n", str(path)], check=True)
    text = path.read_text()
    commands = re.findall(r'"\$VENV/bin/tune(?:-dqn)?" "\$@"((?:[^\n&]|\\\n)*)&', text)
    (given,) = re.findall(rf"{path.name}\)? (--env [^\n)]*)", text)
    assert commands
    for command in commands:
        flags = (
            command.replace("\\\n", " ").replace("$SLURM_CPUS_PER_TASK", "16").replace("${SLURM_ARRAY_TASK_ID:-0}", "0")
        )
        recipe = understood([*shlex.split(given), *shlex.split(flags)])
        assert recipe.trials == 1000


def test_the_ray_recipes_ask_for_ray():
    for path in FOLDER.glob("*-ray.*"):
        assert "--executor ray --ray-address auto" in path.read_text()


@pytest.mark.parametrize("path", MANIFESTS, ids=lambda p: p.name)
def test_manifests_parse_and_give_tune_what_it_understands(path):
    (manifest,) = yaml.safe_load_all(path.read_text())
    spec = manifest["spec"]
    words = shlex.split(spec["entrypoint"]) if "entrypoint" in spec else None
    if words is None:
        (container,) = spec["template"]["spec"]["containers"]
        words = container["command"]
    assert words[0] in ("tune", "tune-dqn")
    assert understood(words[1:]).trials == 1000


def test_every_recipe_stands_in_the_guide():
    guide = (FOLDER.parent / "scaling.md").read_text()
    for path in (*SHELLS, *MANIFESTS):
        assert f"(scaling/{path.name})" in guide
