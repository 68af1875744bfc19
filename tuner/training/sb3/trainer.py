"""The Stable-Baselines3 backend: its own DQN, one ``learn()`` per run, watched by a callback.

Stable-Baselines3's schedules depend on one uninterrupted ``learn(total_timesteps)``: a run cut into several calls would
stretch epsilon. So the callback evaluates and reports at the grid steps, and ends ``learn()`` at the last one or when
told to stop.
"""

from __future__ import annotations

import contextlib
import math
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from stable_baselines3 import DQN
from stable_baselines3.common.buffers import NStepReplayBuffer, ReplayBuffer
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.type_aliases import ReplayBufferSamples
from stable_baselines3.common.vec_env import DummyVecEnv

from tuner import seeding
from tuner.contract.outcome import EvalPoint, Outcome, OutcomeKind
from tuner.contract.roles import Dispatcher, RunObserver
from tuner.contract.spec import RunSpec
from tuner.envs.encoders import Encoder, encoder_for
from tuner.envs.make import make
from tuner.errors import DivergedError, InputError
from tuner.hyperparameters import DQNHyperparameters, Hyperparameters, beyond_sb3, field_infos
from tuner.training.evaluation import Evaluator
from tuner.training.sb3.global_streams import global_streams_kept
from tuner.training.sb3.inputs import for_sb3, normalized, policy_arguments, statistics
from tuner.training.stack.lane import describe

Array = NDArray[Any]


def constructor_arguments(
    hyperparameters: Hyperparameters, n_timesteps: int, encoder: Encoder | None = None
) -> dict[str, Any]:
    """Return the keyword arguments of Stable-Baselines3's ``DQN`` for a run, without ``env``, ``seed`` and ``device``.

    The names are the same; ``net_arch`` goes into ``policy_kwargs``. ``buffer_size`` is cut to the run's budget: a run
    of ``n_timesteps`` steps cannot fill more, so nothing but the memory changes. An exported YAML keeps the
    uncut value, since its reader may train longer.

    Args:
        hyperparameters: The run's.
        n_timesteps: The run's budget in environment steps.
        encoder: Of its observations: images get a ``CnnPolicy``.

    Raises:
        InputError: Not DQN, or an option is on that Stable-Baselines3 does not have.
    """
    if not isinstance(hyperparameters, DQNHyperparameters):
        raise InputError(f"--backend sb3 trains dqn only, got '{hyperparameters.algorithm}'. Use --backend native.")
    foreign = beyond_sb3(hyperparameters)
    if foreign:
        settings = ", ".join(f"{name}={getattr(hyperparameters, name)}" for name in foreign)
        raise InputError(f"Stable-Baselines3's DQN has no {settings}. Leave it out, or use --backend native.")
    values = hyperparameters.to_mapping()
    arguments = {info.name: values[info.name] for info in field_infos(type(hyperparameters)).values() if info.sb3}
    for name in hyperparameters.wrapped:
        del arguments[name]
    arguments |= policy_arguments(encoder, arguments.pop("net_arch"))
    arguments["buffer_size"] = min(hyperparameters.buffer_size, n_timesteps)
    return arguments


class SB3Trainer:
    """Trains one run after the other with Stable-Baselines3.

    Args:
        observer: Watches single runs, or None.
    """

    def __init__(self, observer: RunObserver | None = None) -> None:
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
                kind, reason, detail = "failed", describe(error), "".join(traceback.format_exception(error))
            if self._observer is not None and run.model is not None:
                state = run.model.q_net.state_dict()
                weights = {name: value.cpu().numpy() for name, value in state.items()}
                self._observer.on_end(spec.run_id, weights | statistics(run.model.get_vec_normalize_env()))
        return Outcome(spec.run_id, kind, run.step, run.elapsed_s, reason, detail)


