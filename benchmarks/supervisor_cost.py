"""What a trial costs the supervisor beside its training, and what TPE's proposal costs, as the study grows.

    python benchmarks/supervisor_cost.py [--sizes 100 1000 10000] [--pairs 5] [--trials 6]

First row: one trial from start to end (created, five parameters sampled at random, ten evaluations reported, each
followed by the median pruner's decision, told), ours through
:class:`tuner.study.search.supervisor.StudySupervisor` and Optuna's
through ``study.optimize`` with ``trial.report`` and ``trial.should_prune``. Both write to one SQLite file each, in
write-ahead mode, that holds the same finished trials; Optuna's is made faster by that (its default waits for the disk).
Second row: one proposal of TPE over five parameters on those trials in memory, ours bounded, Optuna's on all. It waits
for nothing, so it is measured in processor time, which other programs on the machine disturb less.

Ours and Optuna's take turns; the figures are medians over the turns of milliseconds for one trial.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import tempfile
import time

import optuna
from gymnasium import spaces
from optuna.distributions import BaseDistribution, FloatDistribution, IntDistribution
from optuna.trial import FrozenTrial, TrialState, create_trial

from tuner.contract.grid import evaluation_grid, warmup_steps
from tuner.contract.outcome import EvalPoint, Outcome
from tuner.contract.spec import EvaluationSpec, RunSpec
from tuner.envs.make import EnvFacts
from tuner.plan.recipe import StudyRecipe
from tuner.plan.resolve import StudyPlan
from tuner.seeding import sampler_seed
from tuner.space.parse import parse_space
from tuner.study.sampling.samplers import make_sampler
from tuner.study.search.open_study import open_study
from tuner.study.search.supervisor import StudySupervisor
from tuner.study.store import keys as attr
from tuner.study.store.connect import open_storage

GRID = evaluation_grid(50_000, 10)
RANGES: dict[str, BaseDistribution] = {
    "learning_rate": FloatDistribution(1e-5, 1e-2, log=True),
    "buffer_size": IntDistribution(1000, 50_000, log=True),
    "target_update_interval": IntDistribution(1, 10_000, log=True),
    "exploration_fraction": FloatDistribution(0.02, 0.6),
    "exploration_final_eps": FloatDistribution(0.005, 0.2),
}


def history(size: int) -> list[FrozenTrial]:
    """Return ``size`` finished trials, 70 of 100 completed and the others pruned halfway."""
    luck, trials = random.Random(size), []
    for number in range(size):
        params = {
            "learning_rate": 10 ** luck.uniform(-5, -2),
            "buffer_size": luck.randint(1000, 50_000),
            "target_update_interval": luck.randint(1, 10_000),
            "exploration_fraction": luck.uniform(0.02, 0.6),
            "exploration_final_eps": luck.uniform(0.005, 0.2),
        }
        completed = number % 10 < 7
        top = luck.uniform(20, 500)
        curve = {step: top * step / GRID[-1] + luck.uniform(-5, 5) for step in (GRID if completed else GRID[:5])}
        outcome = "completed" if completed else "pruned"
        trials.append(
            create_trial(
                state=TrialState.COMPLETE if completed else TrialState.PRUNED,
                value=curve[max(curve)],
                params=params,
                distributions=RANGES,
                intermediate_values=curve,
                user_attrs={
                    attr.OUTCOME: outcome,
                    attr.CURVE_PREFIX + "0": [[s, [v], [9], {}] for s, v in curve.items()],
                },
            )
        )
    return trials


def fill(study_name: str, url: str, trials: list[FrozenTrial]) -> None:
    """Write finished trials into an existing study, many in one transaction."""
    from optuna.storages._rdb import models

    storage = open_storage(url, create=True)
    study_id = storage.get_study_id_from_name(study_name)
    engine = storage._backend.engine
    tables = {m: getattr(models, m).__table__ for m in vars(models) if m.startswith("Trial") and m.endswith("Model")}
    rows: dict[str, list[dict]] = {name: [] for name in tables}
    distributions = {name: optuna.distributions.distribution_to_json(d) for name, d in RANGES.items()}
    kind = models.TrialIntermediateValueModel.intermediate_value_to_stored_repr(0.0)[1]
    value_kind = models.TrialValueModel.value_to_stored_repr(0.0)[1]
    now = models.TrialModel(datetime_start=trials[0].datetime_complete)._datetime_start_utc
    for number, trial in enumerate(trials):
        this = {"trial_id": number + 1}
        rows["TrialModel"].append(
            this
            | {"study_id": study_id, "number": number, "state": trial.state}
            | {"datetime_start": now, "datetime_complete": now}
        )
        rows["TrialValueModel"].append(this | {"objective": 0, "value": trial.value, "value_type": value_kind})
        for name, value in trial.params.items():
            rows["TrialParamModel"].append(
                this | {"param_name": name, "param_value": value, "distribution_json": distributions[name]}
            )
        for step, value in trial.intermediate_values.items():
            rows["TrialIntermediateValueModel"].append(
                this | {"step": step, "intermediate_value": value, "intermediate_value_type": kind}
            )
        for key, value in trial.user_attrs.items():
            rows["TrialUserAttributeModel"].append(this | {"key": key, "value_json": json.dumps(value)})
    with engine.begin() as connection:
        for name, table in tables.items():
            if rows[name]:
                connection.execute(table.insert(), rows[name])
        if engine.name == "postgresql":  # its counter does not know of the numbers given here
            connection.exec_driver_sql(
                "SELECT setval(pg_get_serial_sequence('trials', 'trial_id'), (SELECT max(trial_id) FROM trials))"
            )
    engine.dispose()


def make_plan(url: str, trials: int) -> StudyPlan:
    """Return a study of five parameters, sampled at random, with the median pruner."""
    search = {}
    for name, distribution in RANGES.items():
        assert isinstance(distribution, FloatDistribution | IntDistribution)
        kind = "int" if isinstance(distribution, IntDistribution) else "float"
        search[name] = {"type": kind, "low": distribution.low, "high": distribution.high, "log": distribution.log}
    space = parse_space(
        {
            "algorithm": "dqn",
            "budget": {"n_timesteps": GRID[-1], "evaluations": len(GRID), "eval_episodes": 1, "clip": False},
            "fixed": {"batch_size": 64},
            "search": search,
        }
    )
    recipe = StudyRecipe(env="CartPole-v1", trials=trials, storage=url, executor="inline", sampler="random").validated()
    facts = EnvFacts("Box(4,) float32", 2, 500, 475.0, 500, spaces.Box(-1, 1, (4,)), spaces.Discrete(2))
    return StudyPlan(
        name="ours",
        storage=url,
        recipe=recipe,
        backend="native",
        trials=recipe.trials,
        timeout=recipe.timeout,
        space=space,
        env=recipe.env_spec(),
        facts=facts,
        grid=GRID,
        evaluation=EvaluationSpec(1, 7, 500),
        workers=1,
        lanes=1,
        trials_in_flight=1,
        runs_in_flight=1,
        device="cpu",
    )


def value(trial: int, step: int) -> float:
    """Return a return that is above the median, so that all ten decisions are taken."""
    return 600.0 * step / GRID[-1] + trial % 7


class Ours:
    """The supervisor on a study of ``size`` finished trials."""

    def __init__(self, folder: str, trials: list[FrozenTrial]) -> None:
        self.url = f"sqlite:///{folder}/ours.db"
        plan = make_plan(self.url, len(trials) + 100_000)
        open_study(plan, {"numeric_path": plan.numeric_path})
        fill("ours", self.url, trials)
        ledger, *_ = open_study(plan, {"numeric_path": plan.numeric_path})
        self.supervisor = StudySupervisor(plan, ledger, ledger.settle())

    def run(self, trials: int) -> float:
        """Return milliseconds for one trial."""
        start = time.perf_counter()
        for _ in range(trials):
            spec = self.supervisor.take({}, block=True)
            assert isinstance(spec, RunSpec)
            number = spec.run_id.trial
            for step in GRID:
                stop = self.supervisor.report([EvalPoint(spec.run_id, step, (value(number, step),), (9,))])
                assert not stop
                self.supervisor.tick()
            self.supervisor.finish(Outcome(spec.run_id, "completed", GRID[-1]))
        return 1000 * (time.perf_counter() - start) / trials


class Optunas:
    """``study.optimize`` on a study of ``size`` finished trials."""

    def __init__(self, folder: str, trials: list[FrozenTrial]) -> None:
        url = f"sqlite:///{folder}/optuna.db"
        storage = open_storage(url, create=True)
        optuna.create_study(storage=storage, study_name="optuna", direction="maximize")
        fill("optuna", url, trials)
        self.study = optuna.load_study(
            storage=open_storage(url, create=False),
            study_name="optuna",
            sampler=optuna.samplers.RandomSampler(seed=0),
            pruner=optuna.pruners.MedianPruner(n_startup_trials=10, n_warmup_steps=warmup_steps(GRID)),
        )
        self.study.get_trials(deepcopy=False)  # as ours: what is stored has been read

    def run(self, trials: int) -> float:
        """Return milliseconds for one trial."""

        def objective(trial: optuna.Trial) -> float:
            for name, d in RANGES.items():
                trial._suggest(name, d)
            for step in GRID:
                trial.report(value(trial.number, step), step)
                if trial.should_prune():
                    raise optuna.TrialPruned
            return value(trial.number, GRID[-1])

        start = time.perf_counter()
        self.study.optimize(objective, n_trials=trials)
        return 1000 * (time.perf_counter() - start) / trials


def proposal(study: optuna.Study) -> float:
    """Return milliseconds of processor time of one proposal over five parameters, in memory."""
    trial = study.ask()
    start = time.process_time()
    for name, d in RANGES.items():
        trial._suggest(name, d)
    elapsed = 1000 * (time.process_time() - start)
    study.tell(trial, 1.0)
    return elapsed


def tpe_pair(trials: list[FrozenTrial]) -> tuple[optuna.Study, optuna.Study]:
    """Return studies in memory with the trials, asked by our TPE and by Optuna's."""
    pair = []
    for _ in range(2):
        study = optuna.create_study(direction="maximize")
        study.add_trials(trials)
        pair.append(study)
    pair[0].sampler = make_sampler("tpe", seed=0, startup_trials=10)
    pair[1].sampler = optuna.samplers.TPESampler(n_startup_trials=10, seed=sampler_seed(0, 0))
    return pair[0], pair[1]


