"""A synthetic study that looks like a CartPole-v1 search: what report tests are built on."""

from __future__ import annotations

import dataclasses
import math
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from tuner.core.importance import Importance
from tuner.hyperparameters import DQNHyperparameters
from tuner.result.confirmation import Confirmation, ConfirmRun, Contestant
from tuner.result.curve import CurvePoint
from tuner.result.study import StudyData, TrialRow

GRID = tuple(range(5_000, 50_001, 5_000))
START = datetime(2026, 3, 1, 9, 0, tzinfo=UTC)
SPACE: dict[str, Any] = {
    "algorithm": "dqn",
    "budget": {"n_timesteps": 50_000, "evaluations": 10, "eval_episodes": 10},
    "fixed": {"batch_size": 64, "train_freq": 4, "gradient_steps": 2},
    "search": {
        "learning_rate": {"type": "float", "low": 1e-5, "high": 1e-2, "log": True},
        "buffer_size": {"type": "int", "low": 1000, "high": 50_000, "log": True},
        "target_update_interval": {"type": "int", "low": 1, "high": 10_000, "log": True},
        "exploration_fraction": {"type": "float", "low": 0.02, "high": 0.6},
        "exploration_final_eps": {"type": "float", "low": 0.005, "high": 0.2},
        "net_arch": {"type": "categorical", "choices": ["64,64", "256,256"]},
    },
}
IMPORTANCES = {
    "learning_rate": Importance(0.52, 0.3, 0.7, 0.15),
    "target_update_interval": Importance(0.21, 0.05, 0.4, 0.15),
    "exploration_fraction": Importance(0.12, 0.04, 0.3, 0.16),
    "buffer_size": Importance(0.08, 0.03, 0.2, 0.15),
    "exploration_final_eps": Importance(0.05, 0.02, 0.2, 0.15),
    "net_arch": Importance(0.02, 0.0, 0.1, 0.04),
}


def sampled(rng: np.random.Generator) -> dict[str, Any]:
    return {
        "learning_rate": float(10 ** rng.uniform(-5, -2)),
        "buffer_size": int(10 ** rng.uniform(3, 4.69)),
        "target_update_interval": int(10 ** rng.uniform(0, 4)),
        "exploration_fraction": float(rng.uniform(0.02, 0.6)),
        "exploration_final_eps": float(rng.uniform(0.005, 0.2)),
        "net_arch": str(rng.choice(["64,64", "256,256"])),
    }


def resolved(params: dict[str, Any]) -> dict[str, Any]:
    values = {**SPACE["fixed"], **params}
    values["net_arch"] = [int(w) for w in values["net_arch"].split(",")]
    return DQNHyperparameters(**values).to_mapping()


def quality(params: dict[str, Any]) -> float:
    """In [0, 1]: best near a learning rate of 1e-3 and a target interval of 500."""
    lr = math.log10(params["learning_rate"]) + 3
    target = math.log10(params["target_update_interval"]) - 2.7
    return math.exp(-(lr**2) / 0.8 - target**2 / 4 - (params["exploration_fraction"] - 0.2) ** 2)


def curve(rng: np.random.Generator, skill: float, points: int) -> tuple[CurvePoint, ...]:
    out = []
    for i, step in enumerate(GRID[:points]):
        progress = 1 / (1 + math.exp(-8 * (i / len(GRID) - 0.75 + 0.7 * skill)))
        mean = 10 + 490 * skill**0.5 * progress
        returns = np.clip(np.round(rng.normal(mean, 8 + 40 * (1 - skill), 10)), 8, 500)
        metrics = {
            "loss": float(0.01 + 2 * (1 - skill) * rng.random()),
            "q_value": float(60 * skill * progress + rng.normal(0, 2)),
            "epsilon": max(0.05, 1 - i / 4),
            "train_return": float(mean * 0.8),
            "train_episodes": 40.0,
        }
        out.append(CurvePoint(step, tuple(float(r) for r in returns), metrics))
    return tuple(out)


