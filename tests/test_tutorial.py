"""The tutorial notebook: output stripped, and cells that run from top to bottom in a new interpreter."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

NOTEBOOK = Path(__file__).parents[1] / "docs" / "tutorial.ipynb"
CELLS = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
CODE = ["".join(cell["source"]) for cell in CELLS if cell["cell_type"] == "code"]

#: What a notebook does with a cell: its last expression is shown as a page or as text.
_CELL = """
_whole = ast.parse({source!r})
_shown = _whole.body.pop() if isinstance(_whole.body[-1], ast.Expr) else None
exec(compile(_whole, "cell", "exec"))
if _shown is not None:
    _value = eval(compile(ast.Expression(_shown.value), "cell", "eval"))
    print("shown:", (getattr(_value, "_repr_html_", None) or _value.__repr__)()[:60])
"""


def test_its_output_is_stripped():
    for cell in CELLS:
        assert cell.get("outputs", []) == []
        assert cell.get("execution_count") is None


@pytest.mark.slow
def test_its_cells_run_from_top_to_bottom_from_stdin(tmp_path):
    script = "import ast\n" + "".join(_CELL.format(source=source) for source in CODE)
    done = subprocess.run(
        [sys.executable, "-"], input=script, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=280
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("shown: ") == 6
    assert "shown: <div><h4>dqn-native-CartPole-v1" in done.stdout
    assert "shown: <div><h4>dqn-native-Corridor-v0" in done.stdout