def build_model(spec: RunSpec, resources: contextlib.ExitStack) -> _WatchedDQN:
    """Make the environment and the model on it; ``resources`` closes the environment."""
    env = make(spec.env, training=True)
    resources.callback(env.close)
    encoder = encoder_for(env.observation_space)
    arguments = constructor_arguments(spec.hyperparameters, spec.n_timesteps, encoder)
    vectorized = normalized(DummyVecEnv([lambda: Monitor(for_sb3(env))]), spec.hyperparameters, encoder)
    n_steps = arguments.pop("n_steps")  # with a replay memory of one's own, the memory is told instead
    memory: dict[str, Any] = {"replay_buffer_class": _WatchedReplay}
    if n_steps > 1:
        memory["replay_buffer_class"] = _WatchedNStepReplay
        memory["replay_buffer_kwargs"] = {"n_steps": n_steps, "gamma": arguments["gamma"]}
    model = _WatchedDQN(env=vectorized, seed=spec.seed, device=spec.device, **memory, **arguments)
    model.image = encoder.image
    # After the constructor, which seeds the environment with the model's seed.
    vectorized.seed(int(seeding.stream(spec.seed, "environment").integers(2**31)))
    return model


@dataclass
class _Run:
    """One run in progress: its place on the grid, its means since the last point, its stopwatch."""

    spec: RunSpec
    dispatcher: Dispatcher
    observer: RunObserver | None
    step: int = 0
    decided: OutcomeKind = "completed"
    seam_error: Exception | None = None
    model: _WatchedDQN | None = None
    _evaluator: Evaluator | None = None
    _points: int = 0
    _losses: list[float] = field(default_factory=list)
    _q_values: list[float] = field(default_factory=list)
    _train_returns: list[float] = field(default_factory=list)
    _started: float = field(default_factory=time.perf_counter)

    @property
    def elapsed_s(self) -> float:
        """Seconds spent on this run, evaluation included, waiting for the dispatcher excluded."""
        return time.perf_counter() - self._started

    def learn(self, model: _WatchedDQN, resources: contextlib.ExitStack) -> None:
        """Train to the last grid point, or until told to stop."""
        self.model = model
        self._evaluator = Evaluator(self.spec.env, self.spec.evaluation)
        resources.callback(self._evaluator.close)
        model.after_training_call = self._trained
        with np.errstate(all="ignore"):  # divergence is an outcome, found by looking at the numbers
            model.learn(total_timesteps=self.spec.n_timesteps, callback=_EveryStep(self._stepped))

    def _stepped(self, model: _WatchedDQN, local: Mapping[str, Any]) -> bool:
        """Look at the step just taken (before it is stored); return whether to go on."""
        self.step = model.num_timesteps
        done, info = bool(local["dones"][0]), local["infos"][0]
        following = info["terminal_observation"] if done else local["new_obs"]
        if not math.isfinite(local["rewards"][0]):
            raise DivergedError(f"reward is not finite at step {self.step}")
        if not np.isfinite(following).all():
            raise DivergedError(f"observation is not finite at step {self.step}")
        if done:
            episode = info["episode"]
            self._train_returns.append(float(episode["r"]))
            if self.observer is not None:
                self.observer.on_episode(self.spec.run_id, self.step, float(episode["r"]), int(episode["l"]))
        return self.step != self.spec.grid[self._points] or self._at_grid(model)

    def _at_grid(self, model: _WatchedDQN) -> bool:
        for parameter in model.q_net.parameters():
            if not torch.isfinite(parameter).all():
                raise DivergedError(f"weights are not finite at step {self.step}")
        with global_streams_kept():  # neither evaluation nor whoever reads the report may move the run's streams
            assert self._evaluator is not None
            ((returns, lengths),) = self._evaluator.evaluate(
                [self.spec.evaluation_seed_at(self.step)], model.greedy_actions, self.spec.episodes_at(self.step)
            )
            if not np.isfinite(returns).all():
                raise DivergedError(f"evaluation return is not finite at step {self.step}")
            point = EvalPoint(self.spec.run_id, self.step, returns, lengths, self.elapsed_s, self._metrics(model))
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

    def _metrics(self, model: _WatchedDQN) -> Mapping[str, float]:
        metrics = {"epsilon": model.epsilon_now(), "train_episodes": float(len(self._train_returns))}
        means = {"loss": self._losses, "q_value": self._q_values, "train_return": self._train_returns}
        for name, values in means.items():
            if values:
                metrics[name] = sum(values) / len(values)
                values.clear()
        return metrics

    def _trained(self, model: _WatchedDQN, loss: float, q_value: float) -> None:
        for name, value in (("loss", loss), ("Q-value", q_value)):
            if not math.isfinite(value):
                raise DivergedError(f"{name} is {value} at step {self.step}")
        self._losses.append(loss)
        self._q_values.append(q_value)
        if self.observer is not None:
            self.observer.on_update(self.spec.run_id, self.step, loss, q_value, model.epsilon_now())


