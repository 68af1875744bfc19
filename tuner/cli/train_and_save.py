"""One training of ``tune train``: watched, saved as a model that plays and goes on, and told."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tuner.cli.console import INTERRUPTED, decimal, say
from tuner.durable import replace_file, said_of
from tuner.envs.wrapper_names import to_be_named
from tuner.errors import InputError, StudyFailedError
from tuner.text import counted

if TYPE_CHECKING:
    from tuner.cli.train_progress import TrainingWatch
    from tuner.contract.outcome import EvalPoint
    from tuner.contract.spec import RunSpec
    from tuner.envs.make import EnvFacts
    from tuner.training.saved.checkpoint import Begun, TrainingCheckpoint


@dataclass(frozen=True)
class _Trained:
    """A training that has a model.

    Attributes:
        watch: Its log, evaluations and weights.
        checkpoint: What it goes on from.
        solved: Whether it ended at its threshold.
        interrupted: Whether the user ended it.
    """

    watch: TrainingWatch
    checkpoint: TrainingCheckpoint
    solved: bool = False
    interrupted: bool = False


def train_and_save(
    spec: RunSpec,
    folder: Path,
    facts: EnvFacts,
    *,
    threshold: float,
    quiet: bool,
    begun: Begun | None = None,
    events: Path | None = None,
) -> int:
    """Train, save and tell; return the exit code.

    Args:
        spec: The run.
        folder: Of its model.
        facts: Its environment.
        threshold: Mean return of an evaluation at which it ends.
        quiet: Show no progress.
        begun: What it goes on from; None where it starts.
        events: Folder of TensorBoard's files, or None.

    Raises:
        InputError: It cannot go on, or be saved.
        StudyFailedError: It has not come to its end.
    """
    trained = _train(spec, folder, threshold=threshold, quiet=quiet, begun=begun, events=events)
    if trained is None:
        return INTERRUPTED
    plot = _save(trained, spec, folder, facts)
    _tell(trained, spec, folder, facts, threshold, plot)
    return INTERRUPTED if trained.interrupted else 0


def _train(
    spec: RunSpec, folder: Path, *, threshold: float, quiet: bool, begun: Begun | None, events: Path | None
) -> _Trained | None:
    """Train to the end; None where the user has ended it before there was a model."""
    from tuner.cli.train_progress import watch_training
    from tuner.result.threshold import reaches
    from tuner.training.saved.checkpoint import TrainingCheckpoint
    from tuner.training.single import train_once

    with watch_training(spec, quiet=quiet) as watch:
        if begun is not None:
            watch.restore(begun.watched)
        watch.write_events(events)
        checkpoint = TrainingCheckpoint(folder, watch.snapshot, begun)

        def solved(point: EvalPoint) -> bool:
            return point.step > watch.begun and reaches(point.mean_return, threshold)

        outcome = None
        try:
            outcome = train_once(spec, watch, watch.on_point, enough=solved, checkpoints=checkpoint)
        except KeyboardInterrupt:
            if not (watch.points and watch.weights):
                first = next(step for step in spec.grid if step > watch.begun)
                say(f"Interrupted before the evaluation at step {first:,}: there was no model to save into {folder}.")
                return None
    if checkpoint.refusal:
        raise InputError(checkpoint.refusal)
    if outcome is not None and outcome.kind not in ("completed", "stopped"):
        raise StudyFailedError(f"The run {outcome.kind.replace('_', ' ')} at step {outcome.steps}: {outcome.reason}")
    watch.end_events()
    if outcome is None:
        return _Trained(watch, checkpoint, interrupted=True)
    return _Trained(watch, checkpoint, solved=outcome.kind == "stopped")


def _save(trained: _Trained, spec: RunSpec, folder: Path, facts: EnvFacts) -> Path:
    """Write the models of the last and of the best evaluation, the setting and the plot; return the plot's path."""
    from tuner.training.saved.model_files import save_model
    from tuner.training.saved.model_zip import drop_zip
    from tuner.zoo.write import config_yaml

    watch = trained.watch
    assert watch.best is not None
    best, best_weights = watch.best
    drop_zip(folder)
    save_model(folder, spec, watch.weights, watch.points)
    seen = [point for point in watch.points if point.step <= best.step]
    save_model(folder, spec, best_weights, seen, best=True)
    trained.checkpoint.drop_another()
    config = config_yaml(spec.env.id, spec.n_timesteps, spec.hyperparameters, spec.env.arguments(), facts.preprocessing)
    with said_of(folder, "The model is in it."):
        replace_file(folder / "config.yaml", config.encode())
        return watch.write_plot(folder, facts.reward_threshold, _random_mean(facts))


def _tell(trained: _Trained, spec: RunSpec, folder: Path, facts: EnvFacts, threshold: float, plot: Path) -> None:
    """Say what the training has come to, where it lies, and what may be done with it."""
    from tuner.report.words.in_short import nothing_learned

    watch = trained.watch
    assert watch.best is not None
    best, last = watch.best[0], watch.points[-1]
    say(f"Last evaluation: mean return {decimal(last.mean_return)} over {counted(len(last.returns), 'episode')}")
    say(f"Best evaluation: mean return {decimal(best.mean_return)} at step {best.step:,}")
    if learned_nothing := nothing_learned([point.mean_return for point in watch.points], _random_mean(facts)):
        say(learned_nothing)
    if trained.interrupted or trained.solved:
        why = "Interrupted" if trained.interrupted else f"The threshold {decimal(threshold)} is reached"
        say(f"{why}: the model is that of step {last.step:,} of {spec.n_timesteps:,}.")
    say(f"Model: {folder}\nPlot: {plot}")
    if not trained.interrupted:  # nobody waits for more then
        _write_zip(folder, spec)
    _tell_next(trained.checkpoint, spec, folder, whole=last.step >= spec.n_timesteps)


def _tell_next(checkpoint: TrainingCheckpoint, spec: RunSpec, folder: Path, *, whole: bool) -> None:
    """Say the commands that may follow; ``whole`` is a training that has all its steps."""
    module = spec.env.module or spec.env.id.rpartition(":")[0]
    words = [*(["--env-module", module] if module else []), *to_be_named(spec.env.wrapper, module or None)]
    named = shlex.join([str(folder), *words])
    say(f"Next:\n  tune evaluate {named} (--best: of the best evaluation)\n  tune record {named}")
    if checkpoint.size is not None:
        size = f"{checkpoint.size / 1e6:,.1f} MB, replay memory included"
        say(f"  tune train --continue {named}{' --steps N' if whole else ''} ({size})")
    if checkpoint.problem:
        say(f"--continue cannot go on from this end: {checkpoint.problem}.", stderr=True)


def _random_mean(facts: EnvFacts) -> float | None:
    return facts.random_play.mean if facts.random_play is not None else None


def _write_zip(folder: Path, spec: RunSpec) -> None:
    """Write the model for Stable-Baselines3, too, where that has all that it uses; the model is no worse without."""
    from tuner.training.saved.model_zip import VECNORMALIZE, ZIP, lacking

    if not spec.hyperparameters.sb3_class:
        return
    if lack := lacking(spec.hyperparameters):
        say(f"No {ZIP}: {lack}.")
        return
    from tuner.training.sb3.write_zip import write_zip

    try:
        written = write_zip(folder, folder / ZIP, spec.env.module, wrapper=spec.env.wrapper)
    except InputError as error:
        say(f"No {ZIP}: {error}", stderr=True)
    else:
        beside = f", with {VECNORMALIZE}" if written.statistics is not None else ""
        say(f"For Stable-Baselines3: {written.path} ({written.sb3_class}.load reads it{beside})")
