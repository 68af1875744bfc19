"""What README and pages say is true: commands parse, tables are up to date, links lead somewhere."""

import re
import runpy
import shlex
from pathlib import Path

import pytest
import yaml

from tuner.cli.app import build_parser
from tuner.hyperparameters import algorithm_class, field_infos
from tuner.space.listed import combinations
from tuner.space.parse import parse_space

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
TEXTS = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "CHANGELOG.md",
    ROOT / "SECURITY.md",
    *sorted(ROOT.glob("docs/**/*.md")),
]


def command_names():
    return list(build_parser().commands())


def block(kind, name, text=README):
    """Return the fenced block under a marker."""
    return re.search(rf"<!-- {kind}: {name} -->\n```\w*\n(.*?)```", text, re.S).group(1)


def test_the_table_of_an_algorithm_has_a_row_for_every_field_with_default_and_rule():
    fields_of = runpy.run_path(str(ROOT / "docs" / "tables.py"))["fields_of"]
    lines = fields_of("dqn").splitlines()
    assert len(lines) == len(field_infos(algorithm_class("dqn"))) + 2
    assert "| `buffer_size` | 1_000_000 | an integer of at least 1 and at most 10_000_000 | transitions |" in lines[3]
    assert all(line.count("|") == 6 for line in lines)
    assert any("`double_q` (native only) | false | true or false" in line for line in lines)
    assert "| `max_grad_norm` | null |" in fields_of("qrdqn")


def test_generated_tables_are_up_to_date():
    tables = runpy.run_path(str(ROOT / "docs" / "tables.py"))
    for name, parts in tables["PAGES"].items():
        page = (ROOT / "docs" / name).read_text(encoding="utf-8")
        assert tables["with_tables"](page, parts) == page, "run: make docs"


def test_the_public_names_are_documented_and_there():
    import tuner

    page = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    for name in set(tuner.__all__) - {"Agent", "__version__"}:
        assert f"`tuner.{name}" in page and getattr(tuner, name) is not None
    assert issubclass(tuner.errors.InputError, tuner.errors.TunerError)


@pytest.mark.parametrize(
    "line", [line for path in TEXTS for line in re.findall(r"^tune [^\n]+", path.read_text(), re.M)]
)
def test_commands_in_blocks_are_understood(line):
    words = shlex.split(line, comments=True)[1:]
    parsed = build_parser().parse_args(words)
    assert parsed.command is None or parsed.command in command_names()


def test_every_command_stands_in_the_readme():
    for name in command_names():
        assert f"`tune {name}" in README


def test_commands_in_the_text_exist():
    for path in TEXTS:
        named = re.findall(r"`tune ([a-z]+)", path.read_text(encoding="utf-8"))
        assert set(named) <= set(command_names()), path


def test_the_readme_s_first_screen_has_one_picture_the_command_and_the_figures_that_matter():
    first = README.partition("\n## ")[0]
    assert first.count("\n![") == 1 and README.count("\n![") == 1
    assert "tune --env CartPole-v1" in first and first.count("`python benchmarks/") >= 3


def test_the_readme_can_be_read_in_a_few_minutes():
    assert len(README.split()) <= 1_800


def test_the_main_command_installs_and_runs_what_is_promised():
    command = block("command", "main")
    assert command.count("\n") == 1
    assert command.startswith("python3 -m venv .venv && .venv/bin/pip install ")
    assert command.endswith(".venv/bin/tune --env CartPole-v1 --trials 100 --within 6m30s\n")


def test_continuous_integration_runs_the_test_command_of_the_readme():
    lines = README.splitlines()
    command = lines[lines.index("<!-- command: test -->") + 2]
    assert command.startswith("python3 -m venv .venv-test && ")
    assert command.endswith("pytest -n logical")
    assert "/^<!-- command: test -->$/{n;n;p;}" in (ROOT / ".ci" / "run").read_text()


def test_the_example_of_a_search_space_is_one():
    page = (ROOT / "docs" / "search-spaces.md").read_text(encoding="utf-8")
    space = parse_space(yaml.safe_load(block("example", "space", page)), "search-spaces.md")
    assert {item["type"] for item in space.to_mapping()["search"].values()} == {"float", "int", "categorical"}


def test_the_example_of_an_optuna_study_is_one():
    from tuner.plan.imported import ForeignTrial, of_optuna

    page = (ROOT / "docs" / "search-spaces.md").read_text(encoding="utf-8")
    trial = ForeignTrial(7, {"lr": 0.002, "seed": 1, "net_arch": "48x24"}, {})
    found = of_optuna(yaml.safe_load(block("example", "optuna", page)), "dqn", lambda url, study: [trial] * 5)
    assert found["trial 7"].learning_rate == 0.002
    assert found["trial 7"].gamma == 0.98


def test_the_example_of_a_grid_is_one():
    page = (ROOT / "docs" / "search-spaces.md").read_text(encoding="utf-8")
    space = parse_space(yaml.safe_load(block("example", "grid", page)), "search-spaces.md")
    assert len(combinations(space, seed=0, most=100)) == 3 * 2 * 3 * 3


@pytest.mark.parametrize("path", TEXTS, ids=lambda p: p.name)
def test_links_lead_to_files(path):
    for target in re.findall(r"\]\(([^)#]+)\)", path.read_text(encoding="utf-8")):
        if not target.startswith("https://"):
            assert (path.parent / target).exists(), target


@pytest.mark.parametrize("path", TEXTS, ids=lambda p: p.name)
def test_texts_name_no_package_index(path):
    text = path.read_text(encoding="utf-8")
    for word in ("pypi.org", "download.pytorch.org", "--index-url", "pythonhosted"):
        assert word not in text


def test_exit_codes_of_the_errors_are_documented():
    from tuner import errors

    codes = {c.exit_code for c in vars(errors).values() if isinstance(c, type) and issubclass(c, errors.TunerError)}
    page = (ROOT / "docs" / "commands.md").read_text(encoding="utf-8")
    for code in codes | {0, 130}:
        assert f"| {code} | " in page


def test_the_tour_through_the_code_is_short_and_passes_the_runner_and_the_supervisor():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    section = text.split("## Reading the code")[1].split("\n## ")[0]
    files = re.findall(r"^\d+\. \[`(tuner/[^`]+)`\]", section, re.MULTILINE)
    assert len(files) <= 8
    assert {"tuner/training/stack/runner.py", "tuner/study/search/supervisor.py"} <= set(files)
    assert sum(len((ROOT / file).read_text(encoding="utf-8").splitlines()) for file in files) <= 1200
