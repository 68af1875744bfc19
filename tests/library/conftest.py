"""A library of a few entries."""

import pytest
from library_samples import DRY, ENTRY, TABLE

from tuner.library import catalog
from tuner.library.files import write_library


@pytest.fixture
def library(in_tmp, monkeypatch):
    """Let the library hold a few entries, in a folder that is returned."""
    folder = in_tmp / "library"
    monkeypatch.setattr(catalog, "library_folder", lambda: folder)
    write_library([ENTRY, DRY, TABLE], folder)
    return folder
