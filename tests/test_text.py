"""Texts that people see: what would steer a terminal is replaced, what they can read stays."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuner.text import env_title, level_percent, percent, printable, score_text, signed_percent

#: Classes of control, format, surrogate, private and unassigned characters, and of separators.
OTHERS = ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp", "Zs")


def test_only_characters_that_steer_or_hide_are_replaced():
    for c in map(chr, range(0x10000)):
        kept = c in " \n\t\u00a0\u202f" or unicodedata.category(c) not in OTHERS
        assert printable(f"a{c}b") == f"a{c if kept else chr(0xFFFD)}b", hex(ord(c))


PLAIN = st.none() | st.booleans() | st.integers(-9, 9) | st.floats(0, 1) | st.text("ab", max_size=3)
ARGUMENTS = st.dictionaries(st.sampled_from("xy"), PLAIN | st.lists(PLAIN, max_size=2), max_size=2)


@given(ARGUMENTS, ARGUMENTS)
def test_environments_with_other_arguments_never_read_alike(one, other):
    """Text apart, which stands without quotes, so that ``map_name=8x8`` reads as it was typed."""
    titles = [env_title({"env": "A-v0", "env_arg": arguments}) for arguments in (one, other)]
    assert (titles[0] == titles[1]) or repr(one) != repr(other)
    if not any(isinstance(v, str | list) or v is None for v in (*one.values(), *other.values())):
        assert (titles[0] == titles[1]) == (repr(sorted(one.items())) == repr(sorted(other.items())))


def test_an_environment_is_named_with_its_arguments_and_how_it_is_met():
    lake = {"env": "FrozenLake-v1", "env_arg": {"is_slippery": False, "desc": ["SF", "FG"]}}
    assert env_title(lake) == "FrozenLake-v1 (desc=[SF, FG], is_slippery=false)"
    assert env_title({**lake, "pixels": True, "env_arg": {}}) == "FrozenLake-v1 (rendered frames in place of the state)"
    assert env_title({"env": "A-v0", "env_arg": None, "pixels": False}) == "A-v0"


@given(st.fractions(0, 1, max_denominator=100_000))
def test_a_share_is_all_or_nothing_only_where_it_is(share):
    text = percent(float(share))
    assert (text == "100 %") == (share == 1) and (text == "0 %") == (share == 0)
    if "than" not in text:
        assert float(text.removesuffix(" %")) == pytest.approx(100 * share, abs=0.5)


def test_shares_are_rounded_to_whole_percents():
    shares = (0.169, 199 / 200, 0.004, 0.9999, 1.69)
    assert [*map(percent, shares)] == ["17 %", "99.5 %", "0.4 %", "less than 100 %", "169 %"]


def test_a_score_is_said_without_the_rounding_of_sums():
    walked = 1 + sum([-0.1] * 10)  # ten steps, then the goal
    assert walked != 0 and score_text(walked) == score_text(-walked, 4) == "0"
    assert score_text(4.035000000000001) == "4.04" and score_text(1 - 1e-12) == "1"  # not by way of 4.035
    assert (score_text(None), score_text(0.25), score_text(-1234.5, 4)) == ("–", "0.25", "-1,234")


def test_what_rounds_to_no_difference_has_no_sign():
    shares = (0.174, -0.03, 0.0, -0.004, 0.004)
    assert [*map(signed_percent, shares)] == ["+17 %", "-3 %", "0 %", "0 %", "0 %"]
    assert [signed_percent(share, 1) for share in shares] == ["+17.4 %", "-3.0 %", "0 %", "-0.4 %", "+0.4 %"]


def test_a_level_is_said_in_full():
    assert [*map(level_percent, (0.95, 0.975, 0.9, 1 - 0.05 / 3))] == ["95 %", "97.5 %", "90 %", "98.3333 %"]
