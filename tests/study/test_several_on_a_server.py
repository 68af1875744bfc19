"""Several environments in PostgreSQL: one supervisor at a time trains all of them."""

import dataclasses

import pytest
from postgres_server import connections_closed

from tuner.cli.several_command import run_several
from tuner.errors import StudyLockedError
from tuner.plan.recipe import StudyRecipe
from tuner.study.reading.study import load
from tuner.study.store.locks import advisory_lock


@pytest.fixture
def url(server, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    with connections_closed():
        yield server.new_database("several", template="empty")


@pytest.mark.slow
def test_several_environments_are_searched_on_a_server_by_one_supervisor_at_a_time(url, tmp_path):
    recipe = StudyRecipe(
        envs=("FrozenLake-v1", "CliffWalking-v1"), algo="q_learning", trials=4, steps=40, evaluations=2,
        eval_episodes=1, confirm=0, executor="inline", study="j", storage=url,
        report_dir=str(tmp_path / "reports"), quiet=True,
    )  # fmt: skip
    with advisory_lock(url, "j"), pytest.raises(StudyLockedError, match="one supervisor trains all"):
        run_several(recipe, dry_run=False)
    assert run_several(recipe, dry_run=False) == 0
    more = dataclasses.replace(recipe, trials=6)
    assert run_several(more, dry_run=False) == 0
    for env in recipe.envs:
        trials = load(f"j.{env}", url).trials
        assert [t.outcome for t in trials] == ["completed"] * 6
    assert len(list(tmp_path.glob("reports/j/best*.yaml"))) == 2
