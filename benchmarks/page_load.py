"""How large pages are, and how long a browser takes from opening one to its first figure, and to its last.

    python benchmarks/page_load.py reports/STUDY/index.html [--repeat 5]

Each page is opened from its file in headless Chromium (on the PATH), the pages by turns; printed are medians of wall
time, from the start of the navigation as the page's own clock has it.
"""

from __future__ import annotations

import argparse
import statistics
from pathlib import Path

from browser import Tab, new_tab
from page_look import DRAWN, HEIGHT

#: Installed before the page: notes when the first figure is drawn.
NOTE = """window.addEventListener("DOMContentLoaded", () => {
  const look = () => {
    if (document.querySelector("[data-figure] .main-svg")) window.firstFigure = performance.now();
    else setTimeout(look, 5);
  };
  look();
})"""


def seconds(tab: Tab, page: Path) -> tuple[float, float]:
    """Return the seconds to the first figure and to the last."""
    tab.open("about:blank")
    tab.open(page.resolve().as_uri())
    tab.wait(f"{DRAWN} && window.firstFigure !== undefined")
    first, last = tab.evaluate("[window.firstFigure, performance.now()]")
    return first / 1000, last / 1000


def main() -> None:
    """Open every page some times, by turns, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pages", metavar="PAGE", nargs="+", type=Path)
    parser.add_argument("--repeat", metavar="N", type=int, default=5)
    options = parser.parse_args()
    measured: dict[Path, list[tuple[float, float]]] = {page: [] for page in options.pages}
    with new_tab() as tab:
        tab.show(1400, HEIGHT)
        tab.send("Page.enable")
        tab.send("Page.addScriptToEvaluateOnNewDocument", source=NOTE)
        for _ in range(options.repeat):
            for page, found in measured.items():
                found.append(seconds(tab, page))
    for page, found in measured.items():
        first, last = (statistics.median(column) for column in zip(*found, strict=True))
        print(f"{page}: {page.stat().st_size / 1e6:.2f} MB, first figure {first:.2f} s, last {last:.2f} s")


if __name__ == "__main__":
    main()
