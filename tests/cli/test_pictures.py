"""The script that takes pictures of the report and the dashboard takes them of a study."""

import importlib.util
import struct
import sys
from pathlib import Path

import pytest

from tuner.storage_url import DEFAULT_STORAGE

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def pictures(monkeypatch):
    """The script, which imports what lies beside it."""
    monkeypatch.setattr(sys, "path", [str(BENCHMARKS), *sys.path])
    for name in ("browser", "page_look"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    spec = importlib.util.spec_from_file_location("pictures", BENCHMARKS / "pictures.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    yield module
    for name in ("browser", "page_look"):
        sys.modules.pop(name, None)


def test_report_and_dashboard_are_a_screen_each_and_drawn(pictures, study, tmp_path):
    if pictures.browser.CHROMIUM is None:
        pytest.skip("no chromium on the PATH")
    paths = pictures.take("tiny", DEFAULT_STORAGE, Path("reports"), tmp_path / "pictures")
    assert [path.name for path in paths] == ["report.png", "dashboard.png"]
    for path in paths:
        content = path.read_bytes()
        assert struct.unpack(">II", content[16:24]) == (pictures.WIDTH, pictures.HEIGHT)
        assert len(content) > 40_000, "an empty page is a few thousand bytes"


def test_without_chromium_nothing_is_written_and_it_is_said(pictures, in_tmp, monkeypatch, capsys):
    monkeypatch.setattr(pictures.browser, "CHROMIUM", None)
    pictures.main([])
    assert capsys.readouterr().out == "No pictures: there is no chromium on the PATH.\n"
    assert not list(in_tmp.iterdir())
