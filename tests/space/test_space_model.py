import pytest
from hypothesis import given
from hypothesis import strategies as st
from optuna.distributions import FloatDistribution

from tuner.errors import InputError
from tuner.hyperparameters import DQNHyperparameters, from_mapping
from tuner.space.nearest import nearest_params, on_grid
from tuner.space.parse import parse_space


class Pick:
    """Answers with prepared values, or with the low end (the first option), and records every question."""

    def __init__(self, **values) -> None:
        self.values = values
        self.asked: dict[str, tuple] = {}

    def float(self, name, low, high, log, step):
        self.asked[name] = (low, high, log, step)
        return self.values.get(name, low)

    def int(self, name, low, high, log, step):
        self.asked[name] = (low, high, log, step)
        return self.values.get(name, low)

    def choice(self, name, options):
        self.asked[name] = options
        return self.values.get(name, options[0])


def space_of(search: dict, **rest):
    return parse_space({"algorithm": "dqn", "budget": {"n_timesteps": 10_000}, "search": search, **rest})


GAMMA = {"type": "float", "low": 0.9, "high": 0.9999, "scale": "one_minus_log"}


def test_one_minus_log_samples_the_distance_from_one() -> None:
    space = space_of({"gamma": GAMMA})
    pick = Pick(one_minus_gamma=0.02)
    params = space.sample(pick)
    assert pick.asked == {"one_minus_gamma": (0.0001, 0.1, True, None)}
    assert params == {"one_minus_gamma": 0.02} and space.resolve(params).gamma == 0.98


def test_power_of_two_samples_the_exponent() -> None:
    space = space_of({"batch_size": {"low": 4, "high": 2048, "scale": "power_of_two"}})
    pick = Pick(batch_size_pow=6)
    params = space.sample(pick)
    assert pick.asked == {"batch_size_pow": (2, 11, False, 1)}
    assert params == {"batch_size_pow": 6} and space.resolve(params).batch_size == 64


def test_network_shapes_are_sampled_as_text() -> None:
    space = space_of({"net_arch": {"choices": [[64, 64], [400, 300], []]}})
    pick = Pick(net_arch="400x300")
    params = space.sample(pick)
    assert pick.asked == {"net_arch": ("64x64", "400x300", "linear")}
    assert space.resolve(params).net_arch == (400, 300)
    assert space.resolve({"net_arch": "linear"}).net_arch == ()


def test_condition_decides_whether_a_value_is_asked_for() -> None:
    search = {"double_q": {"choices": [False, True]}, "tau": {"low": 0.1, "high": 0.5, "when": {"double_q": True}}}
    space = space_of(search)
    off, on = Pick(), Pick(double_q=True)
    assert space.resolve(space.sample(off)).tau == 1.0  # the default
    assert "tau" not in off.asked
    assert space.resolve(space.sample(on)).tau == 0.1


@pytest.mark.parametrize(("fixed", "asked"), [({"loss": "mse"}, True), ({"loss": "huber"}, False), ({}, False)])
def test_condition_sees_fixed_values_and_defaults(fixed: dict, asked: bool) -> None:
    pick = Pick()
    space_of({"tau": {"low": 0.1, "high": 0.5, "when": {"loss": ["mse"]}}}, fixed=fixed).sample(pick)
    assert ("tau" in pick.asked) is asked


@pytest.mark.parametrize(("train_freq", "high"), [(1, 2), (5, 5), (100, 8)])
def test_following_bound_is_the_smaller_of_field_and_max_but_never_below_low(train_freq: int, high: int) -> None:
    search = {
        "train_freq": {"low": 1, "high": 100},
        "batch_size": {"low": 2, "high": {"field": "train_freq", "max": 8}},
    }
    pick = Pick(train_freq=train_freq)
    space_of(search).sample(pick)
    assert pick.asked["batch_size"][:2] == (2, high)


