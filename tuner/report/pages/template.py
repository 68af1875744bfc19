"""From a template to a self-contained page; and files that replace their predecessor at once."""

from __future__ import annotations

import base64
import functools
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup, escape

from tuner import durable
from tuner.report.figures.palette import dark_twins
from tuner.text import printable, score_text

TEMPLATES = Path(__file__).parent.parent / "templates"

#: What draws the figures: plotly.js's own bundle of the trace types that they use, compressed; the page unpacks it.
PLOTLY = TEMPLATES / "plotly" / "plotly-cartesian.min.js.gz"


def render_template(template: str, figures_json: Mapping[str, Any], context: Mapping[str, Any]) -> str:
    """Return a self-contained page: our style, script and plotly.js (compressed) inlined once, figures as JSON."""
    # Markup only for our own files and for JSON that cannot leave its script element.
    inlined = {
        "style": Markup((TEMPLATES / "style.css").read_text(encoding="utf-8")),
        "script": Markup((TEMPLATES / "page.js").read_text(encoding="utf-8")),
        "plotly": base64.b64encode(PLOTLY.read_bytes()).decode() if figures_json else "",
        "figures_json": Markup(script_json(figures_json)),
        "twins_json": Markup(script_json(dark_twins())),
    }
    return _environment().get_template(template).render({**context, **inlined})


@functools.cache
def _environment() -> jinja2.Environment:
    """Return what compiles templates, each once in a process."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
        finalize=lambda value: printable(value) if type(value) is str else value,
    )
    environment.tests["grouped"] = lambda key, group: key.startswith(f"{group}-")
    environment.filters["breakable"] = _breakable
    environment.filters["whole"] = _whole
    environment.filters["score"] = lambda value: score_text(value, 4)
    return environment


def _breakable(text: str) -> Markup:
    """Return a text that may go on in a new line behind each underline and slash, and behind dots between letters."""
    escaped = escape(printable(text)).replace("_", Markup("_<wbr>")).replace("/", Markup("/<wbr>"))
    return Markup(re.sub(r"(?<=[a-z])\.(?=[a-z])", ".<wbr>", escaped))


def _whole(text: str) -> Markup:
    """Return a text in which wide pages break no word at its hyphens: an environment's name stays in one piece."""
    span = Markup('<span class="whole">%s</span>')
    return Markup(" ").join(span % word if "-" in word else escape(word) for word in printable(text).split(" "))


def write_page(page: Path, html: str, document: Mapping[str, Any], indent: int | None = 1) -> Path:
    """Write a page, and its numbers beside it as ``.json``; each replaces its predecessor in one step.

    Args:
        page: Where to, in a folder that is there.
        html: The page.
        document: What it shows, as plain data.
        indent: As for :func:`json.dumps`.

    Returns:
        The page's path.
    """
    text = json.dumps(document, allow_nan=False, ensure_ascii=False, indent=indent)
    replace_file(page.with_suffix(".json"), text + "\n")
    replace_file(page, html)
    return page


def replace_file(path: Path, text: str) -> None:
    """Write ``text`` in one step; on failure ``path`` is untouched."""
    durable.replace_file(path, text.encode("utf-8", "backslashreplace"))


def script_json(value: Any) -> str:
    """Return JSON that may stand inside a ``<script>`` element: no ``<``, ``>`` or ``&``, no line separators."""
    text = json.dumps(value, allow_nan=False, separators=(",", ":"))
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text
