"""How long the report of a large study takes, in processor time.

    python benchmarks/report_time.py [--trials 2000]

A study of twenty trials of deep Q-learning on CartPole-v1 is searched; copies of its trials, with the score moved a
little, fill it up. Printed: the seconds of processor and of wall time that ``tune report`` then takes.
"""

from __future__ import annotations

import argparse
import os
import random
import resource
import subprocess
import sys
import tempfile
import time

import optuna
import sqlalchemy

#: Trials that are trained.
TRAINED = 20


def tune(*arguments: str) -> None:
    """Run a command of tune."""
    subprocess.run([sys.executable, "-m", "tuner", *arguments], check=True, stdout=subprocess.DEVNULL)


@sqlalchemy.event.listens_for(sqlalchemy.Engine, "connect")
def do_not_wait_for_the_disk(connection: object, _: object) -> None:
    """Two thousand trials are a thousand times that otherwise, and this database is thrown away."""
    connection.execute("PRAGMA synchronous=OFF")


def main() -> None:
    """Make the study, report on it, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=2000)
    options = parser.parse_args()
    luck = random.Random(0)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        tune(
            "--env", "CartPole-v1", "--trials", str(TRAINED), "--steps", "1000", "--eval-episodes", "2",
            "--confirm", "0", "--pruner", "none", "--study", "large", "--storage", "sqlite:///s.db", "--quiet",
        )  # fmt: skip
        study = optuna.load_study(study_name="large", storage="sqlite:///s.db")
        trained, copies = study.trials, []
        for number in range(options.trials - TRAINED):
            trial = trained[number] if number < TRAINED else copies[number - TRAINED]
            moved = trial.value + luck.random()
            attributes = {key: value for key, value in trial.user_attrs.items() if key != "point"} | {"score": moved}
            copies.append(
                optuna.trial.create_trial(
                    value=moved, params=trial.params, distributions=trial.distributions, user_attrs=attributes,
                    intermediate_values=trial.intermediate_values,
                )
            )  # fmt: skip
        study.add_trials(copies)
        before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        tune("report", "large", "--storage", "sqlite:///s.db")
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        print(f"{options.trials} trials: {spent:.1f} s of processor time, {time.perf_counter() - started:.1f} s in all")
        os.chdir("/")


if __name__ == "__main__":
    main()