@pytest.mark.parametrize(
    ("rule", "by", "train_freq", "gradient_steps"),
    [
        ("train_freq_over", 2, 8, 4),
        ("train_freq_over", 3, 8, 2),
        ("train_freq_over", 8, 4, 1),
        ("train_freq_times", 0.5, 16, 8),
        ("train_freq_times", 0.25, 2, 1),
        ("train_freq_times", 1.0, 7, 7),
        ("train_freq_times", 0.5, 5, 3),
        ("train_freq_times", 100_000, 100_000, 100_000),  # the most there is of a field
    ],
)
def test_derived_rules(rule: str, by: float, train_freq: int, gradient_steps: int) -> None:
    space = space_of(
        {"train_freq": {"low": 1, "high": 100}, "helper": {"choices": [by]}},
        derived={"gradient_steps": {"rule": rule, "by": "helper"}},
    )
    assert space.resolve({"train_freq": train_freq, "helper": by}).gradient_steps == gradient_steps


def test_what_no_range_decides_is_fixed_or_default() -> None:
    space = space_of({"gamma": GAMMA}, fixed={"batch_size": 7})
    assert space.resolve({"one_minus_gamma": 0.1}) == DQNHyperparameters(gamma=0.9, batch_size=7)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({}, "lack 'one_minus_gamma'"),
        ({"one_minus_gamma": 0.1, "tau": 0.5}, "does not sample 'tau'"),
        ({"one_minus_gamma": "x"}, "'one_minus_gamma' cannot be 'x'"),
        ({"one_minus_gamma": 7.0}, "gamma must be at least 0"),
    ],
)
def test_foreign_samples_are_refused(params: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        space_of({"gamma": GAMMA}).resolve(params)


def test_fixing_takes_a_field_out_of_the_search() -> None:
    space = space_of({"gamma": GAMMA, "tau": {"low": 0.1, "high": 0.5}}).fix("gamma", 0.95)
    assert [d.name for d in space.dimensions] == ["tau"]
    assert space.resolve(space.sample(Pick())).gamma == 0.95


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("learning_rate", "1e-3", 0.001),
        ("buffer_size", "50_000", 50_000),
        ("buffer_size", "5e4", 50_000),
        ("double_q", "true", True),
        ("double_q", "off", False),
        ("net_arch", "64x32", (64, 32)),
        ("net_arch", "[64, 32]", (64, 32)),
        ("net_arch", "64", (64,)),
        ("net_arch", "(64,)", (64,)),
        ("net_arch", "[]", ()),
        ("net_arch", "linear", ()),
        ("loss", "mse", "mse"),
        ("gradient_steps", "-1", -1),
    ],
)
def test_fix_reads_command_line_text(name: str, text: str, value: object) -> None:
    assert getattr(space_of({}).fix(name, text).resolve({}), name) == value


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("gama", "0.9", "no hyperparameter 'gama'. Did you mean 'gamma'?"),
        ("gamma", "high", "gamma must be at least 0 and at most 1, got 'high'"),
        ("gamma", "nan", "gamma must be"),
        ("gamma", 1.5, "got 1.5"),
        ("batch_size", "2.5", "batch_size must be an integer"),
        ("double_q", "maybe", "double_q must be true or false"),
        ("net_arch", "wide", "net_arch must be a list of layer widths"),
        ("net_arch", "", "net_arch must be a list of layer widths"),
        ("net_arch", "x", "net_arch must be a list of layer widths"),
        ("net_arch", "64x", "net_arch must be a list of layer widths"),
        ("net_arch", "64,,64", "net_arch must be a list of layer widths"),
    ],
)
def test_fix_refuses_what_the_field_refuses(name: str, value: object, message: str) -> None:
    with pytest.raises(InputError) as caught:
        space_of({}).fix(name, value)
    assert message in str(caught.value)


