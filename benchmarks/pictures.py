"""Pictures of what a study looks like: its report's first screen, and its page in the dashboard, as PNG.

    python benchmarks/pictures.py [--within 1m] [-o build/pictures]
    python benchmarks/pictures.py --study STUDY [--storage URL] [--report-dir DIR]

Without ``--study`` it searches CartPole-v1 in a folder that it removes. Needs chromium on the PATH; without it nothing
is written, which is said, and it exits 0. ``make site`` shows the pictures that lie in build/pictures.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import tempfile
import threading
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path

import browser
from page_look import DRAWN

from tuner.cli.app import main as tune
from tuner.cli.dashboard import application, serve
from tuner.plan.naming import file_name
from tuner.storage_url import default_storage

WIDTH, HEIGHT = 1400, 900

#: True once the dashboard has drawn the points of the history and a bar for each importance.
SHOWN = "['.scatterlayer .point', '.barlayer .point'].every((drawn) => document.querySelector(drawn) !== null)"


def of_report(tab: browser.Tab, page: Path) -> bytes:
    """Return the first screen of a report."""
    tab.show(WIDTH, HEIGHT)
    tab.open(page.resolve().as_uri())
    tab.wait(DRAWN)
    return tab.screen()


def of_dashboard(tab: browser.Tab, storage: str, study: str) -> bytes:
    """Return the first screen of a study's page in optuna-dashboard."""
    with _served(storage) as address:
        tab.show(WIDTH, HEIGHT)
        with urllib.request.urlopen(f"{address}/api/studies") as answer:
            named = {summary["study_name"]: summary["study_id"] for summary in json.load(answer)["study_summaries"]}
        tab.open(f"{address}/dashboard/studies/{named[study]}")
        tab.wait(SHOWN)
        return tab.screen()


@contextlib.contextmanager
def _served(storage: str) -> Iterator[str]:
    with serve(application(storage), "127.0.0.1", range(0, 1)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()


def take(study: str, storage: str, reports: Path, target: Path) -> list[Path]:
    """Write both pictures and return their paths."""
    target.mkdir(parents=True, exist_ok=True)
    with browser.new_tab() as tab:
        pictures = {
            "report": of_report(tab, reports / file_name(study) / "index.html"),
            "dashboard": of_dashboard(tab, storage, study),
        }
    for name, content in pictures.items():
        (target / f"{name}.png").write_bytes(content)
    return [target / f"{name}.png" for name in pictures]


def main(arguments: Sequence[str] | None = None) -> None:
    """Take the pictures of a study, or of one made for them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--study")
    parser.add_argument("--storage", default=default_storage())
    parser.add_argument("--report-dir", type=Path, default=Path("reports"))
    parser.add_argument("--within", default="1m", help="time of the study that is made (default: 1m)")
    parser.add_argument("-o", "--output", type=Path, default=Path("build/pictures"))
    options = parser.parse_args(arguments)
    if browser.CHROMIUM is None:
        print("No pictures: there is no chromium on the PATH.")
        return
    with tempfile.TemporaryDirectory() as folder:
        study, storage, reports = options.study, options.storage, options.report_dir
        if study is None:
            study, storage, reports = "pole", f"sqlite:///{folder}/tuner.db", Path(folder)
            where = ["--study", study, "--storage", storage, "--report-dir", folder]
            tune(["--env", "CartPole-v1", "--within", options.within, *where])
        for path in take(study, storage, reports, options.output):
            print(path)


if __name__ == "__main__":
    main()
