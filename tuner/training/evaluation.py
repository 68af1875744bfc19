"""Greedy evaluation: the same caps and batched forward pass for every policy, whoever trained it."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tuner import seeding
from tuner.contract.spec import EvaluationSpec, RunSpec
from tuner.envs.actions import Actions
from tuner.envs.bare import BareEnv
from tuner.envs.encoders import encoder_for
from tuner.envs.image_encoder import PICTURE_SCALE
from tuner.envs.spec import EnvSpec
from tuner.errors import DivergedError

Array = NDArray[Any]

#: From network inputs [n_policies, episodes, input_size] to actions [n_policies, episodes, *shape of one].
Act = Callable[[Array], Array]


class Evaluator:
    """Plays evaluation episodes, on environments that no training step touches.

    Args:
        env: The environment.
        evaluation: Episodes and caps, the same for every run of a study.
        picture_scale: Version of the rule that scales pictures.
        tabular: Whether a table plays.
    """

    def __init__(
        self, env: EnvSpec, evaluation: EvaluationSpec, picture_scale: int = PICTURE_SCALE, *, tabular: bool = False
    ) -> None:
        self._spec = env
        self._picture_scale, self._tabular = picture_scale, tabular
        self._evaluation = evaluation
        self._envs: list[BareEnv] = []

    def of_run(
        self, spec: RunSpec, step: int, act: Act, unit: str = "step"
    ) -> tuple[tuple[float, ...], tuple[int, ...], float]:
        """Return what one run's evaluation at a grid step gives: returns, steps of each episode, and seconds it took.

        Args:
            spec: The run.
            step: Of its grid.
            act: Its policy.
            unit: What the grid counts, for the error.

        Raises:
            DivergedError: A return is not finite.
        """
        began = time.perf_counter()
        ((returns, lengths),) = self.evaluate([spec.evaluation_seed_at(step)], act, spec.episodes_at(step))
        if not np.isfinite(returns).all():
            raise DivergedError(f"evaluation return is not finite at {unit} {step}")
        return returns, lengths, time.perf_counter() - began

    def evaluate(
        self, seeds: Sequence[int], act: Act, episodes: int | None = None
    ) -> list[tuple[tuple[float, ...], tuple[int, ...]]]:
        """Play every policy's episodes side by side.

        An episode that has ended stays in the batch (with its last observation): the number of rows must not change,
        since matrix products are bit-equal for equal shapes only.

        Args:
            seeds: Of each of the M policies, that of its first episode; the others follow one by one.
            act: The policies.
            episodes: Of each policy; None takes the evaluation's.

        Returns:
            Per policy: (undiscounted return of each episode, steps of each episode).
        """
        episodes, cap = episodes or self._evaluation.episodes, self._evaluation.max_steps
        n_policies = len(seeds)
        envs = self._pool(n_policies * episodes)
        encoder = encoder_for(envs[0].env.observation_space, self._picture_scale, tabular=self._tabular)
        firsts = [seed + i for seed in seeds for i in range(episodes)]
        stored = np.stack([encoder.store(env.reset(seed=s)) for env, s in zip(envs, firsts, strict=True)])
        returns, lengths = [0.0] * len(envs), [0] * len(envs)
        going = list(range(len(envs)))
        streams = [seeding.stream(seed, "evaluation") for seed in seeds]
        kind = Actions(envs[0].env.action_space)  # type: ignore[arg-type]
        while going:
            inputs = encoder.to_input(stored.reshape(n_policies, episodes, *encoder.storage_shape))
            actions = act(inputs)
            if self._evaluation.epsilon:
                explores = np.stack([s.random(episodes) for s in streams]) < self._evaluation.epsilon  # [M, episodes]
                drawn = np.stack([kind.draw(s, (episodes,)) for s in streams])
                actions = np.where(explores.reshape(*explores.shape, *[1] * len(kind.shape)), drawn, actions)
            chosen = kind.each(actions)
            ended = False
            for i in going:
                observation, reward, terminated, truncated = envs[i].step(chosen[i])
                stored[i] = encoder.store(observation)
                returns[i] += reward
                lengths[i] += 1
                if terminated or truncated or lengths[i] >= cap:
                    lengths[i] = -lengths[i]  # marks the end without a second pass over all episodes
                    ended = True
            if ended:
                going = [i for i in going if lengths[i] > 0]
        steps = [-length for length in lengths]
        return [
            (tuple(returns[p : p + episodes]), tuple(steps[p : p + episodes])) for p in range(0, len(envs), episodes)
        ]

    def close(self) -> None:
        """Release the environments, all of them, whatever closing one raises."""
        with contextlib.ExitStack() as resources:
            while self._envs:
                resources.callback(self._envs.pop().close)

    def _pool(self, size: int) -> list[BareEnv]:
        while len(self._envs) < size:
            self._envs.append(BareEnv.make(self._spec))
        return self._envs[:size]
