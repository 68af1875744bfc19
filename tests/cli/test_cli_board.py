"""``tune board``: a database's studies and reports from elsewhere on one page, each study once."""

import json
import shutil
from pathlib import Path

from cli_shell import tune


def test_importances_are_not_computed_for_a_board(own_study, monkeypatch):
    def computed(trials):
        raise AssertionError("importances take longer than all else of a small study")

    monkeypatch.setattr("tuner.study.reading.study.importance_of", computed)
    assert json.loads(tune("board", "--json").out)["rows"][0]["study"] == "tiny"


def test_studies_and_reports_are_on_one_page_each_once(own_study, tmp_path):
    (name,) = (path.name for path in Path("reports").iterdir() if (path / "report.json").is_file())
    shell = tune("board")
    assert (shell.code, shell.out.strip()) == (0, str(Path("reports") / "board.html"))
    page = Path("reports/board.html").read_text(encoding="utf-8")
    assert f'<a href="{name}/index.html">tiny</a>' in page
    rows = json.loads(Path("reports/board.json").read_text(encoding="utf-8"))["rows"]
    assert [row["study"] for row in rows] == ["tiny"]

    elsewhere = tmp_path / "elsewhere"
    shutil.copytree(Path("reports") / name, elsewhere)
    shell = tune("board", str(elsewhere), "--json")
    (row,) = json.loads(shell.out)["rows"]
    assert row["source"] == str(elsewhere / "report.json"), "the same study is told by its report"
    twice = tune("board", str(elsewhere), str(elsewhere / "report.json"), "--json")
    assert json.loads(twice.out)["rows"] == [row]
    report = json.loads((elsewhere / "report.json").read_text(encoding="utf-8"))
    report["study"]["name"] = "another"
    (elsewhere / "report.json").write_text(json.dumps(report), encoding="utf-8")
    shell = tune("board", str(elsewhere), "--json")
    assert sorted(row["study"] for row in json.loads(shell.out)["rows"]) == ["another", "tiny"]


def test_reports_need_no_database_and_bad_ones_are_one_line(own_study, tmp_path, monkeypatch):
    report = next(Path("reports").glob("*/report.json")).resolve()
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TUNE_STORAGE", raising=False)
    assert tune("board", str(report)).code == 0
    assert (tmp_path / "reports" / "board.html").is_file()
    bad = tmp_path / "bad.json"
    for text in ("", "[]", "{}", '{"study": {}, "summary": {}, "evidence": 3}', "[" * 100_000):
        bad.write_text(text, encoding="utf-8")
        shell = tune("board", str(bad), "-o", "other.html")
        assert (shell.code, shell.err.count("\n")) == (2, 1) and "not a report.json" in shell.err, text[:20]
    shell = tune("board", str(tmp_path / "none.json"))
    assert shell.code == 2 and "cannot be read" in shell.err
    shell = tune("board", str(report), "-o", "board.json")
    assert shell.code == 2 and "ends in .html" in shell.err
    assert not (tmp_path / "other.html").exists()
