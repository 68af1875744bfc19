"""How long a saved agent takes to act for the first time: a fresh process, from ``import tuner`` to an action.

    python benchmarks/agent_load.py [--repeats 11]

The agent is a perceptron of [256, 256] on CartPole-v1. Printed are medians of the process's processor seconds, and of
those by the clock: for ``import tuner``, for ``tuner.load_agent`` and for the first ``act``.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

#: What the fresh process does; prints its three times, each by the processor and by the clock.
CODE = """
import json, sys, time
def now(): return time.process_time(), time.perf_counter()
times = [now()]
import tuner
times.append(now())
agent = tuner.load_agent(sys.argv[1])
times.append(now())
agent.act([0.0, 0.0, 0.0, 0.0])
times.append(now())
print(json.dumps([[b - a for a, b in zip(*pair)] for pair in zip(times, times[1:])]))
"""


def save(folder: Path) -> None:
    """Save an agent that has learned nothing."""
    from tuner.contract.spec import EvaluationSpec, RunId, RunSpec
    from tuner.envs.spec import EnvSpec
    from tuner.hyperparameters import DQNHyperparameters
    from tuner.training.saved.model_files import save_model

    setting = DQNHyperparameters(net_arch=(256, 256))
    spec = RunSpec(RunId(0), EnvSpec("CartPole-v1"), "native", setting, 0, (100,), EvaluationSpec(1, 0, 500))
    rng, weights = np.random.default_rng(0), {}
    for i, (inputs, outputs) in enumerate(((4, 256), (256, 256), (256, 2))):
        weights[f"q_net.{2 * i}.weight"] = rng.normal(size=(outputs, inputs)).astype(np.float32)
        weights[f"q_net.{2 * i}.bias"] = np.zeros(outputs, np.float32)
    save_model(folder, spec, weights)


def main() -> None:
    """Measure and print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=11)
    repeats = parser.parse_args().repeats
    with tempfile.TemporaryDirectory() as folder:
        save(Path(folder))
        command = [sys.executable, "-c", CODE, folder]
        found = [json.loads(subprocess.run(command, capture_output=True, check=True).stdout) for _ in range(repeats)]
    print("| part | processor, s | clock, s |\n|---|---:|---:|")
    for i, part in enumerate(("import tuner", "load_agent", "first act")):
        processor, clock = (statistics.median(times[i][k] for times in found) for k in (0, 1))
        print(f"| {part} | {processor:.3f} | {clock:.3f} |")


if __name__ == "__main__":
    main()