def trial(
    number: int, outcome: str = "completed", *, rng: np.random.Generator | None = None, **changes: Any
) -> TrialRow:
    rng = rng or np.random.default_rng(number)
    params = sampled(rng)
    if number > 10:  # the sampler has learnt
        params["learning_rate"] = float(np.clip(10 ** rng.normal(-3, 0.5), 1e-5, 1e-2))
    points = {"completed": 10, "pruned": int(rng.integers(4, 9)), "diverged": 3, "timed_out": 5, "running": 2}.get(
        outcome, 0
    )
    evaluations = curve(rng, quality(params), points)
    late = [p.mean for p in evaluations[-4:]]
    steps = evaluations[-1].step if evaluations else 0
    begun = START + timedelta(seconds=9 * (number // 4) + number % 4)
    seconds = 3 + steps / 2_500
    states = {"completed": "COMPLETE", "running": "RUNNING", "failed": "FAIL", "lost": "FAIL", "waiting": "WAITING"}
    row = TrialRow(
        number=number,
        state=states.get(outcome, "PRUNED"),
        outcome=outcome,
        score=sum(late) / len(late) if outcome == "completed" else None,
        params=params,
        hyperparameters=resolved(params),
        curves={0: evaluations} if evaluations else {},
        seeds={0: 1_000_003 * (number + 1) % 2**31},
        steps=steps,
        duration_s=seconds,
        started=begun,
        finished=None if outcome == "running" else begun + timedelta(seconds=seconds),
        reason={
            "diverged": "loss became inf at step 15,212",
            "failed": "ValueError: observation is not finite",
            "lost": "worker 2 ended (signal 9)",
            "timed_out": "30 s of training time used up",
        }.get(outcome, ""),
    )
    return dataclasses.replace(row, **changes)


def study(trials: tuple[TrialRow, ...] | list[TrialRow], **changes: Any) -> StudyData:
    scored = [t for t in trials if t.score is not None]
    informative = len({t.score for t in scored}) > 1
    data = StudyData(
        name="dqn-native-CartPole-v1",
        recipe={
            "env": "CartPole-v1",
            "algo": "dqn",
            "backend": "native",
            "space": "default",
            "objective": "late",
            "trials": 60,
            "seeds_per_trial": 1,
            "sampler": "tpe",
            "pruner": "median",
            "eval_episodes": None,
            "seed": 0,
        },
        space=SPACE,
        grid=GRID,
        trials=tuple(trials),
        importances=IMPORTANCES if informative else {},
        importance_trials=len(scored) if informative else 0,
        provenance={
            "tuner": "0.1.0",
            "python": "3.11.9",
            "packages": {"torch": "2.13.0", "optuna": "5.0.0"},
            "command": "tune --env CartPole-v1 --trials 60",
            "cpu": "4 cores",
        },
        reward_threshold=475.0,
    )
    return dataclasses.replace(data, **changes)


def cartpole() -> StudyData:
    """60 trials: 10 random ones first, then about a third pruned, three diverged, two failed."""
    rng = np.random.default_rng(7)
    rows = []
    for number in range(60):
        outcome = {13: "diverged", 28: "diverged", 44: "diverged", 21: "failed", 37: "failed"}.get(number)
        if outcome is None:
            outcome = "pruned" if number >= 10 and rng.random() < 0.4 else "completed"
        rows.append(trial(number, outcome, rng=rng))
    return study(rows)


def confirm_run(phase: str, replicate: int, skill: float, *, flat: float | None = None, **changes: Any) -> ConfirmRun:
    rng = np.random.default_rng([replicate, 1 if phase == "select" else 2, int(1000 * skill)])
    points = curve(rng, float(np.clip(skill + rng.normal(0, 0.12), 0.02, 1)), 10)
    if flat is not None:
        points = tuple(CurvePoint(p.step, (flat,) * 10) for p in points)
    run = ConfirmRun(phase, replicate, 1000 * replicate + 7, "completed", points, GRID[-1], 20.0)
    return dataclasses.replace(run, **changes)


def contestant(key: str, role: str, skill: float, select: int, verdict: int, **changes: Any) -> Contestant:
    flat = changes.pop("flat", None)
    runs = [confirm_run("select", i, skill, flat=flat) for i in range(select)]
    runs += [confirm_run("verdict", i, skill, flat=flat) for i in range(verdict)]
    values = resolved(sampled(np.random.default_rng(len(key))))
    row = Contestant(key, role, key, None, "native", values, None, tuple(runs))
    return dataclasses.replace(row, **changes)


def confirmation(data: StudyData, *, winner: int = 1, verdict: int = 10, **changes: Any) -> Confirmation:
    """Five finalists, of which two are dropped early; the winner is not the search's favourite; three baselines."""
    finalists = []
    plan = zip(data.ranked, (0.55, 0.9, 0.8, 0.4, 0.7), (9, 9, 9, 5, 9), strict=False)
    for i, (trial, skill, select) in enumerate(plan):
        row = contestant(
            f"t{trial.number}", "finalist", skill, select, verdict if i == winner else 0,
            name=f"trial {trial.number}", trial=trial.number, search_score=trial.score,
            dropped_after=5 if select == 5 else None, hyperparameters=trial.hyperparameters,
        )  # fmt: skip
        finalists.append(row)
    baselines = [
        contestant("defaults", "defaults", 0.25, 0, verdict, name="defaults"),
        contestant("startup", "startup", 0.6, 0, verdict, name="trial 3", trial=3),
        contestant("zoo", "zoo", 0.88, 0, verdict, name="RL Zoo"),
    ]
    made = Confirmation(
        study=data.name, objective="late", grid=GRID, contestants=(*finalists, *baselines),
        winner_key=finalists[winner].key if finalists else None, complete=True, seeds=10,
        searched_steps=data.steps_spent, steps_spent=sum(r.steps for c in (*finalists, *baselines) for r in c.runs),
        tied=(finalists[2].name,) if len(finalists) > 2 else (),
        settings={"confirm": 5, "confirm_seeds": 10, "confirm_budget": 1.0},
    )  # fmt: skip
    return dataclasses.replace(made, **changes)


def confirmed() -> StudyData:
    data = cartpole()
    return dataclasses.replace(data, confirmation=confirmation(data))


def confirmed_flat(value: float, *, trials: int = 4, **changes: Any) -> StudyData:
    """A study in which every episode of the search and of the confirm stage returns ``value``."""

    def flat(points: tuple[CurvePoint, ...], late: int) -> tuple[CurvePoint, ...]:
        return tuple(CurvePoint(p.step, (value,) * (late if p.step > 35_000 else 10)) for p in points)

    rows = []
    for number in range(trials):
        row = trial(number)
        curves = {0: flat(row.curves[0], 10)}
        late = [p.mean for p in curves[0][-4:]]
        rows.append(dataclasses.replace(row, curves=curves, score=sum(late) / len(late)))
    data = study(rows, **changes)
    made = confirmation(data)
    contestants = tuple(
        dataclasses.replace(c, runs=tuple(dataclasses.replace(r, curve=flat(r.curve, 50)) for r in c.runs))
        for c in made.contestants
    )
    return dataclasses.replace(data, confirmation=dataclasses.replace(made, contestants=contestants))
