"""What version 0.1.0 wrote, copied into an empty folder that a test stands in."""

import shutil

import pytest
from old_files import URL, V0_1_0, unpack_database


@pytest.fixture
def old(tmp_path, monkeypatch, pages_of_one_figure):
    """A function that unpacks a fixture by name into the working folder and returns its committed folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TUNE_STORAGE", URL)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))

    def unpack(name):
        kept = V0_1_0 / name
        shutil.copytree(kept, tmp_path, dirs_exist_ok=True)
        if (kept / "study.db.gz").exists():
            unpack_database(kept, tmp_path / "study.db")
        return kept

    return unpack
