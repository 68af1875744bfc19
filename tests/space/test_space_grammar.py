from pathlib import Path

import pytest
import yaml

from tuner.errors import SpaceError
from tuner.hyperparameters import ALGORITHMS
from tuner.space.parse import load_space, parse_space
from tuner.space.ranges import FloatRange

HEAD = "algorithm: dqn\nbudget: {n_timesteps: 1000}\n"


def problem(tmp_path: Path, text: str) -> str:
    """The one line that refuses a file, without the file's name."""
    path = tmp_path / "space.yaml"
    path.write_text(text)
    with pytest.raises(SpaceError) as caught:
        load_space(path)
    message = str(caught.value)
    assert "\n" not in message and message.startswith(f"{path}: ") and caught.value.exit_code == 2
    return message.removeprefix(f"{path}: ")


def search(field: str, item: str) -> str:
    return f"{HEAD}search: {{{field}: {item}}}\n"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # keys
        (
            HEAD + "fixed: {learning_rate: lin_1e-3, learning_rate_schedule: cosine}",
            "fixed: learning_rate=lin_1e-3 falls",
        ),
        (search("gamma", "{type: [float], low: 0.1, high: 0.2}"), "search.gamma.type: must be one of float, int"),
        (HEAD + "serach: {}", "serach: unknown key. Did you mean 'search'?"),
        (
            search("learning_rat", "{low: 0.1, high: 0.2}"),
            "search.learning_rat: unknown key. Did you mean 'learning_rate'?",
        ),
        (search("gamma", "{low: 0.1, hihg: 0.2}"), "search.gamma.hihg: unknown key. Did you mean 'high'?"),
        (search("gamma", "{min: 0.1, max: 0.2}"), "search.gamma.min: unknown key. Did you mean 'low'?"),
        (HEAD + "fixed: {gama: 0.9}", "fixed.gama: unknown key. Did you mean 'gamma'?"),
        ("algorithm: dqn\nbudget: {steps: 10}", "budget.steps: unknown key. Did you mean 'n_timesteps'?"),
        ("algorithm: dqn", "lacks 'budget'"),
        ("algorithm: dqn\nbudget: {evaluations: 3}", "budget: lacks 'n_timesteps'"),
        ("algorithm: dqm\nbudget: {n_timesteps: 9}", f"algorithm: must be one of {', '.join(ALGORITHMS)}, got 'dqm'."),
        ("budget: {n_timesteps: 9}", f"algorithm: must be one of {', '.join(ALGORITHMS)}, got None."),
        (HEAD + "fixed: {gamma: 0.9, gamma: 0.8}", "the key 'gamma' is there twice (line 3, column 21)"),
        # numbers
        (
            search("gamma", "{low: 0.9, high: 0.9999999999999, scale: one_minus_log}"),
            "search.gamma.high: must be below 1 by",
        ),
        (search("gamma", "{low: 0.1, high: 0.9, step: 1.0e-300}"), "search.gamma.step: must be at least 8e-16 here"),
        (search("gamma", "{low: 0.1, high: 0.9, step: 5.0e-324}"), "search.gamma.step: must be at least 8e-16 here"),
        (
            search("gamma", "{type: float, low: 0.99, high: 0.9}"),
            "search.gamma: low must not be above high, got low 0.99 and",
        ),
        (
            search("gamma", "{type: float, low: 0.9, high: 1.5}"),
            "search.gamma.high: gamma must be at least 0 and at most 1, got 1.5",
        ),
        (
            search("learning_rate", "{low: 0.0, high: 0.1, log: true}"),
            "search.learning_rate.low: learning_rate must be above 0",
        ),
        (
            search("gamma", "{low: 0.0, high: 0.9, log: true}"),
            "search.gamma.low: must be above 0 on a log scale, got 0.0.",
        ),
        (search("learning_rate", "{low: 1e-5, high: 1.0e-2}"), "YAML reads 1e-5 as text; write 1.0e-05."),
        (
            HEAD + "fixed: {learning_rate: 1e-3}",
            "fixed.learning_rate: learning_rate must be above 0 and at most 1, got '1e-3'.",
        ),
        (
            "algorithm: dqn\nbudget: {n_timesteps: 5e4}",
            "budget.n_timesteps: must be a whole number of at least 1 (write 50000, not",
        ),
        ("algorithm: dqn\nbudget: {n_timesteps: 0}", "budget.n_timesteps: must be a whole number of at least 1"),
        (
            "algorithm: dqn\nbudget: {n_timesteps: 5, evaluations: 6}",
            "budget.evaluations: must be at most n_timesteps (5), got 6.",
        ),
        (search("batch_size", "{low: 1.5, high: 8}"), "search.batch_size.low: batch_size must be an integer"),
        (search("batch_size", "{low: true, high: 8}"), "search.batch_size.low: batch_size must be an integer"),
        (search("batch_size", "{type: float, low: 1, high: 8}"), "search.batch_size.type: must be int or categorical"),
        (
            search("gamma", "{type: uniform, low: 0.1, high: 0.8}"),
            "search.gamma.type: must be one of float, int, categorical, got",
        ),
        (
            search("gamma", "{low: 0.1}"),
            "search.gamma: lacks 'high'. Write for example {type: float, low: 0.1, high: 0.9}.",
        ),
        (
            search("gamma", "0.99"),
            "search.gamma: must be a range such as {type: float, low: 0.1, high: 0.9}, got 0.99. To fix",
        ),
        (search("gamma", "{low: .nan, high: 0.9}"), "search.gamma.low: gamma must be"),
        (search("buffer_size", "{low: 1, high: .inf}"), "search.buffer_size.high: buffer_size must be"),
        # steps and scales
        (
            search("batch_size", "{low: 8, high: 21, step: 8}"),
            "search.batch_size.high: must be low plus whole steps of 8, such as 16.",
        ),
        (
            search("gamma", "{low: 0.5, high: 0.99, step: 0.2}"),
            "search.gamma.high: must be low plus whole steps of 0.2, such as 0.9.",
        ),
        (
            search("gamma", "{low: 0.5, high: 0.9, step: 0.2, log: true}"),
            "search.gamma.step: goes with a linear scale only",
        ),
        (
            search("batch_size", "{low: 8, high: 16, step: 0}"),
            "search.batch_size.step: must be an integer of at least 1",
        ),
        (
            search("batch_size", "{low: 8, high: 100, scale: power_of_two}"),
            "search.batch_size.high: must be a power of two, such as 64",
        ),
        (
            search("learning_starts", "{low: 0, high: 8, scale: power_of_two}"),
            "must be at least 1 on a logarithmic scale",
        ),
        (
            search("gamma", "{low: 0.9, high: 1.0, scale: one_minus_log}"),
            "search.gamma.high: must be below 1 on the scale",
        ),
        (
            search("gamma", "{low: 0.9, high: 0.99, scale: power_of_two}"),
            "search.gamma.scale: must be one_minus_log for type float",
        ),
        (
            search("gamma", "{low: 0.9, high: 0.99, scale: one_minus_log, log: true}"),
            "goes with neither 'log' nor 'step'",
        ),
        (
            search("gamma", "{low: 0.9, high: 0.99, log: maybe}"),
            "search.gamma.log: must be true or false, got 'maybe'.",
        ),
        # choices
        (
            search("batch_size", "{choices: []}"),
            "search.batch_size.choices: must be a list of at least one value, got [].",
        ),
        (search("batch_size", "{choices: [32, 0.5]}"), "search.batch_size.choices[1]: batch_size must be an integer"),
        (search("batch_size", "{choices: [32, 32.0]}"), "search.batch_size.choices[1]: 32.0 is there twice."),
        (search("batch_size", "{choices: [32], low: 3}"), "search.batch_size.low: unknown key."),
        (
            search("loss", "{choices: [huber, mae]}"),
            "search.loss.choices[1]: loss must be one of huber, mse, got 'mae'.",
        ),
        (
            search("net_arch", "{choices: [64, 64]}"),
            "search.net_arch.choices[0]: net_arch must be a list of layer widths",
        ),
        (search("net_arch", "{low: 1, high: 2}"), "search.net_arch.low: unknown key. Known: type, choices, when."),
        # conditions, following bounds, derived
        (
            search("tau", "{low: 0.1, high: 0.2, when: {duble_q: true}}"),
            "search.tau.when.duble_q: unknown key. Did you mean 'double_q'?",
        ),
        (
            search("tau", "{low: 0.1, high: 0.2, when: {double_q: 3}}"),
            "search.tau.when.double_q: double_q must be true or false",
        ),
        (search("tau", "{low: 0.1, high: 0.2, when: true}"), "search.tau.when: must say which field has which value"),
        (
            search("tau", "{low: 0.1, high: 0.2, when: {double_q: []}}"),
            "search.tau.when.double_q: must be a value or a list",
        ),
        (
            HEAD
            + "search:\n  tau: {low: 0.1, high: 0.2, when: {double_q: true}}\n  double_q: {choices: [true, false]}",
            "search.tau: depends on 'double_q', which must be searched above it. Move it up.",
        ),
        (
            search("batch_size", "{low: 1, high: {field: gamma, max: 8}}"),
            "search.batch_size.high.field: must name an integer field",
        ),
        (search("batch_size", "{low: 1, high: {field: train_freq}}"), "search.batch_size.high: lacks 'max'."),
        (
            search("batch_size", "{low: 9, high: {field: train_freq, max: 8}}"),
            "search.batch_size: low must not be above high",
        ),
        (
            HEAD
            + "search:\n  batch_size: {low: 1, high: {field: train_freq, max: 8}}\n  train_freq: {low: 1, high: 8}",
            "search.batch_size: depends on 'train_freq', which must be searched above it.",
        ),
        (
            HEAD + "fixed: {gamma: 0.9}\nsearch: {gamma: {low: 0.1, high: 0.2}}",
            "search.gamma: 'gamma' is under 'fixed' as well.",
        ),
        (
            HEAD + "derived: {gradient_steps: {rule: half, by: x}}",
            "derived.gradient_steps.rule: must be one of train_freq_over",
        ),
        (
            HEAD + "derived: {gamma: {rule: train_freq_over, by: x}}",
            "derived.gamma.rule: must be one of (none computes this",
        ),
        (
            HEAD + "derived: {gradient_steps: {rule: train_freq_over, by: x}}",
            "derived.gradient_steps.by: 'x' must be under 'search'",
        ),
        (
            HEAD + "derived: {gradient_steps: {rule: train_freq_over, by: gamma}}",
            "derived.gradient_steps.by: must be a new name",
        ),
        (
            HEAD + "fixed: {x: 2, gradient_steps: 1}\nderived: {gradient_steps: {rule: train_freq_over, by: x}}",
            "derived.gradient_steps: 'gradient_steps' is under 'fixed' or 'search' as well.",
        ),
        (
            HEAD + "search: {double_q: {choices: [true]}, x: {low: 1, high: 2, when: {double_q: true}}}\n"
            "derived: {gradient_steps: {rule: train_freq_over, by: x}}",
            "search.x.when: gradient_steps is derived from it in every trial; leave 'when' out.",
        ),
        (
            HEAD + "search: {x: {low: 1, high: 2}, tau: {low: 0.1, high: 0.2, when: {gradient_steps: 1}}}\n"
            "derived: {gradient_steps: {rule: train_freq_over, by: x}}",
            "search.tau: cannot depend on 'gradient_steps', which is derived after the search.",
        ),
        (
            HEAD + "fixed: {x: 0}\nderived: {gradient_steps: {rule: train_freq_over, by: x}}",
            "fixed.x: x must be an integer of at least 1",
        ),
        # environments
        (
            HEAD + "environments: {CartPole-v1: {fixed: {gamma: 2}}}",
            "environments.CartPole-v1.fixed.gamma: gamma must be",
        ),
        (HEAD + "environments: {1: {}}", "environments: keys must be environment ids, got 1."),
        (HEAD + "environments: {CartPole-v1: {steps: 2}}", "environments.CartPole-v1.steps: unknown key."),
        (
            HEAD + "environments: {CartPole-v1: {budget: {n_timesteps: 5}}}",
            "environments.CartPole-v1.budget.evaluations: must be at",
        ),
        (
            HEAD + "environments: {X-v1: {fixed: {gamma: 0.5}, search: {gamma: {low: 0.1, high: 0.2}}}}",
            "environments.X-v1.search.gamma: 'gamma' is under 'fixed' as well.",
        ),
        # files
        ("just text", "must be a mapping of keys to values, got str."),
        ("", "must be a mapping of keys to values, got NoneType."),
        ("- a\n- b", "must be a mapping of keys to values, got list."),
        (HEAD + "search: [1]", "search: must be a mapping of keys to values, got list."),
        ("algorithm: [", "is not valid YAML: "),
        ("algorithm: dqn\n\tbudget: 3", "is not valid YAML: "),
        ("{[1]: 2, ? {a: b} : c}", "is not valid YAML: "),
        ("a: 2001-99-99", "is not valid YAML: "),
    ],
)
def test_broken_space_says_what_where_and_how(tmp_path: Path, text: str, expected: str) -> None:
    assert expected in problem(tmp_path, text)


