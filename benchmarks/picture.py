"""A figure of a page as an SVG that stands alone, such as the one on the README's first screen.

    python benchmarks/picture.py reports/STUDY/index.html confirmed -o docs/learning-curves.svg

Needs chromium on the PATH. The picture is in the light scheme, on white.
"""

from __future__ import annotations

import argparse
import json
import urllib.parse
from pathlib import Path

from browser import new_tab
from page_look import DRAWN, HEIGHT


def main() -> None:
    """Open the page, ask plotly.js for the figure, write it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("page", type=Path)
    parser.add_argument("figure", help="its data-figure on the page")
    parser.add_argument("-o", "--output", type=Path, required=True)
    options = parser.parse_args()
    size = {"format": "svg", "width": 900, "height": 420}
    place = f"document.querySelector('[data-figure={options.figure}]')"
    with new_tab() as tab:
        tab.show(1400, HEIGHT)
        tab.open(options.page.resolve().as_uri())
        tab.wait(DRAWN)
        address = tab.evaluate(
            f"Plotly.relayout({place}, {{paper_bgcolor: '#ffffff'}}).then(() => "
            f"Plotly.toImage({place}, {json.dumps(size)}))"
        )
    options.output.write_text(urllib.parse.unquote(address.partition(",")[2]) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
