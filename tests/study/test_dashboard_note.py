"""The verdict in optuna-dashboard: the study's note and saved plots, and nobody else's note is lost."""

import json

import optuna
import plotly.graph_objects as go
import pytest
from optuna_dashboard import get_note, save_note
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


def test_a_note_that_somebody_else_wrote_stays(study):
    save_note(stored(study), "mine")
    save_to_dashboard(study.name, study.storage, "# ours", {})
    assert get_note(stored(study)) == "mine"
