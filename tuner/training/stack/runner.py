"""Drives one stack: rounds of collect, evaluate, report, learn.

Lanes do not step in lockstep. In a round each lane collects until something is due (a training call or an evaluation)
and then waits, so that the training calls of all lanes happen together, whatever their clocks say. Nothing a lane
computes depends on that schedule.
"""

from __future__ import annotations

import contextlib
import functools
import math
import time
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from tuner.agents.dqn.seams import NumericPath
from tuner.agents.dqn.stack import DQNStack
from tuner.agents.dqn.stepped import neighbours
from tuner.contract.outcome import EvalPoint
from tuner.contract.roles import Dispatcher, EndObserver, close_observer
from tuner.contract.rules import native_path
from tuner.contract.spec import RunId, RunSpec
from tuner.envs.bare import BareEnv
from tuner.envs.encoders import encoder_for
from tuner.envs.journal import Journal
from tuner.training.evaluation import Evaluator
from tuner.training.run_checkpoint import Checkpoints
from tuner.training.stack.allocation import keep_freed_memory
from tuner.training.stack.lane import LaneRun, charge
from tuner.training.stack.run_state import restore_run, run_state
from tuner.training.stack.staging import Stage

Array = NDArray[Any]


class StackRunner:
    """A stack of K lanes and the runs on them.

    Args:
        example: Any run of the stack's shape.
        lanes: K.
        observer: Watches single runs, or None.
        numeric_path: How gradient steps are computed; None takes what the run's rules say.
        dtype: Floating-point type of all numbers.
        threads: Threads of a convolution.
        checkpoints: Where long runs are saved, or None.
    """

    def __init__(
        self,
        example: RunSpec,
        lanes: int,
        observer: EndObserver | None = None,
        numeric_path: NumericPath | None = None,
        dtype: DTypeLike = np.float32,
        threads: int = 1,
        checkpoints: Checkpoints | None = None,
    ) -> None:
        probe = BareEnv.make(example.env)
        try:
            self._encoder = encoder_for(probe.env.observation_space, example.rules.picture_scale)
            n_actions = int(probe.env.action_space.n)  # type: ignore[attr-defined]
        finally:
            probe.close()
        hyperparameters: Any = example.hyperparameters
        path = numeric_path or native_path(example.rules.update_path, example.device, self._encoder.image)
        if numeric_path is None and path == "compiled" and not hyperparameters.compiles(example.rules.update_path):
            path = "numpy"  # torch for images
        if self._encoder.image is not None and (path != "compiled" or not hyperparameters.compiles()):
            import torch  # all others do without

            torch.set_num_threads(threads)
            keep_freed_memory()
        self._stack = DQNStack(
            self._encoder,
            n_actions,
            hyperparameters,
            lanes=lanes,
            capacity=min(example.n_timesteps, 10_000_000),
            numeric_path=path,
            device=example.device,
            dtype=dtype,
            reward_clip=example.rules.reward_clip,
        )
        self._normalizer = self._stack.normalizer
        self._evaluator = Evaluator(example.env, example.evaluation, example.rules.picture_scale)
        self._runs: list[LaneRun | None] = [None] * lanes
        self._observer = observer
        self._checkpoints = checkpoints
        #: Evaluations of runs that went on from a file, still to be reported.
        self._recalled: list[EvalPoint] = []
        #: Stored observation each lane acts on next, flat.
        self._current = np.zeros((lanes, self._stack.memory.observation_size), dtype)
        self._stage = Stage(self._stack.memory, lanes)

    @property
    def free(self) -> int:
        """Lanes without a run."""
        return self._runs.count(None)

    @property
    def active(self) -> list[LaneRun]:
        """Runs in progress, by lane."""
        return [run for run in self._runs if run is not None and run.ended is None]

    def start(self, spec: RunSpec) -> None:
        """Begin a run on the lowest free lane, so that lanes in use stay neighbours.

        Raises:
            Exception: Whatever making or resetting the environment raises; the lane stays free.
        """
        index = self._runs.index(None)
        run, files = self._begin(spec, index), self._checkpoints
        saved = files.load(spec) if files is not None else None
        if files is not None and saved is not None:
            if restore_run(run, self._stack, self._current[index], saved, self._encoder.store):
                self._recalled += run.points
            else:
                run.env.close()
                files.refused(spec)
                run = self._begin(spec, index)
        self._runs[index] = run

    def round(self, dispatcher: Dispatcher) -> bool:
        """Let every run collect, evaluate and learn once; return whether anything was reported or ended."""
        with np.errstate(all="ignore"):  # divergence is an outcome, found by looking at the numbers
            self._collect()
            recalled, self._recalled = self._recalled, []
            points = recalled + self._evaluate()
            if points:
                stop = dispatcher.report(points)
                for run in self.active:
                    if run.spec.run_id in stop:
                        run.end("stopped")
            self._learn()
        self._save({point.run_id for point in points})
        ended = [run for run in self._runs if run is not None and run.ended is not None]
        for run in ended:
            self._release(run)
            assert run.ended is not None
            dispatcher.finish(run.ended)
        return bool(points or ended)

    def close(self) -> None:
        """Release all environments; what closing them raises is no fault of a run any more."""
        for close in (*(run.env.close for run in self._runs if run is not None), self._evaluator.close):
            with contextlib.suppress(Exception):
                close()

    # -- begin, and go on ---------------------------------------------------------------------------------------------

    def _begin(self, spec: RunSpec, index: int) -> LaneRun:
        run = LaneRun.begin(spec, index, close_observer(self._observer))
        try:
            self._current[index] = self._encoder.store(run.env.reset(seed=run.environment_seed()))
            self._stack.start(index, run.hyperparameters, spec.seed, spec.n_timesteps, spec.schedules_over)
            self._normalizer.arrived(slice(index, index + 1), self._current[index : index + 1])
            run.journal = Journal(run.env) if self._checkpoints is not None else None
        except BaseException:
            run.env.close()
            raise
        return run

    def _save(self, evaluated: set[RunId]) -> None:
        """Save the long ones of the runs that were just evaluated."""
        if self._checkpoints is None:
            return
        for run in self.active:
            if run.spec.run_id in evaluated and self._checkpoints.due(run.saved_at):
                self._checkpoints.save(run.spec, run_state(run, self._stack, self._current[run.index]))
                run.saved_at = time.monotonic()

    # -- collect ------------------------------------------------------------------------------------------------------

    def _collect(self) -> None:
        runs, started = self.active, time.perf_counter()
        stretches = {run.index: run.stretch() for run in runs}
        longest = max(stretches.values())
        self._stage.reserve(longest)
        for run in runs:
            self._stage.plan(run.index, *self._stack.explore(run.index, stretches[run.index]))
        changes = {0, *stretches.values()}
        going, blocks = runs, [slice(0, 0)]
        for step in range(longest):
            if step in changes or any(run.ended is not None for run in going):
                going = [run for run in going if run.ended is None and stretches[run.index] > step]
                blocks = neighbours([run.index for run in going])
            self._step(going, blocks, step)
        for run in runs:
            if run.ended is None:
                steps = stretches[run.index]
                self._absorb(run, self._stage.rows[run.index, :steps], self._stage.ends[run.index, :steps])
        charge([(run, stretches[run.index]) for run in runs], started)

    def _step(self, going: list[LaneRun], blocks: list[slice], step: int) -> None:
        """Take one environment step on each lane and stage its transition."""
        stage, current, store = self._stage, self._current, self._encoder.store
        chosen: list[int] = []
        for block in blocks:
            observations = stage.parts.observations[block, step]
            observations[:, :-1] = current[block]
            explores, random_actions = stage.explores[block, step], stage.random_actions[block, step]
            chosen += self._stack.act(block, observations, explores, random_actions).tolist()
        for run, action in zip(going, chosen, strict=True):
            lane = stage.lanes[run.index]
            try:
                observation, reward, terminated, truncated = run.env.step(action)
                stored = store(observation)
                lane.next_observations[step] = stored
                lane.rewards[step] = reward
                lane.discounts[step] = 0.0 if terminated else run.gamma
                lane.actions[step] = action
                run.episode_return += reward
                run.episode_length += 1
                if terminated or truncated:
                    lane.ends[step] = True
                    run.episode_ended(run.clock + step + 1)
                    if run.journal is not None:
                        run.journal.before_reset()
                    stored = store(run.env.reset())
                current[run.index] = stored
            except Exception as error:
                run.clock += step + 1  # where it was
                run.fail(error)
        if self._normalizer.active:
            for block in blocks:
                self._normalizer.arrived(block, current[block])
                self._normalizer.earned(block, stage.parts.rewards[block, step], stage.ends[block, step])

    def _absorb(self, run: LaneRun, rows: Array, ends: Array) -> None:
        """Hand a stretch of experience to the agent, unless it holds a number that is not finite."""
        if not np.isfinite(rows).all():
            bad = int(np.flatnonzero(~np.isfinite(rows).all(axis=1))[0])
            field = "observation" if np.isfinite(self._stack.memory.unpack(rows).rewards[bad]) else "reward"
            run.clock += bad + 1
            run.end("diverged", f"{field} is not finite at step {run.clock}")
            return
        self._stack.observe(run.index, rows, ends)
        if run.journal is not None:
            parts = self._stack.memory.unpack(rows)
            run.journal.add(parts.actions, ends, parts.next_observations[:, :-1], parts.rewards)
        run.clock += len(rows)

    # -- evaluate -----------------------------------------------------------------------------------------------------

    def _evaluate(self) -> list[EvalPoint]:
        for run in self.active:
            if run.at_grid and not self._stack.finite(run.index):  # the last loss is of the weights before it
                run.end("diverged", f"weights are not finite at step {run.clock}")
        due = [run for run in self.active if run.at_grid]
        points = []
        for episodes in sorted({run.spec.episodes_at(run.clock) for run in due}):
            together = [run for run in due if run.spec.episodes_at(run.clock) == episodes]
            started = time.perf_counter()
            results = self._play(together)
            steps = [sum(result[1]) if result is not None else 0 for result in results]
            shares = charge(list(zip(together, steps, strict=True)), started)
            for run, result, seconds in zip(together, results, shares, strict=True):
                if result is None:
                    continue
                returns, lengths = result
                if not np.isfinite(returns).all():
                    run.end("diverged", f"evaluation return is not finite at step {run.clock}")
                else:
                    points.append(run.evaluated(returns, lengths, seconds))
                    if self._observer is not None:
                        self._observer.on_evaluated(points[-1], functools.partial(self._stack.weights, run.index))
        return points

    def _play(self, due: list[LaneRun]) -> list[tuple[tuple[float, ...], tuple[int, ...]] | None]:
        """Evaluate some runs side by side; an environment that raises ends only its own run."""
        if not due:
            return []
        try:
            policies = self._stack.greedy_policy([run.index for run in due])
            seeds = [run.spec.evaluation_seed_at(run.clock) for run in due]
            return list(self._evaluator.evaluate(seeds, policies, due[0].spec.episodes_at(due[0].clock)))
        except Exception as error:
            with contextlib.suppress(Exception):
                self._evaluator.close()
            if len(due) == 1:
                due[0].fail(error)
                return [None]
            return [self._play([run])[0] for run in due]

    # -- learn --------------------------------------------------------------------------------------------------------

    def _learn(self) -> None:
        self._train([run for run in self.active if run.learns_now])

    def _train(self, runs: list[LaneRun]) -> None:
        due, started = {run.index: run for run in runs}, time.perf_counter()
        for lane, (loss, q_value) in self._stack.learn(list(due)).items():
            run = due[lane]
            for name, value in (("loss", loss), ("Q-value", q_value)):
                if not math.isfinite(value):
                    run.end("diverged", f"{name} is {value} at step {run.clock}")
            run.trained(loss, q_value)
        charge([(run, run.updates_per_call) for run in runs], started)

    def _release(self, run: LaneRun) -> None:
        if self._observer is not None:
            self._observer.on_end(run.spec.run_id, self._stack.weights(run.index))
        if self._checkpoints is not None:
            self._settle(run, self._checkpoints)
        self._runs[run.index] = None
        run.close()

    def _settle(self, run: LaneRun, files: Checkpoints) -> None:
        """Keep the file of a run that has ended, or remove it."""
        assert run.ended is not None
        if files.keeps_ended and run.ended.kind in ("completed", "stopped"):
            if run.training_call_due:  # a longer run makes it after this evaluation
                self._train([run])
            files.save(run.spec, run_state(run, self._stack, self._current[run.index]))
        elif run.ended.kind != "stopped":  # an interrupted one will go on
            files.discard([run.spec])
