"""One tiny study for all tests that only read."""

import os
import shutil

import pytest
from cli_shell import TINY, tune


@pytest.fixture(scope="session")
def finished(tmp_path_factory):
    """A folder in which ``tune --env CartPole-v1`` has run, and what it said."""
    folder = tmp_path_factory.mktemp("finished")
    before = os.getcwd()
    os.chdir(folder)
    try:
        shell = tune("--env", "CartPole-v1", *TINY, "--study", "tiny", "--executor", "inline")
    finally:
        os.chdir(before)
    return folder, shell


@pytest.fixture(autouse=True)
def _pages_draw_one_figure(request):
    """What figures show is for the tests of the report; one test here looks at a whole page."""
    if request.node.name != "test_report_is_written_where_it_is_asked_for":
        request.getfixturevalue("pages_of_one_figure")


@pytest.fixture
def own_study(finished, tmp_path, monkeypatch):
    """Stand in a copy of that folder, to change."""
    folder, _ = finished
    shutil.copytree(folder, tmp_path / "own")
    monkeypatch.chdir(tmp_path / "own")


@pytest.fixture
def study(finished, monkeypatch):
    """Stand in the folder of the finished study."""
    folder, _ = finished
    monkeypatch.chdir(folder)
    return folder
