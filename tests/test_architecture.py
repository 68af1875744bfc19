"""The shape of the code: imports point down, heavy libraries stay in their place, nothing executes data."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
TUNER = ROOT / "tuner"
FILES = sorted(TUNER.rglob("*.py"))

#: What everything may import.
BASE = {"", "errors", "optional", "seeding", "fields", "durable", "hyperparameters"}

#: Part of the package -> the other parts it may import, all of them below it.
BELOW = {
    "cli": {"api", "hosting", "execution", "report", "study", "space", "training", "envs", "core"},
    "api": {"hosting", "execution", "report", "study", "space", "training", "envs"},
    "hosting": {"execution", "study", "training"},
    "report": {"study", "core"},
    "execution": {"training"},
    "study": {"space", "training", "envs", "core"},
    "training": {"agents", "networks", "replay", "envs", "core"},
    "agents": {"replay", "networks", "envs", "core"},
    "networks": {"core"},
    "replay": {"core"},
    "space": set(),
    "envs": {"core"},
    "core": set(),
    "__main__": {"cli"},
    "__init__": {"api", "study"},
    "errors": set(),
    "optional": set(),
    "seeding": set(),
    "durable": set(),
    "fields": set(),
    "hyperparameters": set(),
}

#: Library -> the only files and folders that import it.
HOMES = {
    "optuna": ("study/",),
    "sqlalchemy": (
        "study/store/connect.py",
        "study/store/shared_writer.py",
        "study/store/leases.py",
        "study/store/advisory_lock.py",
    ),
    "optuna_dashboard": ("cli/dashboard.py", "study/upkeep/dashboard_note.py"),
    "stable_baselines3": ("training/sb3/trainer.py",),
    "rl_zoo3": (),
    "plotly": ("report/",),
    "jinja2": ("report/",),
    "pandas": ("report/", "result/study.py"),
    "rich": ("cli/",),
    "sklearn": ("agents/fqi.py",),
    # plan/resolve.py asks whether there is a GPU before a study starts, and only when --device is not cpu.
    "torch": ("agents/", "networks/", "training/", "core/", "plan/resolve.py"),
    "pickle": (),
    "dill": (),
    "cloudpickle": (),
    "marshal": (),
    "shelve": (),
    "joblib": (),
    "ray": (),  # execution/ray_cluster.py loads it by name, once it is asked for
}


def relative(path):
    return path.relative_to(TUNER).as_posix()


def imports(path):
    """Return the full names of everything a file imports, inside functions and for types as well."""
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{relative(path)}:{node.lineno} imports relatively"
            found += [f"{node.module}.{alias.name}" for alias in node.names]
    return found


def part_of(name):
    """Return the part of the package that a full name belongs to; empty for the package itself."""
    words = name.split(".")
    part = words[1] if len(words) > 1 else ""
    return part if (TUNER / part).is_dir() or (TUNER / f"{part}.py").is_file() else ""


@pytest.mark.parametrize("path", FILES, ids=relative)
def test_imports_point_down(path):
    part = path.relative_to(TUNER).parts[0].removesuffix(".py")
    for name in imports(path):
        if name.split(".")[0] == "tuner":
            assert part_of(name) in BELOW[part] | BASE | {part}, f"{relative(path)} imports {name}"


def test_the_layers_have_no_cycle():
    done: set[str] = set()
    while len(done) < len(BELOW):
        ready = {part for part, below in BELOW.items() if part not in done and below <= done}
        assert ready, f"a cycle among {set(BELOW) - done}"
        done |= ready


def test_reports_read_plain_tables_only():
    for path in (TUNER / "report").rglob("*.py"):
        for name in imports(path):
            if name.startswith("tuner.study"):
                plain = ("tuner.result.study.", "tuner.result.confirmation.")
                assert name.startswith(plain), f"{relative(path)} imports {name}"


@pytest.mark.parametrize("path", FILES, ids=relative)
def test_heavy_libraries_stay_in_their_place(path):
    for name in imports(path):
        homes = HOMES.get(name.split(".")[0])
        assert homes is None or relative(path).startswith(homes), f"{relative(path)} imports {name}"


@pytest.mark.parametrize("path", FILES, ids=relative)
def test_no_module_takes_another_ones_private_names(path):
    for name in imports(path):
        words = name.split(".")
        private = [w for w in words[1:] if w.startswith("_") and not w.startswith("__")]
        assert words[0] != "tuner" or not private, f"{relative(path)} imports {name}"


@pytest.mark.parametrize("path", FILES, ids=relative)
def test_files_are_short_and_hold_one_idea(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 300
    assert path.stem not in ("utils", "util", "helpers", "common", "misc")


def unsafe_calls(source):
    """Return what in a source could execute data: names of calls, and of arguments that open a door."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call):
            continue
        name = ast.unparse(node.func)
        if name in ("eval", "exec", "compile", "os.system", "yaml.load", "yaml.unsafe_load", "yaml.full_load"):
            found.append(name)
        if name in ("yaml.load_all", "yaml.full_load_all", "yaml.unsafe_load_all"):
            found.append(name)
        values = {k.arg: k.value.value for k in node.keywords if isinstance(k.value, ast.Constant)}
        found += [
            f"{argument}={value}"
            for argument, value in (("allow_pickle", True), ("weights_only", False), ("shell", True))
            if values.get(argument) is value
        ]
    return found


@pytest.mark.parametrize("path", FILES, ids=relative)
def test_nothing_executes_data(path):
    assert unsafe_calls(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    "line",
    ["eval('1')", "yaml.load(f)", "np.load(f, allow_pickle=True)", "torch.load(f, weights_only=False)"],
)
def test_the_search_for_unsafe_calls_finds_them(line):
    assert unsafe_calls(line)


def test_data_has_plural_names_and_code_singular():
    assert (ROOT / "search_spaces").is_dir()
    assert (ROOT / "studies").is_dir()
    packages = {p.parent.name for p in TUNER.rglob("__init__.py")}
    assert packages & {"spaces", "studies", "reports", "trainers"} == set()


@pytest.mark.parametrize(
    "code",
    [
        "import tuner",
        "from tuner.cli.app import main; assert main(['--help']) == 0",
        "from tuner.cli.app import main; assert main(['--version']) == 0",
        "from tuner.cli.app import main; assert main(['train', '--help']) == 0",
    ],
)
def test_looking_at_the_tool_loads_nothing_heavy(code):
    heavy = "{'torch', 'optuna', 'pandas', 'plotly', 'rich', 'gymnasium', 'sqlalchemy', 'numpy'}"
    check = f"import sys; loaded = {heavy} & set(sys.modules); assert not loaded, loaded"
    done = subprocess.run([sys.executable, "-c", f"{code}; {check}"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_help_answers_well_under_a_second():
    import resource

    times = []
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, "-m", "tuner", "--help"], check=True, capture_output=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        times.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    assert min(times) < 0.7  # processor seconds: what else the machine does is not our doing
