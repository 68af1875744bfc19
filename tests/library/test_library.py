"""Names, files, words and searches of a library, whatever it holds."""

import dataclasses
import re

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from library_samples import DRY, ENTRY, TABLE, judged

import tuner
from tuner.errors import InputError
from tuner.library.catalog import EVIDENCE, find_entry, library_entries, library_file, named_entry
from tuner.library.files import write_library
from tuner.library.made import entry_of
from tuner.library.names import changes_of, entry_file, entry_name
from tuner.library.words import head_lines, markdown_list, zoo_yaml
from tuner.plan.known import known_settings, library_note
from tuner.plan.recipe import StudyRecipe
from tuner.space.nearest import nearest_params
from tuner.space.parse import parse_space
from tuner.study.confirm import ledger
from tuner.study.reading.study import load
from tuner.zoo.read import read_config

SPACE = parse_space(
    {
        "algorithm": "dqn",
        "budget": {"n_timesteps": 300},
        "fixed": {},
        "search": {"learning_rate": {"type": "float", "low": 1e-5, "high": 1e-2, "log": True}},
    }
)


def test_a_name_is_the_id_then_arguments_in_order():
    assert entry_name("FrozenLake-v1", {}, {}) == "FrozenLake-v1"
    assert entry_name("FrozenLake-v1", {"map_name": "8x8", "is_slippery": False}, {}) == (
        "FrozenLake-v1,is_slippery=false,map_name=8x8"
    )
    changes = changes_of(StudyRecipe(env="A-v0", pixels=True, frame_stack=4).to_mapping())
    assert entry_name("A-v0", {}, changes) == "A-v0,frame_stack=4,pixels"
    assert changes_of(StudyRecipe(env="A-v0").to_mapping()) == {}
    changes = changes_of({"wrapper": ("p.w.A", 'p.w.B:{"x": 1}')})
    assert changes == changes_of({"wrapper": ["p.w.A", 'p.w.B:{"x": 1}']}) == {"wrapper": ["p.w.A", 'p.w.B:{"x": 1}']}
    assert entry_name("A-v0", {}, changes) == 'A-v0,wrapper=A+B:{"x": 1}'


def test_an_entry_in_wrappers_is_for_an_environment_in_them(library):
    done = {"wrapper": ["gymnasium.wrappers.FlattenObservation"]}
    entry = dataclasses.replace(ENTRY, changes=done, preprocessing=done)
    write_library([ENTRY, entry], library)
    recipe = StudyRecipe(env=ENTRY.env, wrapper=("FlattenObservation",)).validated()
    found = find_entry(ENTRY.env, {}, "dqn", changes_of(recipe.to_mapping()))
    assert found is not None and found.changes == done and dict(find_entry(ENTRY.env, {}, "dqn").changes) == {}
    assert read_config(library_file(found)).wrapper == recipe.wrapper


@settings(max_examples=50)
@given(st.text(), st.dictionaries(st.text(), st.text() | st.integers() | st.lists(st.text())))
def test_a_file_s_name_is_one_on_every_system(env, arguments):
    assert re.fullmatch(r"[A-Za-z0-9._=,-]+", entry_file(entry_name(env, arguments, {})))


def test_what_is_written_is_read_again(library):
    found = library_entries()
    assert [e.name for e in found] == ["FrozenLake-v1", "FrozenLake-v1,is_slippery=false", "CliffWalking-v1"]
    assert [dataclasses.replace(e, sha256="") for e in found] == [ENTRY, DRY, TABLE]
    for entry in found:
        whose = {"algorithm": entry.algorithm}
        config = read_config(library_file(entry), **whose)
        assert config.hyperparameters == dict(entry.own.hyperparameters)
        assert (config.env, config.env_kwargs) == (entry.env, dict(entry.env_kwargs))
    assert [e.name for e in library_entries("q_learning")] == ["CliffWalking-v1"]


def test_writing_again_changes_no_file(library):
    files = {path: path.stat().st_mtime_ns for path in library.rglob("*.*")}
    write_library(library_entries()[::-1], library)
    assert {path: path.stat().st_mtime_ns for path in library.rglob("*.*")} == files


