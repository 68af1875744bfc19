"""A whole study on a cluster of three nodes, one of which is killed half-way and another joins."""

from __future__ import annotations

import functools
import logging

import optuna
import pytest
from contracts.fakes import Books

import tuner
from tuner.contract.spec import RunId
from tuner.execution.inline import InlineExecutor
from tuner.hyperparameters import from_mapping
from tuner.plan.resolve import plan_study
from tuner.study.search.progress import NoProgress
from tuner.training.registry import make_trainer

pytestmark = [pytest.mark.ray, pytest.mark.timeout(600)]

TRIALS = 60


@pytest.fixture
def nodes():
    from tuner.execution.ray_cluster import load_ray

    load_ray()
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    for _ in range(2):
        cluster.add_node(num_cpus=1)
    yield cluster
    cluster.shutdown()


class KillHalfway(NoProgress):
    """Kills a node once half of the trials are there, and lets another join."""

    def __init__(self, cluster):
        self.cluster = cluster
        self.killed_at = None

    def update(self, snapshot):
        finished = sum(snapshot.counts.values())
        if self.killed_at is None and finished >= TRIALS // 2:
            self.killed_at = finished
            self.cluster.remove_node(self.cluster.list_all_nodes()[-1], allow_graceful=False)
            self.cluster.add_node(num_cpus=1)


def test_a_study_survives_a_node_that_dies_and_uses_one_that_joins(nodes, in_tmp, caplog):
    caplog.set_level(logging.INFO)
    recipe = tuner.StudyRecipe(
        env="CartPole-v1", trials=TRIALS, steps=4_000, evaluations=4, eval_episodes=2, executor="ray",
        ray_address=nodes.address, storage=f"sqlite:///{in_tmp}/s.db", confirm=2, confirm_seeds=3,
    )  # fmt: skip
    watch = KillHalfway(nodes)
    result = tuner.run(recipe, progress=watch)
    assert watch.killed_at is not None
    assert "its node died; its runs go again" in caplog.text

    counted = [t for t in result.data.trials if t.outcome in ("completed", "pruned", "diverged")]
    assert (len(counted), len(result.data.trials)) == (TRIALS, TRIALS)
    stored = optuna.load_study(study_name=result.name, storage=recipe.storage).trials
    assert {t.state.name for t in stored} <= {"COMPLETE", "PRUNED"}

    # What is exported was confirmed, by trainers of the cluster too.
    confirmation = result.data.confirmation
    assert confirmation is not None
    assert confirmation.complete
    assert confirmation.winner is not None
    assert dict(confirmation.winner.hyperparameters) == result.best.to_mapping()
    assert result.export is not None

    plan = plan_study(recipe)
    chosen = [t for t in counted if t.outcome == "completed"][-10:]
    specs = [plan.run_spec(RunId(t.number), from_mapping("dqn", t.hyperparameters), t.seeds[0]) for t in chosen]
    books = Books(specs)
    InlineExecutor(functools.partial(make_trainer, "native", "dqn", 4)).run(books)
    assert len(chosen) == 10
    for trial in chosen:
        here = [(p.step, p.returns, dict(p.metrics)) for p in books.points[RunId(trial.number)]]
        assert [(p.step, p.returns, dict(p.metrics)) for p in trial.curves[0]] == here