def test_fixing_a_derived_field_drops_its_rule_and_helper() -> None:
    space = space_of(
        {"train_freq": {"low": 1, "high": 4}, "helper": {"choices": [1, 2]}},
        derived={"gradient_steps": {"rule": "train_freq_over", "by": "helper"}},
    )
    fixed = space.fix("gradient_steps", 3)
    assert [d.name for d in fixed.dimensions] == ["train_freq"] and not fixed.derived
    assert fixed.resolve({"train_freq": 4}).gradient_steps == 3
    assert space.fix("helper", 2).resolve({"train_freq": 4}).gradient_steps == 2


def test_environment_overrides() -> None:
    space = space_of(
        {"gamma": GAMMA, "tau": {"low": 0.1, "high": 0.5}},
        fixed={"batch_size": 32, "train_freq": 4},
        environments={
            "A-v0": {
                "budget": {"n_timesteps": 77_000},
                "fixed": {"gamma": 0.5, "train_freq": 8},
                "search": {"batch_size": {"choices": [1, 2]}, "tau": {"low": 0.2, "high": 0.3}},
            }
        },
    )
    changed, listed = space.for_environment("some.module:A-v0")
    assert listed and not changed.environments
    assert changed.budget.n_timesteps == 77_000 and changed.budget.evaluations == space.budget.evaluations
    assert changed.fixed == {"gamma": 0.5, "train_freq": 8}
    assert [(d.name, d.low) for d in changed.dimensions] == [("tau", 0.2), ("batch_size", 0.0)]
    same, listed = space.for_environment("B-v0")
    assert not listed and same.search == space.search and same.fixed == space.fixed


def test_an_environment_that_fixes_a_derived_field_needs_no_helper() -> None:
    space = space_of(
        {"train_freq": {"low": 1, "high": 4}, "helper": {"choices": [1, 2]}},
        derived={"gradient_steps": {"rule": "train_freq_over", "by": "helper"}},
        environments={"A-v0": {"fixed": {"gradient_steps": 3}}},
    )
    changed, _ = space.for_environment("A-v0")
    assert [d.name for d in changed.dimensions] == ["train_freq"] and not changed.derived
    assert changed.resolve({"train_freq": 4}).gradient_steps == 3


def test_a_number_among_choices_is_the_nearest_by_its_ratio() -> None:
    space = space_of({"batch_size": {"choices": [16, 256]}})
    near = {size: nearest_params(space, DQNHyperparameters(batch_size=size))["batch_size"] for size in (60, 68)}
    assert near == {60: 16, 68: 256}  # 16 * 4 = 64 = 256 / 4


def sac_of(search: dict):
    return parse_space({"algorithm": "sac", "budget": {"n_timesteps": 10_000}, "search": search})


def test_what_is_not_given_by_default_can_be_a_condition_and_has_a_nearest_number() -> None:
    """The weight of the entropy, which is learned where there is none."""
    learned = sac_of({"tau": {"low": 0.1, "high": 0.5, "when": {"ent_coef": None}}})
    assert learned.resolve(learned.sample(Pick())).tau == 0.1
    assert learned.fix("ent_coef", 0.2).sample(Pick()) == {}
    space = sac_of({"ent_coef": {"low": 0.01, "high": 0.5, "log": True}})
    values = (None, 0.2, 9.0)
    near = [nearest_params(space, from_mapping("sac", {"ent_coef": value}))["ent_coef"] for value in values]
    assert near == [0.01, 0.2, 0.5]


def test_as_many_updates_as_steps_are_the_nearest_helper() -> None:
    space = space_of(
        {"train_freq": {"low": 1, "high": 100}, "helper": {"type": "float", "low": 0.1, "high": 2.0}},
        derived={"gradient_steps": {"rule": "train_freq_times", "by": "helper"}},
    )
    assert nearest_params(space, DQNHyperparameters(train_freq=8, gradient_steps=-1))["helper"] == 1.0


