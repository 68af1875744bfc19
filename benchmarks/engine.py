"""Lane-steps per second of processor time: this version, another checkout of it, and Stable-Baselines3, in pairs.

    python benchmarks/engine.py [--pairs 5] [--rows ...] [--other PYTHON] [--without-sb3]

Every side trains CartPole-v1 without evaluations, interleaved pair by pair, each in a process of its own with one
thread, pinned to one core, timed after a short run that loads what there is to load; ratios are medians over pairs.
``--other`` is the interpreter of another checkout's environment (version 0.1.0 or later). Processor time, not the
clock, so that other work on the machine moves a ratio little.

Rows: ``single64``, ``single256``, ``stack64`` and ``stack256`` are RL Zoo's values as in `throughput.py`; ``defaults1``
and ``defaults16`` DQN's defaults (batch 32, a gradient step every fourth step); ``every1`` and ``every8`` a gradient
step of batch 64 after every step, with returns over three; ``mixed`` sixteen settings of sixteen shapes, drawn from the
wide space, in one worker. ``uniform`` prints instead what ``mixed`` reaches of the rate of the same settings, each in a
uniform stack of sixteen. ``minatar`` is MinAtar/Breakout-v1 with the settings of
`learning.py`, one lane; Stable-Baselines3 has the same network there.
"""

from __future__ import annotations

import argparse
import os
import random
import statistics
import subprocess
import sys
import time
from typing import Any

ZOO = {
    "learning_rate": 2.3e-3, "buffer_size": 100_000, "learning_starts": 1000, "batch_size": 64, "gamma": 0.99,
    "target_update_interval": 10, "train_freq": 256, "gradient_steps": 128, "exploration_fraction": 0.16,
    "exploration_final_eps": 0.04,
}  # fmt: skip
#: What keeps libraries to one thread in a child's environment.
THREADS = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
DEFAULTS = {"learning_starts": 1000, "buffer_size": 100_000}
EVERY = {
    "learning_rate": 1e-3, "buffer_size": 10_000, "learning_starts": 100, "batch_size": 64, "train_freq": 1,
    "gradient_steps": 1, "n_steps": 3, "target_update_interval": 500,
}  # fmt: skip
#: As `learning.py`'s, but for a shorter warm-up: what is compared is learning.
MINATAR = {
    "learning_rate": 5e-4, "buffer_size": 100_000, "learning_starts": 500, "batch_size": 32, "train_freq": 4,
    "gradient_steps": 2, "target_update_interval": 1000, "exploration_fraction": 0.2, "exploration_final_eps": 0.02,
    "net_arch": (),
}  # fmt: skip


def mixed() -> list[dict[str, Any]]:
    """Return sixteen settings of as many shapes, within the wide space's ranges, the same each time."""
    rng = random.Random(3)
    shapes = [(batch, net) for batch in (16, 32, 64, 128) for net in ((64,), (64, 64), (128, 128), (256, 256))]
    drawn = []
    for batch, net in shapes:
        train_freq = 2 ** rng.randint(0, 8)
        updates = max(round(train_freq * 2.0 ** rng.uniform(-4, 0)), 1)
        drawn.append(
            {"batch_size": batch, "net_arch": net, "train_freq": train_freq, "gradient_steps": updates,
             "n_steps": rng.randint(1, 10), "learning_rate": 10 ** rng.uniform(-5, -2), "learning_starts": 1000,
             "target_update_interval": int(10 ** rng.uniform(0, 4)), "buffer_size": int(10 ** rng.uniform(3, 5))}
        )  # fmt: skip
    return drawn


def row(name: str) -> list[dict[str, Any]]:
    """Return the settings of a row, one for each lane; ``uniform3`` sixteen times the fourth of the mixed ones."""
    if name.startswith("uniform"):
        return [mixed()[int(name.removeprefix("uniform"))]] * 16
    if name.startswith("single") or name.startswith("stack"):
        width = int(name[-3:] if name.endswith("256") else name[-2:])
        lanes = 1 if name.startswith("single") else 16
        return [{**ZOO, "net_arch": (width, width)}] * lanes
    if name == "minatar":
        return [MINATAR]
    if name.startswith("every"):
        return [EVERY] * int(name.removeprefix("every"))
    return mixed() if name == "mixed" else [DEFAULTS] * int(name.removeprefix("defaults"))


ROWS = (
    "single64",
    "single256",
    "stack64",
    "stack256",
    "defaults1",
    "defaults16",
    "every1",
    "every8",
    "mixed",
    "minatar",
    "uniform",
)
#: Environment steps of each lane.
STEPS = {
    "single64": 12_000,
    "single256": 4_000,
    "stack64": 4_000,
    "stack256": 2_000,
    "defaults1": 12_000,
    "minatar": 4_000,
}


def env_id(name: str) -> str:
    """Return what a row trains on."""
    return "MinAtar/Breakout-v1" if name == "minatar" else "CartPole-v1"


