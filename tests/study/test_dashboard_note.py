"""The verdict in optuna-dashboard: the study's note and saved plots, and nobody else's note is lost."""

import json

import optuna
import plotly.graph_objects as go
import pytest
from optuna_dashboard import get_note, save_note, save_plotly_graph_object
from optuna_dashboard._custom_plot_data import get_plotly_graph_objects
from study_fakes import make_plan, search

from tuner.study.upkeep.dashboard_note import MARK, save_to_dashboard


@pytest.fixture
def study(tmp_path):
    plan = make_plan(f"sqlite:///{tmp_path}/s.db", trials=3)
    search(plan)
    return plan


def stored(plan):
    return optuna.load_study(study_name=plan.name, storage=plan.storage)


def test_note_and_figures_are_saved_and_replaced(study):
    figure = go.Figure(go.Scatter(x=[1, 2], y=[3, 4]))
    save_to_dashboard(study.name, study.storage, "# first", {"curves": figure})
    save_to_dashboard(study.name, study.storage, "# second", {"curves": go.Figure()})
    assert get_note(stored(study)) == f"# second\n\n{MARK}\n"
    loaded = stored(study)
    saved = get_plotly_graph_objects(loaded._storage.get_study_system_attrs(loaded._study_id))
    assert json.loads(saved["curves"])["data"] == []
    assert len(saved) == 1


@pytest.mark.parametrize("lengths", [(10, 5_000), (5_000, 10), (4_090, 4_090), (2_045, 2_046)])
def test_notes_and_figures_are_stored_as_the_dashboard_stores_them(study, tmp_path, lengths):
    """Equal attributes to the last one, whichever is longer, the first text or the one that replaces it."""
    twin = make_plan(f"sqlite:///{tmp_path}/twin.db", trials=1)
    search(twin)
    for letter, length in zip("ab", lengths, strict=True):
        body = letter * length
        figure = go.Figure(go.Scatter(y=list(range(length))))
        save_to_dashboard(study.name, study.storage, body, {"curves": figure})
        save_note(stored(twin), f"{body}\n\n{MARK}\n")
        save_plotly_graph_object(stored(twin), figure, graph_object_id="curves")
    ours, theirs = (s._storage.get_study_system_attrs(s._study_id) for s in (stored(study), stored(twin)))
    mine = {key: value for key, value in ours.items() if key.startswith("dashboard:")}
    assert len(mine) > 4
    assert mine == {key: value for key, value in theirs.items() if key.startswith("dashboard:")}


def test_a_note_that_somebody_else_wrote_stays(study):
    save_note(stored(study), "mine")
    save_to_dashboard(study.name, study.storage, "# ours", {})
    assert get_note(stored(study)) == "mine"
