"""Combinations of listed values: each that a trial can be, once, the first ones spread."""

import itertools
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuner.errors import InputError
from tuner.space.catalog import load_by_name
from tuner.space.listed import MOST_VALUES, combinations
from tuner.space.parse import parse_space

#: Field to values that it may take.
LISTS = {
    "learning_rate": [1e-5, 1e-4, 1e-3, 1e-2],
    "double_q": [True, False],
    "net_arch": [[64, 64], [256], []],
    "batch_size": [16, 32, 64, 128, 256],
    "n_steps": [1, 3],
}


def space_of(search, **rest):
    return parse_space({"algorithm": "dqn", "budget": {"n_timesteps": 50_000}, "search": search, **rest})


def listed(found):
    return [tuple(sorted(point.items())) for point in found]


@given(
    st.dictionaries(st.sampled_from(sorted(LISTS)), st.integers(1, 5), min_size=1),
    st.integers(0, 2**31 - 1),
)
def test_it_is_the_product_of_the_lists_and_every_value_is_in_the_first_ones(sizes, seed):
    lists = {name: LISTS[name][:size] for name, size in sizes.items()}
    found = combinations(space_of({n: {"choices": v} for n, v in lists.items()}), seed=seed, most=10_000)
    text = {n: ["x".join(map(str, v)) or "linear" if isinstance(v, list) else v for v in vs] for n, vs in lists.items()}
    assert Counter(listed(found)) == Counter(
        tuple(sorted(zip(text, values, strict=True))) for values in itertools.product(*text.values())
    )
    longest = max(map(len, lists.values()))
    for name, values in text.items():
        seen = Counter(point[name] for point in found[:longest])
        assert set(seen) == set(values)
        assert max(seen.values()) - min(seen.values()) <= 1  # and none much more often than another


def test_the_order_is_the_seeds():
    space = space_of({n: {"choices": v} for n, v in LISTS.items()})
    first, again, other = (combinations(space, seed=seed, most=1000) for seed in (1, 1, 2))
    assert first == again != other


def test_ranges_with_a_step_short_ranges_of_integers_and_powers_of_two_are_lists():
    found = combinations(
        space_of(
            {
                "exploration_fraction": {"low": 0.1, "high": 0.3, "step": 0.1},
                "n_steps": {"low": 1, "high": 3},
                "learning_starts": {"low": 0, "high": 5000, "step": 2500},
                "batch_size": {"low": 16, "high": 64, "scale": "power_of_two"},
            }
        ),
        seed=0,
        most=1000,
    )
    assert {name: sorted({point[name] for point in found}) for name in found[0]} == {
        "exploration_fraction": [0.1, 0.2, 0.3],
        "n_steps": [1, 2, 3],
        "learning_starts": [0, 2500, 5000],
        "batch_size_pow": [4, 5, 6],
    }
    assert len(found) == 81


def test_conditions_and_bounds_that_follow_a_field_leave_out_what_no_trial_can_be():
    found = combinations(
        space_of(
            {
                "prioritized": {"choices": [True, False]},
                "priority_alpha": {"choices": [0.4, 0.6], "when": {"prioritized": True}},
                "train_freq": {"choices": [1, 3]},
                "gradient_steps": {"low": 1, "high": {"field": "train_freq", "max": 8}},
            }
        ),
        seed=0,
        most=1000,
    )
    one = [{"train_freq": 1, "gradient_steps": 1}, *({"train_freq": 3, "gradient_steps": g} for g in (1, 2, 3))]
    other = [{"prioritized": False}, *({"prioritized": True, "priority_alpha": a} for a in (0.4, 0.6))]
    assert Counter(listed(found)) == Counter(listed(a | b for a in one for b in other))


@pytest.mark.parametrize(
    ("search", "words"),
    [
        ({"learning_rate": {"low": 1.0e-5, "high": 0.01, "log": True}}, ["learning_rate", "choices: [1.0e-05, 0.01]"]),
        ({"exploration_fraction": {"low": 0.1, "high": 0.5}}, ["choices: [0.1, 0.5]", "step"]),
        ({"buffer_size": {"low": 1000, "high": 50_000}}, [f"at most {MOST_VALUES} values"]),
        ({"n_steps": {"low": 1, "high": 8, "log": True}}, ["ranges: n_steps"]),
        ({"gradient_steps": {"low": 1, "high": {"field": "train_freq", "max": 500}}}, ["choices: [1, 500]"]),
        ({n: {"choices": v} for n, v in LISTS.items()}, ["at most 200 combinations"]),
    ],
)
def test_what_is_no_list_is_refused_in_a_line_that_shows_how_to_write_one(search, words):
    with pytest.raises(InputError) as refused:
        combinations(space_of(search), seed=0, most=200)
    message = str(refused.value)
    assert "\n" not in message and message.startswith("--sampler grid")
    assert all(word in message for word in words), message


def test_the_packaged_space_is_refused_with_all_its_ranges():
    with pytest.raises(InputError, match=r"these are ranges: .*learning_rate"):
        combinations(load_by_name("default"), seed=0, most=200)