def seam() -> tuple[Any, ...]:
    """Return what runs are handed out with, of this checkout or of version 0.1.0: (DONE, specs' classes, trainer)."""
    try:
        from tuner.contract.roles import DONE
        from tuner.contract.spec import EvaluationSpec, RunId, RunSpec
        from tuner.training.stack.trainer import NativeTrainer
    except ImportError:  # 0.1.0
        from tuner.training.native import NativeTrainer  # type: ignore[import-not-found, no-redef]
        from tuner.training.types import (  # type: ignore[import-not-found, no-redef]
            DONE,
            EvaluationSpec,
            RunId,
            RunSpec,
        )
    return DONE, EvaluationSpec, RunId, RunSpec, NativeTrainer


def native(settings: list[dict[str, Any]], steps: int, env: str = "CartPole-v1", backend: str = "native") -> float:
    """Return lane-steps per second of processor time, of this checkout or of version 0.1.0.

    With backend ``sb3`` our adapter trains, which gives Stable-Baselines3 the native agent's network for images.
    """
    import torch

    torch.set_num_threads(1)
    done, evaluation_spec, run_id, run_spec, native_trainer = seam()
    from tuner.envs.spec import EnvSpec
    from tuner.hyperparameters import DQNHyperparameters

    class Queue:
        def __init__(self, steps: int) -> None:
            evaluation = evaluation_spec(episodes=1, seed=0, max_steps=1)  # the seam wants one; one step costs nothing
            self.specs = [
                run_spec(run_id(i), EnvSpec(env), backend, DQNHyperparameters(**s), i, (steps,), evaluation)
                for i, s in enumerate(settings)
            ]

        def take(self, open_shapes: Any, *, block: bool) -> Any:
            return self.specs.pop() if self.specs else done

        def report(self, points: Any) -> frozenset[Any]:
            return frozenset()

        def finish(self, outcome: Any) -> None:
            assert outcome.kind in ("completed", "diverged"), outcome

        def tick(self) -> None:
            pass

    def trainer() -> Any:
        if backend == "native":
            return native_trainer(len(settings))
        from tuner.training.registry import make_trainer

        return make_trainer(backend, "dqn", len(settings))

    trainer().train(Queue(1300))
    started = time.process_time()
    trainer().train(Queue(steps))
    return len(settings) * steps / (time.process_time() - started)


def sb3(settings: list[dict[str, Any]], steps: int) -> float:
    """Return steps per second of processor time, one learner after the other."""
    import gymnasium
    import torch
    from stable_baselines3 import DQN

    torch.set_num_threads(1)
    if len({str(s) for s in settings}) == 1:
        settings, steps = settings[:1], 3 * steps
    spent = 0.0
    for s in settings:
        plain = {name: value for name, value in s.items() if name != "net_arch"}
        kwargs = {"net_arch": list(s.get("net_arch", (64, 64)))}
        model = DQN("MlpPolicy", gymnasium.make("CartPole-v1"), seed=0, device="cpu", policy_kwargs=kwargs, **plain)
        started = time.process_time()
        model.learn(steps)
        spent += time.process_time() - started
    return len(settings) * steps / spent


def measure(python: str, side: str, name: str) -> float:
    """Run one side in a fresh process."""
    command = [python, __file__, "--child", side, name]
    child = subprocess.run(command, env=os.environ | THREADS, stdout=subprocess.PIPE, text=True, check=True)
    return float(child.stdout)


def main() -> None:
    """Measure the rows asked for and print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--rows", nargs="+", choices=ROWS, default=list(ROWS[:-2]))
    parser.add_argument("--other", metavar="PYTHON")
    parser.add_argument("--without-sb3", action="store_true")
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        side, name = options.child
        if hasattr(os, "sched_setaffinity"):
            os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
        steps = STEPS.get(name, 2_500)
        if side == "native" or name == "minatar":
            print(native(row(name), steps, env_id(name), side))
        else:
            print(sb3(row(name), steps))
        return
    sides = {"this": (sys.executable, "native")}
    sides |= {"other": (options.other, "native")} if options.other else {}
    sides |= {} if options.without_sb3 else {"sb3": (sys.executable, "sb3")}
    print(f"| row | {' | '.join(sides)} | {' | '.join(f'this / {side}' for side in list(sides)[1:])} |")
    print("|---|" + "---:|" * (2 * len(sides) - 1))
    for name in options.rows:
        if name == "uniform":
            shares = []
            for _ in range(options.pairs):
                mixed_rate = measure(*sides["this"], "mixed")
                alone = [measure(*sides["this"], f"uniform{i}") for i in range(16)]
                shares.append(mixed_rate / (16 / sum(1 / rate for rate in alone)))
            print(f"| mixed / uniform | {statistics.median(shares):.2f} |", flush=True)
            continue
        rates: dict[str, list[float]] = {side: [] for side in sides}
        for _ in range(options.pairs):
            for side, (python, kind) in sides.items():
                rates[side].append(measure(python, kind, name))
        cells = [f"{statistics.median(found):,.0f}" for found in rates.values()]
        for found in list(rates.values())[1:]:
            ratios = [mine / theirs for mine, theirs in zip(rates["this"], found, strict=True)]
            cells.append(f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})")
        print(f"| {name} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