@pytest.mark.parametrize("step", ["1", "1.0"])
def test_a_step_of_one_between_floats_is_kept(step):
    text = search("max_grad_norm", f"{{low: 1.0, high: 8.0, step: {step}}}")
    space = parse_space(yaml.safe_load(text))
    assert space.search["max_grad_norm"] == FloatRange(1.0, 8.0, step=1.0)
    assert space.to_mapping()["search"]["max_grad_norm"] == {"type": "float", "low": 1.0, "high": 8.0, "step": 1.0}
    assert parse_space(space.to_mapping()) == space


def test_data_never_executes(tmp_path: Path) -> None:
    witness = tmp_path / "witness"
    message = problem(tmp_path, f"algorithm: !!python/object/apply:os.system ['touch {witness}']")
    assert message.startswith("only plain data is allowed, no tags") and "line 1" in message
    assert not witness.exists()


def test_unreadable_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(SpaceError, match=r"absent\.yaml: cannot be read: No such file"):
        load_space(tmp_path / "absent.yaml")
    with pytest.raises(SpaceError, match="cannot be read: Is a directory"):
        load_space(tmp_path)
    (tmp_path / "latin.yaml").write_bytes(b"algorithm: \xff\xfe")
    with pytest.raises(SpaceError, match="is not UTF-8 text"):
        load_space(tmp_path / "latin.yaml")


def test_choices_need_no_type() -> None:
    base = {"algorithm": "dqn", "budget": {"n_timesteps": 1000}}
    short = parse_space({**base, "search": {"loss": {"choices": ["huber", "mse"]}}})
    assert short == parse_space({**base, "search": {"loss": {"type": "categorical", "choices": ["huber", "mse"]}}})


def test_whole_floats_are_integers_in_integer_fields() -> None:
    space = parse_space(
        {"algorithm": "dqn", "budget": {"n_timesteps": 1000}, "search": {"batch_size": {"choices": [32.0]}}}
    )
    assert space.search["batch_size"].choices == (32,) and isinstance(space.search["batch_size"].choices[0], int)
