"""What the site needs beside the pages of this folder: pages that live elsewhere, and links that lead there.

MkDocs calls these functions (``hooks`` in ``mkdocs.yml``).
"""

from __future__ import annotations

import json
import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parent.parent

#: Pages of the repository by their place on the site; what is here links as it does in the repository.
ELSEWHERE = {
    "index.md": "README.md",
    "changelog.md": "CHANGELOG.md",
    "contributing.md": "CONTRIBUTING.md",
    "security.md": "SECURITY.md",
    "benchmarks.md": "benchmarks/README.md",
    "lab.md": "benchmarks/lab/README.md",
}

#: Public objects, documented from their docstrings.
REFERENCE = ("tuner.api.run", "tuner.plan.recipe.StudyRecipe", "tuner.study_result.StudyResult",
             "tuner.cli.notebook.progress", "tuner.training.saved.agent.load_agent", "tuner.training.saved.agent.Agent",
             "tuner.library.catalog.load_setting", "tuner.library.entry.Entry",
             "tuner.errors")  # fmt: skip

#: Films of the library's settings.
FILMS = ROOT / "reports" / "examples" / "library"

_LINK = re.compile(r"(?<=\])\((?!\w+:|#)([^)#\s]*)(#[^)]*)?\)")


def on_files(files: Files, config: Any, **_: Any) -> Files:
    """Add the pages that are not files of this folder."""
    made = {place: (ROOT / path).read_text(encoding="utf-8") for place, path in ELSEWHERE.items()}
    made["reference.md"] = "# Python, from the source\n\n" + "\n".join(f"::: {name}\n" for name in REFERENCE)
    made["tutorial.md"] = notebook(json.loads((ROOT / "docs" / "tutorial.ipynb").read_text(encoding="utf-8")))
    made["decisions/index.md"] = decisions()
    for place, text in made.items():
        files.append(File.generated(config, place, content=text))
    for picture in pictures(config):
        files.append(File.generated(config, f"pictures/{picture.name}", content=picture.read_bytes()))
    for film in sorted(FILMS.glob("*.gif")):
        files.append(File.generated(config, f"films/{film.name}", content=film.read_bytes()))
    return files


def pictures(config: Any) -> list[Path]:
    """Return the pictures that ``benchmarks/pictures.py`` has taken; none where it has not run."""
    return sorted((ROOT / config["extra"]["pictures"]).glob("*.png"))


def on_page_markdown(markdown: str, page: Any, config: Any, **_: Any) -> str:
    """Lead links to where the repository's files are on the site; what is not there keeps its text alone."""
    place = page.file.src_uri
    if place == "results.md":
        markdown += "".join(f"\n![The {found.stem}](pictures/{found.name})\n" for found in pictures(config))
    source = ELSEWHERE.get(place, f"docs/{place}")
    there = {path: at for at, path in ELSEWHERE.items()}

    def led(match: re.Match[str]) -> str:
        target = posixpath.normpath(posixpath.join(posixpath.dirname(source), match[1]))
        if target == "docs/decisions":
            target = "docs/decisions/index.md"
        if target == "docs/tutorial.ipynb":
            target = "docs/tutorial.md"
        known = there.get(target) or (target.removeprefix("docs/") if target.startswith("docs/") else None)
        if (ROOT / target).parent == FILMS:
            known = f"films/{posixpath.basename(target)}"
        if known is None:
            return ""
        return f"({posixpath.relpath(known, posixpath.dirname(place) or '.')}{match[2] or ''})"

    return _LINK.sub(led, markdown)


def notebook(cells: dict[str, Any]) -> str:
    """Return a notebook as Markdown."""
    parts = []
    for cell in cells["cells"]:
        text = "".join(cell["source"])
        parts.append(text if cell["cell_type"] == "markdown" else f"```python\n{text}\n```")
    return "\n\n".join(parts) + "\n"


def decisions() -> str:
    """Return a list of the decision records."""
    lines = []
    for path in sorted((ROOT / "docs" / "decisions").glob("*.md")):
        title = path.read_text(encoding="utf-8").splitlines()[0].lstrip("# ")
        lines.append(f"- [{title}]({path.name})")
    return "# Decisions\n\nOne record each of what was chosen, and why.\n\n" + "\n".join(lines) + "\n"
