"""``--sampler grid``: every combination once, whatever happens to the process that trains it."""

import dataclasses
import random
from collections import Counter

import pytest
from study_fakes import FakeExecutor, make_plan, search, supervise

from tuner.errors import InputError
from tuner.plan.command_lines import recipe_command
from tuner.plan.known import Known, known_settings
from tuner.plan.recipe import MOST_COMBINATIONS, StudyRecipe, from_mapping
from tuner.plan.resolve import plan_study
from tuner.study.reading.study import load

SPACE = {
    "algorithm": "dqn",
    "budget": {"n_timesteps": 1000, "evaluations": 6, "eval_episodes": 2, "clip": False},
    "search": {
        "learning_rate": {"choices": [1.0e-4, 1.0e-3, 1.0e-2]},
        "double_q": {"choices": [True, False]},
        "tau": {"choices": [0.5, 1.0], "when": {"double_q": True}},
    },
}

SPACE_TEXT = """
algorithm: dqn
budget: {n_timesteps: 1000, evaluations: 2, eval_episodes: 1}
search:
  learning_rate: {choices: [1.0e-4, 1.0e-3, 1.0e-2]}
  double_q: {choices: [true, false]}
"""


def grid_plan(storage, **settings):
    plan = make_plan(
        storage, space=SPACE, **{"sampler": "grid", "pruner": "none", "trials": 9, "study": "g", **settings}
    )
    return dataclasses.replace(plan, known=known_settings(plan.recipe, plan.space))


def check_each_once(plan):
    trials = load(plan.name, plan.storage).trials
    done = Counter(tuple(sorted(t.params.items())) for t in trials if t.outcome != "lost")
    assert done == Counter(tuple(sorted(point.items())) for point in plan.known.grid)
    return trials


def test_every_combination_is_one_trial_in_the_grids_order_with_all_seeds(tmp_path):
    plan = grid_plan(f"sqlite:///{tmp_path}/g.db", seeds_per_trial=3)
    executor = FakeExecutor()
    search(plan, executor)
    trials = check_each_once(plan)
    assert [dict(t.params) for t in trials] == [dict(point) for point in plan.known.grid]
    assert len({spec.seed for spec in executor.taken}) == 27
    assert not any(t.source for t in trials)


def test_killed_and_resumed_it_ends_with_each_combination_once_whatever_became_of_it(tmp_path):
    """An interrupted trial goes again; one that has ended, however it ended, does not."""
    plan = grid_plan(f"sqlite:///{tmp_path}/g.db", in_flight=3)
    fates, luck, sessions = {1e-3: "diverged", 1e-2: "failed"}, random.Random(4), 0
    while sessions < 20:
        executor = FakeExecutor(
            lambda spec: fates.get(spec.hyperparameters.learning_rate, "completed"),
            lanes=3, luck=luck, stop_after_reports=luck.randint(6, 14),
        )  # fmt: skip
        sessions += 1
        if search(plan, executor).finished == 9:
            break
    trials = check_each_once(plan)
    assert sessions > 1 and any(t.outcome == "lost" for t in trials)
    assert Counter(t.outcome for t in trials if t.outcome != "lost") == {"completed": 3, "diverged": 3, "failed": 3}


def test_a_prefix_can_go_on_to_the_whole(tmp_path):
    plan = grid_plan(f"sqlite:///{tmp_path}/g.db", trials=4)
    search(plan)
    assert len(load("g", plan.storage).trials) == 4
    whole = grid_plan(f"sqlite:///{tmp_path}/g.db")
    search(whole)
    check_each_once(whole)


def test_the_stored_order_holds_on_resume_whatever_the_program_would_make_of_it_now(tmp_path):
    plan = grid_plan(f"sqlite:///{tmp_path}/g.db", trials=4)
    search(plan)
    other = dataclasses.replace(grid_plan(plan.storage), known=Known(grid=plan.known.grid[::-1]))
    search(other)
    check_each_once(plan)


def test_nothing_is_left_of_a_finished_grid(tmp_path):
    plan = grid_plan(f"sqlite:///{tmp_path}/g.db")
    search(plan)
    again = supervise(plan)
    assert again.finished == 9
    again.close()


@pytest.fixture
def planned(tmp_path):
    (tmp_path / "listed.yaml").write_text(SPACE_TEXT)

    def plan(**settings):
        given = {"env": "CartPole-v1", "sampler": "grid", "space": str(tmp_path / "listed.yaml"), "executor": "inline"}
        return plan_study(from_mapping({**given, **settings}))

    return plan


@pytest.mark.parametrize(
    ("settings", "trials", "says"),
    [
        ({}, 6, "each is one trial, 6 trials in all"),
        ({"trials": 50}, 6, "The grid has 6 combinations of 2 lists of values: each is one trial"),
        ({"trials": 4}, 4, "4 of them, spread, are trained; --trials 6 trains all"),
        ({"within": 600.0}, 6, "as many as there is time for, spread, are trained"),
        ({"set": {"double_q": True}}, 3, "3 combinations of 1 list of values"),
    ],
)
def test_trials_are_the_grids_unless_fewer_are_asked_for_and_the_plan_says_so(planned, settings, trials, says):
    plan = planned(**settings)
    assert plan.trials == plan.recipe.trials == trials
    assert any(says in note for note in plan.notes), plan.notes
    assert plan.known.starts == plan.known.good == ()


def test_a_grid_stops_no_trial_unless_asked_to_and_its_command_says_what_it_was():
    recipe = from_mapping({"env": "X-v0", "sampler": "grid"})
    assert (recipe.pruner, recipe.trials) == ("none", MOST_COMBINATIONS)
    assert recipe_command(recipe, "x", "sqlite:///studies/tuner.db") == "tune --env X-v0 --sampler grid"
    asked = from_mapping({"env": "X-v0", "sampler": "grid", "pruner": "median", "trials": 7})
    line = recipe_command(asked, "x", "sqlite:///studies/tuner.db")
    assert line == "tune --env X-v0 --trials 7 --sampler grid --pruner median"
    assert from_mapping({"env": "X-v0"}) == StudyRecipe(env="X-v0")


@pytest.mark.parametrize("settings", [{"start_with": ("defaults",)}, {"prior": "mine.yaml"}])
def test_what_is_known_elsewhere_is_refused_beside_a_grid(settings):
    with pytest.raises(InputError, match="does not go with --sampler grid"):
        from_mapping({"env": "X-v0", "sampler": "grid", **settings}).validated()