class _EveryStep(BaseCallback):
    """Calls a function after each environment step."""

    model: _WatchedDQN

    def __init__(self, stepped: Callable[[_WatchedDQN, Mapping[str, Any]], bool]) -> None:
        super().__init__()
        self._stepped = stepped

    def _on_step(self) -> bool:
        return self._stepped(self.model, self.locals)


class _WatchedReplay(ReplayBuffer):
    """Remembers the actions of its last minibatch."""

    sampled_actions: torch.Tensor

    def _get_samples(self, batch_inds: Array, env: Any = None) -> ReplayBufferSamples:
        samples = super()._get_samples(batch_inds, env)
        self.sampled_actions = samples.actions
        return samples


class _WatchedNStepReplay(NStepReplayBuffer):
    """Likewise, for n-step returns."""

    sampled_actions: torch.Tensor

    def _get_samples(self, batch_inds: Array, env: Any = None) -> ReplayBufferSamples:
        samples = super()._get_samples(batch_inds, env)
        self.sampled_actions = samples.actions
        return samples


class _WatchedDQN(DQN):
    """DQN that says what its training calls saw. What it learns is Stable-Baselines3's own, number for number."""

    after_training_call: Callable[[_WatchedDQN, float, float], None]
    image: tuple[int, int, int] | None = None

    def _setup_model(self) -> None:
        super()._setup_model()
        self._q_means: list[torch.Tensor] = []
        self.q_net.register_forward_hook(self._note_q_values)

    def _note_q_values(self, module: torch.nn.Module, inputs: Any, output: torch.Tensor) -> None:
        if torch.is_grad_enabled():  # only the pass whose loss is minimised
            assert isinstance(self.replay_buffer, _WatchedReplay | _WatchedNStepReplay)
            taken = output.detach().gather(1, self.replay_buffer.sampled_actions.long())
            self._q_means.append(taken.mean())

    def train(self, gradient_steps: int, batch_size: int = 100) -> None:
        """Do the gradient steps, then hand their mean loss and mean Q-value of the actions taken on."""
        self._q_means.clear()
        super().train(gradient_steps, batch_size)
        q_value = float(torch.stack(self._q_means).mean())
        self.after_training_call(self, float(self.logger.name_to_value["train/loss"]), q_value)

    def epsilon_now(self) -> float:
        """Probability that the next action is random (Stable-Baselines3 sets it only after the callback)."""
        return float(self.exploration_schedule(1.0 - float(self.num_timesteps) / float(self._total_timesteps)))

    def greedy_actions(self, inputs: Array) -> Array:
        """Return action indices ``[...]`` for network inputs ``[..., input_size]``."""
        with torch.no_grad():
            normalizer = self.get_vec_normalize_env()
            if normalizer is not None:  # does not take them in: statistics are those of training
                inputs = np.asarray(normalizer.normalize_obs(inputs))
            rows = torch.as_tensor(inputs.reshape(-1, inputs.shape[-1]), device=self.device)
            if self.image is not None:  # already in [0, 1]
                rows = self.q_net.features_extractor(rows.view(-1, *self.image))
            best: Array = self.q_net.q_net(rows).argmax(dim=1).cpu().numpy()
        return best.reshape(inputs.shape[:-1])
