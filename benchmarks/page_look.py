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

#: Elements that may be wider inside than out: what a reader scrolls anyway.
MAY_SCROLL = ".table-scroll.tall, nav ul, pre, .plot-scroll:has([data-figure=parallel])"

#: Returns a sentence for each thing that is cut off, sticks out or lies over another.
FIND = """(() => {
  const found = new Set(), width = document.documentElement.clientWidth;
  const name = (e) => {
    const place = e.closest("[data-figure]")?.dataset.figure ?? e.closest("section")?.id ?? "top";
    return `${place}: <${e.tagName.toLowerCase()} class="${e.getAttribute("class") ?? ""}"> ` +
      `'${e.textContent.trim().replace(/\\s+/g, " ").slice(0, 40)}'`;
  };
  if (document.documentElement.scrollWidth > width) found.add(`the page is ${document.documentElement.scrollWidth} wide`);
  const scrolled = (e) => { for (; e; e = e.parentElement) if (/auto|scroll/.test(getComputedStyle(e).overflowX)) return true; };
  for (const e of document.body.querySelectorAll("*")) {
    if (e.closest("svg, script, style, .modebar-container, .plotly-notifier") || !e.getClientRects().length) continue;
    const style = getComputedStyle(e);
    if (style.display !== "inline" && e.scrollWidth > e.clientWidth + 1 && !e.matches(MAY_SCROLL))
      found.add(`${name(e)} is ${e.scrollWidth} wide in ${e.clientWidth}`);
    const box = e.getBoundingClientRect();
    if (!scrolled(e) && (box.right > width + 1 || box.left < -1)) found.add(`${name(e)} sticks out of the window`);
  }
  for (const block of document.querySelectorAll(".copyable")) {
    const [button, text] = [".copy", "pre"].map((part) => block.querySelector(part).getBoundingClientRect());
    if (button.left < text.right - 1 && button.top < text.bottom - 1) found.add(`${name(block)} lies under its button`);
  }
  for (const plot of document.querySelectorAll("[data-figure]")) {
    const frame = plot.getBoundingClientRect();
    for (const text of plot.querySelectorAll("svg text")) {
      const box = text.getBoundingClientRect();
      if (!box.width || getComputedStyle(text).opacity === "0") continue;
      if (box.left < frame.left - 1 || box.right > frame.right + 1 || box.top < frame.top - 1 || box.bottom > frame.bottom + 1)
        found.add(`${name(text)} is cut off`);
    }
    for (const kind of ["xtick", "ytick"]) {
      const boxes = [...plot.querySelectorAll(`.${kind} text`)].map((text) => text.getBoundingClientRect());
      const over = (a, b) => a.left < b.right - 1 && b.left < a.right - 1 && a.top < b.bottom - 1 && b.top < a.bottom - 1;
      if (boxes.some((a, i) => boxes.slice(i + 1).some((b) => over(a, b)))) found.add(`${name(plot)}: labels of ${kind}s overlap`);
    }
    if (plot.layout.xaxis?.visible !== false && plot.querySelectorAll(".xtick text").length < 2 && plot.data.some((t) => t.x?.length > 1))
      found.add(`${plot.dataset.figure}: fewer than two labels along`);
  }
  return [...found];
})()""".replace("MAY_SCROLL", repr(MAY_SCROLL))


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
