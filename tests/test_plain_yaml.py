"""YAML from outside is plain data of bounded size, or one line that says why not."""

from collections import OrderedDict

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from tuner.errors import InputError
from tuner.plain_yaml import MAX_DEPTH, MAX_VALUES, load, parse, read_number

BOMB = "[&b0 [x,x,x,x,x,x,x,x,x,x]" + "".join(f", &b{i} [{','.join([f'*b{i - 1}'] * 10)}]" for i in range(1, 9)) + "]"


@pytest.mark.parametrize(
    ("text", "word"),
    [
        (BOMB, "values"),
        ("[" * 5000 + "]" * 5000, "nests deeper"),
        ("&a [*a]", "contains itself"),
        ("a: 1\na: 2", "there twice"),
        ("1" + "0" * 400, "401 characters"),
        ("9" * 30, "64 bits"),
        ("-0x" + "f" * 17, "64 bits"),
        ("day: 2024-13-45", "quotes"),
        ("day: 2024-01-02", "quotes"),
        ("trials: 010", "'010' would be 8, a number of base 8. Leave the first 0 out"),
        ("0b1: -0_17", "'-0_17' would be -15, a number of base 8"),
        ("timeout: 1:30", "'1:30' would be 90, a number of base 60. Quote it"),
        ("[-1:30.5]", "'-1:30.5' would be -90.5, a number of base 60"),
        ("!!set {a}", "no tags"),
        ("!!binary eA==", "no tags"),
        ("!!python/object/apply:os.getcwd []", "no tags"),
        ("!!python/object/apply:collections.Counter [[[a, 1]]]", "no tags"),
        ("!!python/object/apply:collections.OrderedDict [[[a, 1], [a, 2]]]", "there twice"),
        ("!!python/object/apply:collections.OrderedDict [[[a, 1, 2]]]", "list of pairs"),
        ("!!python/object/apply:collections.OrderedDict {args: [[a, 1]]}", "list of pairs"),
        ("!!python/object/apply:collections.OrderedDict x", "list of pairs"),
        ("!!python/tuple {a: 1}", "must be a list"),
        ("!!int ''", "is not valid YAML"),
        ("!!bool x", "is not valid YAML"),
        (r'"\0"', "no file and no database"),
        (r'"\ud800"', "no file and no database"),
        ("a: 1\n---\nb: 2", "another document"),
    ],
    ids=lambda text: text[:20],
)
def test_what_is_not_plain_data_of_bounded_size_is_refused_in_one_line(tmp_path, text, word):
    with pytest.raises(InputError, match=word) as error:
        parse(text)
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 300
    (tmp_path / "x.yaml").write_text(text)
    with pytest.raises(InputError, match="x.yaml: .*" + word):
        load(tmp_path / "x.yaml")


def test_a_file_is_not_read_further_than_its_limit(tmp_path):
    (tmp_path / "x.yaml").write_text("a: " + "x" * 70_000)
    with pytest.raises(InputError, match="larger than 64 KiB"):
        load(tmp_path / "x.yaml")
    with pytest.raises(InputError, match="larger than 64 KiB"):
        load("/dev/zero")


def test_aliases_and_merges_within_the_limits_are_written_out():
    assert parse("a: &x {b: 1}\nc: {<<: *x, d: *x}") == {"a": {"b": 1}, "c": {"b": 1, "d": {"b": 1}}}


def test_a_number_means_in_a_file_what_it_means_on_a_command_line():
    for text in ("0", "-0", "10", "1_000", "0.5", "00.5", "1.0e-3", "-7"):
        assert parse(text) == read_number(text), text
    assert parse("[0x10, 0b11, '010', '1:30']") == [16, 3, "010", "1:30"]


def test_ordered_dictionaries_and_tuples_of_python_are_read_as_plain_data():
    tagged = yaml.dump(OrderedDict(a=1, b=(2, "step"), c=OrderedDict(d=[])))
    assert "python/object/apply:collections.OrderedDict" in tagged and "python/tuple" in tagged
    read = parse(tagged)
    assert read == {"a": 1, "b": [2, "step"], "c": {"d": []}}
    assert type(read) is dict and type(read["c"]) is dict


TEXT = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0"), max_size=12)
PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63) + 1, 2**63 - 1) | st.floats(allow_nan=False) | TEXT,
    lambda part: st.lists(part, max_size=4) | st.dictionaries(TEXT, part, max_size=4),
    max_leaves=12,
)


@settings(max_examples=50)
@given(PLAIN)
def test_plain_data_comes_back_as_it_was(value):
    text = yaml.safe_dump(value, allow_unicode=True)
    assert parse(text) == value


@pytest.mark.parametrize("depth", [MAX_DEPTH, MAX_DEPTH + 1])
def test_depth_is_refused_exactly_beyond_the_limit(depth):
    nested = "[" * (depth - 1) + "1" + "]" * (depth - 1)
    if depth <= MAX_DEPTH:
        parse(nested)
    else:
        with pytest.raises(InputError, match="nests deeper"):
            parse(nested)


@pytest.mark.parametrize("more", [0, 1])
def test_the_number_of_values_is_refused_exactly_beyond_the_limit(more):
    lists = MAX_VALUES // 200  # of 199 values each, one of them the list itself; the whole is one more
    rest = MAX_VALUES - 1 - 199 * lists + more
    text = "[&a [" + ",".join("1" * 198) + "]" + ", *a" * (lists - 1) + ", 1" * rest + "]"
    if more:
        with pytest.raises(InputError, match="values"):
            parse(text)
    else:
        parse(text)
