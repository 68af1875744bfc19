"""The Stable-Baselines3 backend: its own algorithms, one ``learn()`` per run, watched by a callback.

Stable-Baselines3's schedules depend on one uninterrupted ``learn(total_timesteps)``: a run cut into several calls would
stretch epsilon. So the callback evaluates and reports at the grid steps, and ends ``learn()`` at the last one or when
told to stop.
"""

from __future__ import annotations

import contextlib
import functools
import math
import time
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.logger import Logger
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import DummyVecEnv

from tuner import seeding
from tuner.contract.outcome import EvalPoint, Outcome, OutcomeKind, described
from tuner.contract.roles import Dispatcher, EndObserver, RunObserver, close_observer
from tuner.contract.spec import RunSpec
from tuner.envs.encoders import encoder_for
from tuner.envs.make import AnyEnv, make
from tuner.errors import DivergedError
from tuner.hyperparameters.sb3 import OnPolicy
from tuner.training.evaluation import Evaluator
from tuner.training.sb3.arguments import constructor_arguments, noise_arguments
from tuner.training.sb3.global_streams import global_streams_kept
from tuner.training.sb3.inputs import for_sb3, normalized, what_is_normalized
from tuner.training.sb3.models import after_training_calls, epsilon_now, greedy, model_class, weights_of


class SB3Trainer:
    """Trains one run after the other with Stable-Baselines3.

    Args:
        observer: Watches single runs, or None.
    """

    def __init__(self, observer: EndObserver | None = None) -> None:
        self._observer = observer
        torch.set_num_threads(1)

    def train(self, dispatcher: Dispatcher) -> None:
        """Take, train and finish runs until the dispatcher says DONE."""
        while isinstance(spec := dispatcher.take({}, block=True), RunSpec):
            dispatcher.finish(self._train_one(spec, dispatcher))

    def _train_one(self, spec: RunSpec, dispatcher: Dispatcher) -> Outcome:
        run = _Run(spec, dispatcher, self._observer)
        with global_streams_kept():
            try:
                with contextlib.ExitStack() as resources:
                    model = build_model(spec, resources)
                    run.learn(model, resources)
                kind, reason, detail = run.decided, "", ""
            except DivergedError as error:
                kind, reason, detail = "diverged", str(error), ""
            except Exception as error:
                if run.seam_error is not None:  # the dispatcher broke, not the run
                    raise run.seam_error from None
                kind, (reason, detail) = "failed", described(error)
                if run.has_diverged():  # a distribution refuses weights that are no numbers
                    kind, reason, detail = "diverged", f"weights are not finite at step {run.step}", ""
            if self._observer is not None and run.model is not None:
                self._observer.on_end(spec.run_id, weights_of(run.model))
        return Outcome(spec.run_id, kind, run.step, run.elapsed_s, reason, detail)


def build_model(
    spec: RunSpec,
    resources: contextlib.ExitStack,
    kind: type[BaseAlgorithm] | None = None,
    *,
    seeded: bool = True,
    shown: Callable[..., AnyEnv] = for_sb3,
) -> BaseAlgorithm:
    """Make the environment and the model on it.

    Args:
        spec: The run.
        resources: Closes the environment.
        kind: The model's class; None takes the one that a training is watched by.
        seeded: Whether it seeds the process, the environment and its spaces. What only holds weights must not: spaces
            may be an attribute of the environment's class, shared with one that is training.
        shown: How the environment is shown to it, :func:`~.inputs.for_sb3` or :func:`~.inputs.as_exported`.
    """
    envs: list[AnyEnv] = []
    for _ in range(getattr(spec.hyperparameters, "n_envs", 1)):
        envs.append(make(spec.env, training=True))
        resources.callback(envs[-1].close)
    encoder = encoder_for(envs[0].observation_space, spec.rules.picture_scale)
    arguments = constructor_arguments(spec.hyperparameters, spec.n_timesteps, encoder)
    normalizing = what_is_normalized(spec.hyperparameters, encoder)
    rollouts = isinstance(spec.hyperparameters, OnPolicy)
    seen = [Monitor(shown(env, encoder, normalizing=normalizing, rollouts=rollouts)) for env in envs]
    arguments |= noise_arguments(spec.hyperparameters, seen[0].action_space)
    # A list of functions, each of which returns its own: a DummyVecEnv refuses one environment twice.
    vectorized = normalized(
        DummyVecEnv([functools.partial(_itself, one) for one in seen]), spec.hyperparameters, encoder
    )
    kind = kind or model_class(spec.hyperparameters)
    with warnings.catch_warnings():
        # A rollout that minibatches do not divide, and networks that a CPU trains faster: the search's to find out.
        warnings.filterwarnings("ignore", category=UserWarning, module="stable_baselines3")
        model = kind(env=vectorized, seed=spec.seed if seeded else None, device=spec.device, **arguments)
    if not seeded:
        return model
    # After the constructor, which seeds the environment with the model's seed.
    vectorized.seed(int(seeding.stream(spec.seed, "environment").integers(2**31)))
    return model


def _itself(env: Monitor[Any, Any]) -> Monitor[Any, Any]:
    return env


