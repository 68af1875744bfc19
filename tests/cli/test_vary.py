"""``--vary``: values are read as ``--set`` reads them, and every mistake is one line."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuner.cli.vary import read_vary, varied
from tuner.errors import InputError
from tuner.hyperparameters import DQNHyperparameters, field_infos
from tuner.space.text import read_text
from tuner.text import typed_text

INFOS = field_infos(DQNHyperparameters)


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("learning_rate=1e-5,1e-4", [1e-5, 1e-4]),
        ("buffer_size=1_000,50000", [1000, 50_000]),
        ("net_arch=64x64,256,linear", [(64, 64), (256,), ()]),
        ("net_arch=[64, 64],[256, 256]", [(64, 64), (256, 256)]),
        ("double_q=false,true", [False, True]),
        ("optimizer=adam,rmsprop", ["adam", "rmsprop"]),
    ],
)
def test_values_are_read_by_the_kind_of_the_field(text, values):
    name = text.partition("=")[0]
    assert read_vary("dqn", [text]) == {name: values}


@given(st.one_of(st.floats(1e-9, 1), st.lists(st.integers(1, 4096), max_size=3).map(tuple), st.booleans()))
def test_what_labels_say_reads_back_as_the_very_value(value):
    name = "double_q" if isinstance(value, bool) else "net_arch" if isinstance(value, tuple) else "learning_rate"
    assert INFOS[name].check(read_text(INFOS[name], typed_text(value))) == value


def test_two_fields_make_every_combination_the_first_slowest():
    made = varied({"tau": 1.0, "gamma": 0.5}, read_vary("dqn", ["gamma=0.9,0.99", "batch_size=32,64"]))
    assert list(made) == [f"gamma {g}, batch_size {b}" for g in (0.9, 0.99) for b in (32, 64)]
    assert made["gamma 0.99, batch_size 32"] == {"tau": 1.0, "gamma": 0.99, "batch_size": 32}


@pytest.mark.parametrize(
    ("texts", "says"),
    [
        (["gamma"], "--vary takes FIELD=v1,v2,..., such as --vary learning_rate=1e-4,1e-3; got 'gamma'"),
        (["gama=0.9,0.99"], "dqn has no hyperparameter 'gama'. Did you mean 'gamma'?"),
        (["gamma=0.9,2"], "--vary gamma must be at least 0 and at most 1, got 2"),
        (
            ["learning_rate=lin_1e-3,1e-3"],
            "got 'lin_1e-3'. How it falls is a field of its own: --vary learning_rate_sch",
        ),
        (["gamma=0.9,"], "--vary gamma must be at least 0 and at most 1, got ''"),
        (["gamma=0.9,0.90"], "--vary gamma has the value 0.9 twice"),
        (["gamma=0.9"], "--vary gamma needs at least two values"),
        (["gamma=0.9,0.99", "gamma=0.5,0.6"], "--vary gamma is there twice"),
        (["gamma=0.9,0.99", "tau=0.5,1", "batch_size=32,64"], "--vary takes at most 2 fields, got 3"),
        (["batch_size=" + ",".join(map(str, range(1, 66)))], "At most 64 settings are compared at a time, got 65"),
    ],
)
def test_a_mistake_is_one_line_that_says_what_and_which_value(texts, says):
    with pytest.raises(InputError, match=r"^[^\n]+$") as error:
        read_vary("dqn", texts)
    assert says in str(error.value)
