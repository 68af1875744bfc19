"""A dispatcher that hands out a list of runs and keeps what comes back."""

from __future__ import annotations

from tuner.contract.grid import evaluation_grid
from tuner.contract.outcome import EvalPoint, Outcome
from tuner.contract.roles import DONE
from tuner.contract.spec import EvaluationSpec, RunId, RunSpec
from tuner.envs.spec import EnvSpec
from tuner.hyperparameters import DQNHyperparameters

SMALL = {"batch_size": 16, "net_arch": (16, 16), "learning_rate": 2e-3, "train_freq": 8, "gradient_steps": 4,
         "learning_starts": 50, "target_update_interval": 20, "exploration_fraction": 0.5}  # fmt: skip

#: Settings of many kinds, nearly all of one shape.
MIXED = [
    {},
    {"learning_rate": 1e-4, "buffer_size": 70},
    {"train_freq": 16, "gradient_steps": -1, "tau": 0.3},
    {"train_freq": 1, "gradient_steps": 1, "exploration_schedule": "exponential"},
    {"train_freq": 7, "gradient_steps": 3, "gamma": 0.9},
    {"train_freq": 250, "gradient_steps": 2, "learning_starts": 0},
    {"net_arch": (8,)},
    {"double_q": True, "loss": "mse"},
    {"n_steps": 3, "train_freq": 5},
    {"prioritized": True, "dueling": True, "n_steps": 4, "train_freq": 2, "gradient_steps": 1},
    {"normalize_observations": True, "normalize_rewards": True},
    {"normalize_observations": True, "prioritized": True, "dueling": True, "train_freq": 5},
    {"learning_rate_schedule": "cosine"},
    {"learning_rate_schedule": "linear", "train_freq": 5},
    {"munchausen": True, "munchausen_tau": 0.2},
    {"munchausen": True, "double_q": True, "prioritized": True, "munchausen_alpha": 0.5},
    {"layer_norm": True},
    {"layer_norm": True, "prioritized": True, "munchausen": True, "train_freq": 5},
    {"quantiles": 4, "normalize_observations": True},
    {"noisy": True, "learning_starts": 0},
    {"noisy": True, "prioritized": True, "dueling": True, "layer_norm": True, "train_freq": 5, "noisy_sigma": 0.1},
    {"quantiles": 3, "prioritized": True, "munchausen": True, "dueling": True, "n_steps": 2},
    {"normalize_rewards": True, "n_steps": 6, "gamma": 0.3},
]


class Desk:
    """Hands out ``specs`` in order; stops the runs in ``stop_at`` at their given step."""

    def __init__(self, specs: list[RunSpec], stop_at: dict[RunId, int] | None = None) -> None:
        self.specs = list(specs)
        self.stop_at = stop_at or {}
        self.points: dict[RunId, list[EvalPoint]] = {}
        self.outcomes: dict[RunId, Outcome] = {}
        self.weights: dict = {}
        self.evaluated: dict = {}
        self.updates: dict[RunId, list] = {}
        self.episodes: dict[RunId, list] = {}

    def take(self, open_shapes, *, block):
        return self.specs.pop(0) if self.specs else DONE

    def report(self, points):
        for point in points:
            self.points.setdefault(point.run_id, []).append(point)
        return frozenset(p.run_id for p in points if p.step >= self.stop_at.get(p.run_id, 10**9))

    def finish(self, outcome):
        assert outcome.run_id not in self.outcomes, "a run is finished exactly once"
        self.outcomes[outcome.run_id] = outcome

    # the observer's side
    def on_episode(self, run_id, step, episode_return, length):
        self.episodes.setdefault(run_id, []).append((step, episode_return, length))

    def on_update(self, run_id, step, loss, q_value, epsilon):
        self.updates.setdefault(run_id, []).append((step, loss, q_value, epsilon))

    def on_evaluated(self, point, weights):
        self.evaluated[point.run_id, point.step] = {name: array.copy() for name, array in weights().items()}

    def on_end(self, run_id, weights):
        self.weights[run_id] = weights


def make_spec(trial: int, env: str = "CartPole-v1", steps: int = 600, evaluations: int = 3, **changes) -> RunSpec:
    seed = changes.pop("seed", 1000 + trial)
    backend = changes.pop("backend", "native")
    kwargs = changes.pop("kwargs", ())
    return RunSpec(
        RunId(trial), EnvSpec(env, kwargs), backend, DQNHyperparameters(**{**SMALL, **changes}), seed,
        evaluation_grid(steps, evaluations), EvaluationSpec(episodes=3, seed=77, max_steps=200),
    )  # fmt: skip