@dataclass
class _Run:
    """One run in progress: its place on the grid, its means since the last point, its stopwatch."""

    spec: RunSpec
    dispatcher: Dispatcher
    observer: EndObserver | None
    step: int = 0
    decided: OutcomeKind = "completed"
    seam_error: Exception | None = None
    model: BaseAlgorithm | None = None
    _evaluator: Evaluator | None = None
    _points: int = 0
    _losses: list[float] = field(default_factory=list)
    _q_values: list[float] = field(default_factory=list)
    _train_returns: list[float] = field(default_factory=list)
    _started: float = field(default_factory=time.perf_counter)
    _close_observer: RunObserver | None = field(init=False)

    def __post_init__(self) -> None:
        self._close_observer = close_observer(self.observer)

    @property
    def elapsed_s(self) -> float:
        """Seconds spent on this run, evaluation included, waiting for the dispatcher excluded."""
        return time.perf_counter() - self._started

    def learn(self, model: BaseAlgorithm, resources: contextlib.ExitStack) -> None:
        """Train to the last grid point, or until told to stop."""
        self.model = model
        self._evaluator = Evaluator(self.spec.env, self.spec.evaluation, self.spec.rules.picture_scale)
        resources.callback(self._evaluator.close)
        model.set_logger(Logger(None, []))  # its own would leave an empty folder behind
        after_training_calls(model, self._trained)
        with np.errstate(all="ignore"):  # divergence is an outcome, found by looking at the numbers
            model.learn(total_timesteps=self.spec.n_timesteps, callback=_EveryStep(self._stepped))

    def _stepped(self, model: BaseAlgorithm, local: Mapping[str, Any]) -> bool:
        """Look at the steps just taken (before they are stored), one of each environment; return whether to go on."""
        self.step = taken = min(model.num_timesteps, self.spec.n_timesteps)
        for i, info in enumerate(local["infos"]):
            done = bool(local["dones"][i])
            following = info["terminal_observation"] if done else local["new_obs"][i]
            if not math.isfinite(local["rewards"][i]):
                raise DivergedError(f"reward is not finite at step {self.step}")
            if not np.isfinite(following).all():
                raise DivergedError(f"observation is not finite at step {self.step}")
            if done:
                episode = info["episode"]
                self._train_returns.append(float(episode["r"]))
                if self._close_observer is not None:
                    self._close_observer.on_episode(self.spec.run_id, self.step, float(episode["r"]), int(episode["l"]))
        while taken >= self.spec.grid[self._points]:  # several environments may step over it, and over several
            if not self._at_grid(model):
                return False
        return True

    def has_diverged(self) -> bool:
        """Return whether weights are no finite numbers."""
        parameters = () if self.model is None else self.model.policy.parameters()
        return not all(bool(torch.isfinite(parameter).all()) for parameter in parameters)

    def _at_grid(self, model: BaseAlgorithm) -> bool:
        self.step = self.spec.grid[self._points]
        if self.has_diverged():
            raise DivergedError(f"weights are not finite at step {self.step}")
        with global_streams_kept():  # neither evaluation nor whoever reads the report may move the run's streams
            assert self._evaluator is not None
            returns, lengths, took = self._evaluator.of_run(self.spec, self.step, greedy(model))
            metrics = self._metrics(model)
            point = EvalPoint(self.spec.run_id, self.step, returns, lengths, self.elapsed_s, metrics, took)
            if self.observer is not None:
                self.observer.on_evaluated(point, functools.partial(weights_of, model))
            stop = self._report(point)
        self._points += 1
        if self._points == len(self.spec.grid):
            return False
        if stop:
            self.decided = "stopped"
        return not stop

    def _report(self, point: EvalPoint) -> bool:
        asked = time.perf_counter()
        try:
            stop = self.dispatcher.report([point])
        except Exception as error:
            self.seam_error = error
            raise
        self._started += time.perf_counter() - asked
        return self.spec.run_id in stop

    def _metrics(self, model: BaseAlgorithm) -> Mapping[str, float]:
        metrics = {"train_episodes": float(len(self._train_returns))}
        if (epsilon := epsilon_now(model)) is not None:
            metrics["epsilon"] = epsilon
        means = {"loss": self._losses, "q_value": self._q_values, "train_return": self._train_returns}
        for name, values in means.items():
            if values:
                metrics[name] = sum(values) / len(values)
                values.clear()
        return metrics

    def _trained(self, model: BaseAlgorithm, loss: float | None, q_value: float | None) -> None:
        for name, value, values in (("loss", loss, self._losses), ("Q-value", q_value, self._q_values)):
            if value is not None:
                if not math.isfinite(value):
                    raise DivergedError(f"{name} is {value} at step {self.step}")
                values.append(value)
        if self._close_observer is not None and loss is not None:
            known = [math.nan if value is None else value for value in (q_value, epsilon_now(model))]
            self._close_observer.on_update(self.spec.run_id, self.step, loss, *known)


class _EveryStep(BaseCallback):
    """Calls a function after each environment step."""

    model: BaseAlgorithm

    def __init__(self, stepped: Callable[[BaseAlgorithm, Mapping[str, Any]], bool]) -> None:
        super().__init__()
        self._stepped = stepped

    def _on_step(self) -> bool:
        return self._stepped(self.model, self.locals)