def test_ranges_are_cut_to_the_budget() -> None:
    search = {
        "buffer_size": {"low": 1000, "high": 1_000_000, "log": True},
        "target_update_interval": {"low": 1, "high": 100_000, "log": True},
        "train_freq": {"low": 1, "high": 256, "scale": "power_of_two"},
        "learning_starts": {"choices": [100, 1000, 50_000]},
        "batch_size": {"low": 1, "high": 5000},
    }
    space = space_of(search)  # 10,000 steps
    ends = {d.field: d.high for d in space.clip_to_budget().dimensions}
    assert ends["buffer_size"] == 10_000 and ends["target_update_interval"] == 2000
    assert ends["train_freq"] == 7 and ends["batch_size"] == 5000  # 2^7 = 128 <= 10,000 / 50
    assert space.clip_to_budget().search["learning_starts"].choices == (100, 1000)
    tiny = space.with_budget(n_timesteps=500).clip_to_budget()
    assert {d.field: (d.low, d.high) for d in tiny.dimensions}["buffer_size"] == (500, 500)
    as_written = space_of(search, budget={"n_timesteps": 10_000, "clip": False})
    assert as_written.clip_to_budget() == as_written


def test_bad_budgets_from_flags_are_refused() -> None:
    with pytest.raises(InputError, match="--steps must be at least 1, got 0"):
        space_of({}).with_budget(n_timesteps=0)
    with pytest.raises(InputError, match="10 evaluations for 5 steps"):
        space_of({}).with_budget(n_timesteps=5)
    assert space_of({}).with_budget(5, 2, 3).budget == type(space_of({}).budget)(5, 2, 3)


def test_native_options_leave_the_search_for_sb3() -> None:
    space = space_of({"gamma": GAMMA, "double_q": {"choices": [True, False]}})
    kept, dropped = space.for_sb3()
    assert dropped == ("double_q",) and [d.field for d in kept.dimensions] == ["gamma"]


def test_choices_that_only_the_native_agent_has_leave_the_search_for_sb3() -> None:
    space = space_of({"gamma": GAMMA, "learning_rate_schedule": {"choices": ["constant", "linear", "cosine"]}})
    kept, dropped = space.for_sb3()
    assert dropped == ("learning_rate_schedule=cosine",)
    assert kept.search["learning_rate_schedule"].choices == ("constant", "linear")
    kept, _ = space_of({"gamma": GAMMA, "learning_rate_schedule": {"choices": ["cosine"]}}).for_sb3()
    assert [d.field for d in kept.dimensions] == ["gamma"]


def test_hash_sees_content_and_order_of_sampling_but_not_order_of_fixed() -> None:
    ranges = {"gamma": GAMMA, "tau": {"low": 0.1, "high": 0.5}}
    one = space_of(ranges, fixed={"batch_size": 1, "train_freq": 2})
    assert one.hash() == space_of(ranges, fixed={"train_freq": 2, "batch_size": 1}).hash()
    assert one.hash() != space_of(dict(reversed(ranges.items())), fixed={"batch_size": 1, "train_freq": 2}).hash()
    assert one.hash() != one.with_budget(n_timesteps=9_999).hash()
    assert one.hash() != one.fix("tau", 0.2).hash()


def test_hash_is_stable_between_versions() -> None:
    space = space_of({"gamma": GAMMA}, fixed={"net_arch": [64, 64]})
    assert space.hash() == "9417c4cab118a54025a4cb1e91945e02479c39008de28f86d91add8b849816cc"


@given(st.integers(-50, 50), st.integers(1, 40), st.sampled_from([0.1, 0.05, 0.3, 1e-3, 0.25]), st.data())
def test_a_value_on_a_ranges_grid_is_one_that_optuna_has(low, count, step, data):
    low, high = round(low * 0.1, 12), round(low * 0.1 + count * step, 12)
    found = on_grid(data.draw(st.floats(low, high)), low, high, step)
    assert low <= found <= high
    assert FloatDistribution(low, high, step=step)._contains(found)
    assert on_grid(0.7, 0.1, 0.7, 0.1) == 0.7
