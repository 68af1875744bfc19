"""How wrappers are written: one text for each, whatever the user typed, and who may be imported for a file's sake."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuner.envs.spec import EnvSpec, frozen
from tuner.envs.wrapper_names import canonical, canonicals, check_trusted, parts, to_be_named, to_zoo_form
from tuner.errors import InputError
from tuner.plan.naming import study_name
from tuner.plan.recipe import from_mapping
from tuner.text import plain

WORDS = st.text(st.characters(codec="utf-8"), max_size=8)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**9), 10**9) | st.floats(-1e6, 1e6) | WORDS,
    lambda inside: st.lists(inside, max_size=3) | st.dictionaries(WORDS, inside, max_size=3),
    max_leaves=4,
)


@pytest.mark.parametrize(
    ("written", "text"),
    [
        ("FlattenObservation", "gymnasium.wrappers.FlattenObservation"),
        ("gymnasium.wrappers:FlattenObservation", "gymnasium.wrappers.FlattenObservation"),
        ("gymnasium.wrappers.FlattenObservation:{}", "gymnasium.wrappers.FlattenObservation"),
        ("a.b:C", "a.b.C"),
        ("TimeLimit:{max_episode_steps: 1e2}", 'gymnasium.wrappers.TimeLimit:{"max_episode_steps": 100.0}'),
        ({"a.b.C": {"y": [1], "x": "t"}}, 'a.b.C:{"x": "t", "y": [1]}'),
        ({"a.b.C": None}, "a.b.C"),
        ("a:C:{y: 2, x: 1}", 'a.C:{"x": 1, "y": 2}'),
    ],
)
def test_however_it_is_written_a_wrapper_has_one_text(written, text):
    assert canonical(written) == text == canonical(text)


@given(st.dictionaries(WORDS, VALUES, max_size=3))
def test_arguments_come_back_as_they_were(arguments):
    text = canonical({"a.b.C": arguments})
    assert canonical(text) == text and "\n" not in text
    assert parts(text) == ("a.b", "C", arguments)
    assert to_zoo_form(text) == ({"a.b.C": arguments} if arguments else "a.b.C")


@pytest.mark.parametrize(
    ("written", "line"),
    [
        ("", "must be FlattenObservation, module:Class, or either with arguments"),
        ("../evil:C", "got '../evil:C'"),
        ("a.py:C", None),
        ("a b", "got 'a b'"),
        ("A:{x: 1", "is not a mapping such as {key: value}"),
        ("A:{x: !!python/name:os.system }", "only plain data is allowed"),
        ({"A": {"x": "\ud800"}}, "--wrapper A: "),
        ("A:{x: .nan}", "--wrapper A: "),
        ('A:{"x": NaN}', "--wrapper A: "),
        ("A:{1: 2}", "the keys of a mapping must be text, got 1"),
        ({"A": {"x": float("nan")}}, "--wrapper A: "),
        ({"A": [1]}, "its arguments must be a mapping"),
        ({"A": {}, "B": {}}, "--wrapper must be"),
    ],
)
def test_what_is_written_otherwise_is_one_line(written, line):
    if line is None:
        assert canonical(written) == "a.py.C"  # a module may be called so; importing it says that there is none
        return
    with pytest.raises(InputError) as refused:
        canonical(written)
    assert line in str(refused.value) and "\n" not in str(refused.value)
    with pytest.raises(InputError):
        canonicals([3])


def test_equal_wrappers_make_equal_studies_and_their_order_counts():
    def named(*wrapper):
        return study_name(from_mapping({"env": "A-v0", "wrapper": wrapper}))

    assert named("FlattenObservation") == named("gymnasium.wrappers:FlattenObservation") != named()
    assert named("FlattenObservation", "ClipReward") != named("ClipReward", "FlattenObservation")
    assert named() == "dqn-native-A-v0"


def test_a_spec_without_wrappers_is_the_one_of_older_versions():
    assert EnvSpec("A-v0").to_mapping() == {"id": "A-v0", "kwargs": (), "module": None, "pixels": False}
    wrapped = EnvSpec("A-v0", wrapper=("a.B",))
    assert wrapped.to_mapping() == {**EnvSpec("A-v0").to_mapping(), "wrapper": ["a.B"]}
    assert wrapped.changes() == {"wrapper": ["a.B"]} and not EnvSpec("A-v0").changes()


def test_what_a_reader_is_told_of_an_environment_holds_its_arguments():
    seen = EnvSpec("A-v0", frozen({"map": [1, {"a": 2}]}), pixels=True)
    assert plain(seen.changes()) == {"env_arg": {"map": [1, {"a": 2}]}, "pixels": True}


def test_a_file_makes_nobody_import_a_package_that_was_not_named():
    every = ["gymnasium.wrappers.FlattenObservation", "minigrid.wrappers.ImgObsWrapper", "other.C"]
    check_trusted(every[:2], "best.yaml", None)
    check_trusted(every, "best.yaml", None, ["other.C"])
    for module in ("other", "other.part", "folder/other.py"):
        check_trusted(every, "best.yaml", module)
        assert to_be_named(every, module) == []
    assert to_be_named(every, "another") == ["--wrapper", "other.C"]
    with pytest.raises(InputError, match=r"best.yaml wraps the environment in 'other.C', .* add --wrapper other.C"):
        check_trusted(every, "best.yaml", None)
    with pytest.raises(InputError) as quoted:
        check_trusted(canonicals([{"other.C": {"x": 1}}]), "best.yaml", None)
    assert """add --wrapper 'other.C:{"x": 1}' (in Python wrapper=['other.C:{"x": 1}'])""" in str(quoted.value)
