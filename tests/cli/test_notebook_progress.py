"""Progress in a notebook: a widget that is redrawn in place, or plain lines where there is no ipywidgets."""

import sys
from types import ModuleType, SimpleNamespace

import pytest
from test_cli_progress import snapshot

import tuner
from tuner.cli import notebook
from tuner.cli.notebook import NOTES, WidgetProgress
from tuner.cli.progress import PlainProgress


@pytest.fixture
def kernel(monkeypatch):
    """A notebook's kernel with ipywidgets, as far as it is asked; returns what it was told to show."""
    shown = []
    modules = {
        "IPython": {"get_ipython": lambda: SimpleNamespace(kernel=object())},
        "IPython.display": {"display": shown.append},
        "ipywidgets": {"HTML": lambda: SimpleNamespace(value="")},
    }
    for name, holds in modules.items():
        module = ModuleType(name)
        vars(module).update(holds, __spec__=SimpleNamespace())
        monkeypatch.setitem(sys.modules, name, module)
    return shown


def test_one_widget_shows_search_and_confirm_stage_in_place(kernel):
    view = tuner.progress()
    view.note("one <b>thing</b> to know")
    view.start(snapshot(done=1))
    (widget,) = kernel
    assert "1/8 trials" in widget.value and "one &lt;b&gt;thing&lt;/b&gt; to know" in widget.value
    view.finish(snapshot(done=8, running=0))
    view.start(snapshot(done=2))
    assert kernel == [widget]
    assert "2/8 trials" in widget.value and "8/8 trials" not in widget.value


def test_without_ipywidgets_plain_lines_come_on_stdout(kernel, monkeypatch, capsys):
    monkeypatch.setattr(notebook.importlib.util, "find_spec", lambda name: None)
    view = tuner.progress()
    view.start(snapshot(done=1))
    view.finish(snapshot(done=8))
    out, err = capsys.readouterr()
    assert len(out.splitlines()) == 2 and err == ""
    assert kernel == []


def test_elsewhere_it_is_what_the_command_shows():
    assert isinstance(tuner.progress(), PlainProgress)


def test_it_is_redrawn_at_its_pace_and_old_notes_go():
    now, widget = [0.0], SimpleNamespace(value="")
    view = WidgetProgress(lambda: widget, clock=lambda: now[0])
    for number in range(NOTES + 2):
        view.note(f"note {number};")
    view.start(snapshot(done=1))
    first = widget.value
    view.update(snapshot(done=2))
    assert widget.value == first
    now[0] = 1.0
    view.update(snapshot(done=2))
    assert "2/8 trials" in widget.value
    assert "note 1;" not in widget.value and "note 2;" in widget.value
