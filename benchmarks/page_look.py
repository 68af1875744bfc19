"""How pages look at three widths, light and dark: pictures to look at, and whether anything is cut off or overlaps.

    python benchmarks/page_look.py reports/STUDY/index.html runs/table/training.html -o pictures

Opens each page from its file in headless Chromium (on the PATH), takes a PNG of the whole page at each width and in
each scheme, and prints what is wrong. Exits 1 when something is.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from browser import Tab, new_tab

#: Widths in pixels: a desk, a small laptop, a phone.
WIDTHS = (1400, 1024, 390)
HEIGHT = 900

#: True once every figure is there.
DRAWN = "[...document.querySelectorAll('[data-figure]')].every((place) => place.querySelector('.main-svg'))"

#: Says what is wrong with the open page.
FIND = (Path(__file__).parent / "page_look.js").read_text(encoding="utf-8")


def look(tab: Tab, page: Path, width: int, *, dark: bool = False) -> list[str]:
    """Open a page at a width and return what is wrong with it, a sentence each."""
    tab.show(width, HEIGHT, dark=dark)
    tab.open(page.resolve().as_uri())
    tab.wait(DRAWN)
    found: list[Any] = tab.evaluate(FIND)
    return [str(sentence) for sentence in found]


def main(arguments: Sequence[str] | None = None) -> int:
    """Look at every page, keep pictures where asked to, and say what is wrong."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pages", metavar="PAGE", nargs="+", type=Path)
    parser.add_argument("-o", "--output", metavar="DIR", type=Path, help="folder of the pictures (default: none)")
    options = parser.parse_args(arguments)
    wrong = 0
    with new_tab() as tab:
        for page in options.pages:
            for width in WIDTHS:
                for dark in (False, True):
                    sentences = look(tab, page, width, dark=dark)
                    scheme = "dark" if dark else "light"
                    for sentence in sentences:
                        print(f"{page}, {width} px, {scheme}: {sentence}")
                    wrong += len(sentences)
                    if options.output is not None:
                        options.output.mkdir(parents=True, exist_ok=True)
                        picture = options.output / f"{page.resolve().parent.name}-{page.stem}-{width}-{scheme}.png"
                        picture.write_bytes(tab.photograph())
    print(f"{len(options.pages)} pages, {len(WIDTHS)} widths, light and dark: {wrong} things wrong")
    return 1 if wrong else 0


if __name__ == "__main__":
    raise SystemExit(main())