def main() -> None:
    """Measure, and print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[100, 1000, 10_000], help="finished trials")
    parser.add_argument("--pairs", type=int, default=5, help="turns of ours and Optuna's")
    parser.add_argument("--trials", type=int, default=6, help="trials in one turn")
    args = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    print("| ms per trial, medians | finished trials | ours | Optuna | ratio |")
    print("|---|---|---|---|---|")
    rows: dict[str, list[tuple[int, float, float]]] = {"supervisor": [], "TPE's proposal": []}
    for size in args.sizes:
        trials = history(size)
        with tempfile.TemporaryDirectory() as folder:
            ours, theirs = Ours(folder, trials), Optunas(folder, trials)
            ours.run(2), theirs.run(2)
            pairs = [(ours.run(args.trials), theirs.run(args.trials)) for _ in range(args.pairs)]
        rows["supervisor"].append((size, *map(statistics.median, zip(*pairs, strict=True))))
        mine, plain = tpe_pair(trials)
        proposal(mine), proposal(plain)
        pairs = [(proposal(mine), proposal(plain)) for _ in range(max(args.pairs, 5))]
        rows["TPE's proposal"].append((size, *map(statistics.median, zip(*pairs, strict=True))))
    for name, figures in rows.items():
        for size, mine_ms, theirs_ms in figures:
            print(f"| {name} | {size:,} | {mine_ms:.1f} | {theirs_ms:.1f} | {theirs_ms / mine_ms:.1f} x |")


if __name__ == "__main__":
    main()