def test_two_entries_never_share_a_file(library):
    one, other = (dataclasses.replace(ENTRY, env=env) for env in ("a/B-v0", "a-b-v0"))
    with pytest.raises(InputError, match=r"would share the file dqn/a-B-v0\.yaml"):
        write_library([one, other], library / "new")
    assert not (library / "new").exists()


def test_a_damaged_file_is_one_line(library):
    (library / EVIDENCE).write_text('{"schema": 1, "entries": [{}]}')
    with pytest.raises(InputError, match=r"evidence\.json is damaged .* Install this version of tune again"):
        library_entries()


def test_the_very_environment_alone_is_found(library):
    assert find_entry("FrozenLake-v1", {}, "dqn").env_kwargs == {}
    assert find_entry("FrozenLake-v1", {"is_slippery": False}, "dqn").name == DRY.name
    assert find_entry("FrozenLake-v1", {"is_slippery": True}, "dqn") is None
    assert find_entry("FrozenLake-v1", {}, "q_learning") is None
    assert find_entry("FrozenLake-v1", {}, "dqn", {"frame_stack": 4}) is None
    assert find_entry("FrozenLake-v1", {}, "dqn", env_module="mine.py") is None
    assert find_entry("FrozenLake-v1", {"desc": {1, 2}}, "dqn") is None


def test_the_api_gives_values_and_verdict(library):
    found = tuner.load_setting("FrozenLake-v1", is_slippery=False)
    assert found.hyperparameters.learning_rate == 0.003
    assert found.verdict.value == pytest.approx(0.45) and found.verdict.low < 0.45 < found.verdict.high
    with pytest.raises(InputError, match=r"Did you mean 'FrozenLake-v1,is_slippery=false'\?"):
        tuner.load_setting("FrozenLake-v1", is_slippery=True)
    with pytest.raises(InputError, match=r"no setting of dqn for CliffWalking-v1\. Use --algo q_learning"):
        named_entry("CliffWalking-v1")


def test_the_head_says_verdict_seeds_baselines_cost_and_how_to_check():
    text = "\n".join(head_lines(ENTRY))
    for words in (
        "0.45 (95 % interval", "10 seeds that no choice has seen:\n  101, 102", "defaults: 0, 10 seeds, beaten",
        "random play: 0.01", "0.2 core-hours", "tune-dqn 0.1.0 and torch 2.13.0", "Made by: tune --env FrozenLake-v1",
        "tune verify FrozenLake-v1",
    ):  # fmt: skip
        assert words in text
    assert "tune verify CliffWalking-v1 --algo q_learning" in "\n".join(head_lines(TABLE))


def test_what_runs_can_score_is_taken_from_the_whole_verdict():
    def lowest(*worst):
        entry = dataclasses.replace(ENTRY, settings=(judged("library", [1.0] * 10), judged("defaults", [*worst] * 5)))
        return entry.predicted(10)

    assert lowest(1.0, 1.0) == (1.0, 1.0)
    low, high = lowest(0.0, 0.5)
    assert low == pytest.approx(lowest(-1.0, 0.5)[0] / 2 + 0.5) and low < 1.0 == high


def test_a_baseline_in_part_of_its_steps_says_so():
    short = dataclasses.replace(ENTRY, settings=(*ENTRY.settings, judged("zoo", [0.2] * 10, tuned_for=600)))
    assert "zoo: 0.2 in half of their steps, 10 seeds, not told apart" in "\n".join(head_lines(short))


def test_rl_zoo_s_file_has_no_environment_with_arguments_and_no_other_algorithm():
    assert set(yaml.safe_load(zoo_yaml([ENTRY, DRY, TABLE]))) == {"FrozenLake-v1"}


def test_the_table_of_a_page_has_a_row_for_each():
    rows = markdown_list([ENTRY, TABLE]).splitlines()
    assert len(rows) == 4 and len({row.count("|") for row in rows}) == 1
    assert "| FrozenLake-v1 | dqn | 300 | 0.45 (" in rows[2] and "| 10 | 0 | – | 0.2 | 2026-01-31 |" in rows[2]


