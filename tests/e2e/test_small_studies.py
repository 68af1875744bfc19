"""A small study on each environment that has a budget, with either backend: one kind of study, report and export."""

import json

import pytest
import yaml

import tuner
from tuner.hyperparameters import beyond_sb3


@pytest.mark.parametrize(
    ("env", "backend"),
    [
        ("CartPole-v1", "native"),
        ("CartPole-v1", "sb3"),
        ("FrozenLake-v1", "sb3"),
        *(
            pytest.param(env, "native", marks=pytest.mark.slow)
            for env in ("Acrobot-v1", "MountainCar-v0", "FrozenLake-v1", "LunarLander-v3")
        ),
        *(
            pytest.param(env, "sb3", marks=pytest.mark.slow)
            for env in ("Acrobot-v1", "MountainCar-v0", "LunarLander-v3")
        ),
    ],
)
def test_a_small_study_runs_reports_and_exports(env, backend, tmp_path):
    recipe = tuner.StudyRecipe(
        env=env,
        trials=2,
        backend=backend,
        steps=300,
        evaluations=2,
        eval_episodes=1,
        set={"learning_starts": 100},
        executor="inline",
        storage=f"sqlite:///{tmp_path / 'study.db'}",
        report_dir=str(tmp_path / "reports"),
    )
    result = tuner.run(recipe)
    assert [(t.outcome, t.steps) for t in result.data.trials] == [("completed", 300)] * 2
    assert result.data.grid == (150, 300)
    report = json.loads(result.report.with_name("report.json").read_text())
    assert len(report["trials"]) == 2
    exported = yaml.safe_load(result.export.read_text())
    own = beyond_sb3(result.best)  # what the search chose may be more than Stable-Baselines3 has
    assert (exported if own else exported[env])["n_timesteps"] == 300
    exported = exported["hyperparameters"] if own else exported[env]
    assert exported["learning_rate"] == result.best.learning_rate
    assert exported["learning_starts"] == 100
