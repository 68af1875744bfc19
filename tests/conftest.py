"""Settings that every test shares: one thread for each numeric library, and no storage but a temporary one."""

import gc
import os
import shutil
import sys
from dataclasses import replace

# Before NumPy and torch are imported anywhere: tests run side by side, and one thread each is what workers have too.
for _name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS"):
    os.environ[_name] = "1"
os.environ.pop("TUNE_STORAGE", None)
os.environ.pop("COLUMNS", None)  # the width of whoever runs the tests

# Compiled modules are kept even where the shell says otherwise: the commands and workers that tests start by the dozen
# would each compile them anew.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

# Nothing that is imported is garbage, and millions of objects to look through take a tenth of the time.
gc.disable()

# Files of tests live in memory where there is room: studies wait for the disk at each of their thousands of commits.
_MEMORY = "/dev/shm"
if os.access(_MEMORY, os.W_OK) and shutil.disk_usage(_MEMORY).free > 4 << 30:
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", _MEMORY)

import pytest  # noqa: E402
from hypothesis import settings  # noqa: E402

# The same examples on every machine and in every run; `--hypothesis-profile=search` looks for new ones.
settings.register_profile("fixed", derandomize=True, deadline=None)
settings.register_profile("search", deadline=None, max_examples=1_000)
settings.register_profile("fuzz", deadline=None, max_examples=20_000)  # of which tests/fuzz takes a quarter
settings.load_profile("fixed")


def pytest_collection_finish():
    """From here on cycles are collected: of what tests make, not of what was imported."""
    gc.freeze()
    gc.enable()


@pytest.fixture
def in_tmp(tmp_path, monkeypatch):
    """Run in an empty folder, where the default storage, reports and models go."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TUNE_STORAGE", raising=False)
    return tmp_path


@pytest.fixture(scope="session", autouse=True)
def _what_stable_baselines3_logs_goes_with_the_tests(tmp_path_factory):
    """It makes a folder for each of its agents, beside whatever else is temporary."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SB3_LOGDIR", str(tmp_path_factory.mktemp("logs")))
        yield


@pytest.fixture(scope="session", autouse=True)
def _what_does_not_change_is_worked_out_once():
    """Opening a database reads all of Optuna's migration scripts and compiles each statement anew: a tenth of a second.

    Neither differs between the databases of tests: scripts are read once, and engines of SQLite share statements.
    """
    import sqlalchemy
    from optuna.storages._rdb.storage import _VersionManager

    find_scripts, new_engine = _VersionManager._create_alembic_script, sqlalchemy.create_engine
    known = []
    shared = new_engine("sqlite://")
    with shared.connect():  # completes its dialect, which a cache's keys name
        pass

    def scripts(self):
        if not known:
            known.append(find_scripts(self))
        return known[0]

    def create_engine(url, **options):
        engine = new_engine(url, **options)
        if engine.name == "sqlite":
            engine.dialect, engine._compiled_cache = shared.dialect, shared._compiled_cache
        return engine

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_VersionManager, "_create_alembic_script", scripts)
        for module in (sqlalchemy, sqlalchemy.engine):
            patch.setattr(module, "create_engine", create_engine)
        yield
    shared.dispose()


@pytest.fixture(scope="session", autouse=True)
def _an_environment_is_played_at_random_once():
    """Plans for training in this process play fifty episodes each, whatever the test is about.

    Only what is registered is remembered, and by what it is registered as: a test may give an id to another one.
    """
    import gymnasium

    from tuner.envs import preflight

    play, known = preflight.play_at_random, {}

    def play_at_random(spec, seed, max_steps):
        entry = gymnasium.registry.get(spec.id)
        if entry is None or spec.module is not None:
            return play(spec, seed, max_steps)
        key = (spec, entry.entry_point, repr(entry), seed, max_steps)
        if key not in known:
            known[key] = play(spec, seed, max_steps)
        return known[key]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(preflight, "play_at_random", play_at_random)
        yield


@pytest.fixture
def pages_of_one_figure(monkeypatch):
    """Let reports draw their first figure only: all of them are most of a small study's time."""
    from tuner.report.pages import dashboard, study

    monkeypatch.setattr(
        dashboard, "dashboard_figures", lambda data: {"learning-curves": dashboard.learning_curves(data)}
    )
    first, *others = study.FIGURES
    figures = (first, *(replace(figure, draw=lambda data, found: None) for figure in others))
    monkeypatch.setattr(study, "FIGURES", figures)


@pytest.fixture(scope="session")
def ray_cluster():
    """A Ray cluster of one node with two cores, which executors join and leave."""
    from tuner.execution.ray_cluster import load_ray

    load_ray()
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 2, "include_dashboard": False})
    yield cluster
    cluster.shutdown()