def test_a_study_starts_with_the_library_only_when_asked(library):
    asked = StudyRecipe(env="FrozenLake-v1", start_with=("library",), prior="none")
    known = known_settings(asked, SPACE)
    assert [start.name for start in known.starts] == ["library"]
    assert known.starts[0].params == nearest_params(SPACE, ENTRY.hyperparameters)
    assert known_settings(dataclasses.replace(asked, start_with=()), SPACE).starts == ()
    for change, words in (
        ({"env": "CartPole-v1"}, "the library has no setting of dqn for CartPole-v1. Leave it out"),
        ({"env_arg": {"map_name": "8x8"}}, "for FrozenLake-v1 with these arguments"),
        ({"wrapper": ("gymnasium.wrappers.FlattenObservation",)}, "for FrozenLake-v1 with these arguments"),
    ):
        with pytest.raises(InputError, match=re.escape(words)):
            known_settings(dataclasses.replace(asked, **change), SPACE)


def test_stable_baselines3_starts_with_what_it_knows(library):
    own = judged("library", [0.1] * 10, double_q=True)
    write_library([dataclasses.replace(ENTRY, settings=(own,))], library)
    with pytest.raises(InputError, match=r"--start-with library: Stable-Baselines3 does not know double_q"):
        known_settings(StudyRecipe(env="FrozenLake-v1", backend="sb3", start_with=("library",)), SPACE)


def test_a_plan_says_that_there_is_a_verdict_for_the_very_environment_and_budget(library):
    recipe = StudyRecipe(env="FrozenLake-v1")
    note = library_note(recipe, 300)
    assert note.startswith("The library holds a verdict for this environment: 0.45 (")
    assert "over 10 seeds in 300 steps (--start-with library trains its setting first)" in note
    assert library_note(recipe, 301) == ""
    assert library_note(dataclasses.replace(recipe, env="CartPole-v1"), 300) == ""
    assert library_note(dataclasses.replace(recipe, start_with=("library",)), 300) == ""


def test_a_study_s_verdict_becomes_an_entry_with_its_very_numbers(in_tmp, monkeypatch, pages_of_one_figure):
    monkeypatch.setattr(ledger, "LATE_EPISODES", 1)
    recipe = StudyRecipe(
        env="FrozenLake-v1", algo="q_learning", steps=40, evaluations=2, eval_episodes=1, trials=8, executor="inline",
        confirm=1, confirm_seeds=10, confirm_budget=9, study="s", quiet=True,
    )  # fmt: skip
    confirmation = tuner.run(recipe).data.confirmation
    entry = entry_of(load("s", None), command="tune ...", made="2026-01-31", processor_s=1.25)
    runs = confirmation.winner.phase("verdict")
    assert [(r.seed, r.score) for r in entry.own.runs] == [(r.seed, r.score("late")) for r in runs]
    assert dict(entry.own.hyperparameters) == dict(confirmation.winner.hyperparameters)
    assert {b.role for b in entry.baselines} == {c.role for c in confirmation.baselines}
    assert (entry.n_timesteps, entry.evaluations, entry.eval_episodes) == (40, 2, 1)
    few = dataclasses.replace(load("s", None), confirmation=dataclasses.replace(confirmation, complete=False))
    with pytest.raises(InputError, match="has no complete verdict yet"):
        entry_of(few, command="", made="", processor_s=0)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((None,), "env must be text, got None."),
        ((["CartPole-v1"],), "env must be text, got ['CartPole-v1']."),
        (("CartPole-v1", None), "algorithm must be text, got None."),
        (("CartPole-v1", 3), "algorithm must be text, got 3."),
    ],
)
def test_a_setting_is_asked_for_in_words(arguments, said):
    with pytest.raises(InputError, match=re.escape(said)):
        tuner.load_setting(*arguments)


def test_an_argument_that_is_no_plain_data_is_one_line():
    with pytest.raises(InputError, match=r"^env_kwargs: values may be numbers, text"):
        tuner.load_setting("FrozenLake-v1", is_slippery=object())
