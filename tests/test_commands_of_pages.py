"""Every command in a fenced block of a page is run by a test, or a comment above the block says why it is not."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from cli.cli_shell import tune
from cli.short_commands import shortened

from tuner.cli import forecast_lines

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(ROOT.glob("docs/**/*.md")),
         *sorted(ROOT.glob("benchmarks/**/*.md"))]  # fmt: skip

#: How a command line begins; what else stands in blocks is output, code or a file.
COMMAND = re.compile(r"(\.venv\S*/)?(tune|tune-dqn|python3?|pip|make|git|export)\s")

#: Pages and named blocks of which another test runs every command.
RUN_BY = {
    "docs/guide.md": "tests/test_guide.py::test_the_guide_s_commands_run_in_order",
    "README.md command: main": "tests/test_docs.py::test_the_main_command_installs_and_runs_what_is_promised",
    "README.md command: test": "tests/test_docs.py::test_continuous_integration_runs_the_test_command_of_the_readme",
}


class Block(NamedTuple):
    """Commands in a fenced block, and the comment right above it."""

    page: str
    line: int
    comment: str
    commands: list[str]


def blocks() -> Iterator[Block]:
    for path in PAGES:
        page, text = path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8")
        for found in re.finditer(r"(?:^<!-- ((?:(?!-->).)*?) -->\n)?^ *```(\w*)\n(.*?)^ *```", text, re.M | re.S):
            commands = [line.strip() for line in found[3].splitlines() if COMMAND.match(line.strip())]
            if commands and found[2] not in ("python", "yaml", "json"):
                yield Block(page, text[: found.start(3)].count("\n"), found[1] or "", commands)


BLOCKS = list(blocks())
SMALL = [block for block in BLOCKS if block.comment.startswith("run: small")]


def is_a_test(name):
    """Whether ``path::function`` is there."""
    path, _, function = name.partition("::")
    return f"def {function}(" in (ROOT / path).read_text(encoding="utf-8")


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: f"{block.page}:{block.line}")
def test_every_block_of_commands_is_run_or_says_why_not(block):
    kind, _, rest = block.comment.partition(": ")
    there = RUN_BY.get(block.page) or RUN_BY.get(f"{block.page} {block.comment}")
    if there is not None:
        assert is_a_test(there)
    elif kind == "run by":
        assert all(map(is_a_test, rest.split()))
    elif kind == "commands":  # of the page that has a test of its own
        assert block.page == "docs/coming-from.md"
        assert f'lines("{rest}")' in (ROOT / "tests" / "test_coming_from.py").read_text(encoding="utf-8")
    else:
        assert block in SMALL or (kind == "not run" and rest), f"{block.page}:{block.line} has no word on its commands"


def prepare(page):
    """Write the files that a page's commands are about."""
    if page == "docs/search-spaces.md":
        text = (ROOT / page).read_text(encoding="utf-8")
        Path("grid.yaml").write_text(re.search(r"<!-- example: grid -->\n```yaml\n(.*?)```", text, re.S).group(1))
    if page == "docs/environments.md":
        Path("warehouse").mkdir()
        Path("warehouse/__init__.py").write_text(
            "import gymnasium\n"
            'gymnasium.register("warehouse/Depot-v0", entry_point="warehouse.depot:Depot", max_episode_steps=40)\n'
        )
        easy = (ROOT / "tests" / "data" / "easy.py").read_text(encoding="utf-8")
        Path("warehouse/depot.py").write_text(easy.partition("gymnasium.register(")[0].replace("Easy", "Depot"))


@pytest.mark.slow
@pytest.mark.parametrize("block", SMALL, ids=lambda block: f"{block.page}:{block.line}")
def test_commands_run_with_a_small_budget(block, in_tmp, pages_of_one_figure, monkeypatch):
    """The flags that make them small, and those that the comment adds; ``not WORDS`` leaves out a line with them."""
    monkeypatch.setattr(forecast_lines, "cost_facts", lambda plan, need: {})  # timed training takes seconds
    prepare(block.page)
    flags, _, left_out = block.comment.removeprefix("run: small").partition("; not ")
    for line in block.commands:
        if left_out and left_out in line:
            continue
        words = shlex.split(line, comments=True)[1:]
        more = f"--trials 2 {flags}" if words[0].startswith("-") and "--dry-run" not in words else ""
        shell = tune(*shortened(words), *shlex.split(more))
        assert shell.code == 0, (line, shell.err)
