"""Hypothesis strategies for search spaces, as plain data."""

from typing import Any

from hypothesis import strategies as st

from tuner.hyperparameters import DQNHyperparameters, FieldInfo, field_infos

INFOS = field_infos(DQNHyperparameters)
SOURCES = ("train_freq", "learning_starts")  # fields that others may depend on


def floats_of(info: FieldInfo) -> st.SearchStrategy[float]:
    low = max(info.low, -1e6)
    return st.floats(low, min(info.high, 1e6), exclude_min=info.low_open, allow_subnormal=False)


def ints_of(info: FieldInfo, low: int | None = None) -> st.SearchStrategy[int]:
    return st.integers(int(info.low) if low is None else low, int(min(info.high, 10**7)))


def values_of(info: FieldInfo) -> st.SearchStrategy[Any]:
    if info.kind == "float":
        return floats_of(info)
    if info.kind == "int":
        return ints_of(info)
    if info.kind == "bool":
        return st.booleans()
    if info.kind == "choice":
        return st.sampled_from(info.choices)
    return st.lists(st.integers(1, 512), max_size=3)


@st.composite
def ranges_of(draw: st.DrawFn, info: FieldInfo, above: tuple[str, ...] = ()) -> dict[str, Any]:
    """Any valid range of a field; conditions and following bounds use the fields in ``above``."""
    kinds = ["categorical"] + (["plain", "scaled"] if info.kind in ("float", "int") else [])
    kind = draw(st.sampled_from(kinds))
    if kind == "categorical":
        choices = draw(
            st.lists(
                values_of(info), min_size=1, max_size=4, unique_by=lambda v: tuple(v) if isinstance(v, list) else v
            )
        )
        item: dict[str, Any] = {"type": "categorical", "choices": choices}
    elif info.kind == "float":
        item = draw(_float_ranges(info, kind == "scaled"))
    else:
        item = draw(_int_ranges(info, kind == "scaled", above))
    conditional = [name for name in above if INFOS[name].kind != "layers"]
    if conditional and draw(st.booleans()):
        name = draw(st.sampled_from(conditional))
        item["when"] = {name: draw(values_of(INFOS[name]))}
    return item


@st.composite
def _float_ranges(draw: st.DrawFn, info: FieldInfo, scaled: bool) -> dict[str, Any]:
    if scaled and info.high == 1.0:
        low, high = sorted(draw(st.tuples(*[st.floats(0.001, 0.9999)] * 2)))
        return {"type": "float", "low": low, "high": high, "scale": "one_minus_log"}
    low, high = sorted(draw(st.tuples(floats_of(info), floats_of(info))))
    return {"type": "float", "low": low, "high": high, "log": low > 0 and draw(st.booleans())}


@st.composite
def _int_ranges(draw: st.DrawFn, info: FieldInfo, scaled: bool, above: tuple[str, ...]) -> dict[str, Any]:
    if scaled:
        most = int(min(info.high, 10**6)).bit_length() - 1
        low, high = sorted(draw(st.tuples(st.integers(0, most), st.integers(0, most))))
        return {"type": "int", "low": 2**low, "high": 2**high, "scale": "power_of_two"}
    low = draw(ints_of(info, max(int(info.low), 0)))
    step = draw(st.integers(1, 7))
    high = low + step * draw(st.integers(0, int((min(info.high, 10**7) - low) // step)))
    item: dict[str, Any] = {"type": "int", "low": low, "high": high, "step": step}
    if step == 1 and low > 0:
        item["log"] = draw(st.booleans())
    sources = [name for name in above if name in SOURCES]
    if sources and draw(st.booleans()):
        item["high"] = {"field": draw(st.sampled_from(sources)), "max": high}
    return item


@st.composite
def space_data(draw: st.DrawFn) -> dict[str, Any]:
    """Any valid search space for DQN, as YAML would give it."""
    names = draw(st.permutations(list(INFOS)))
    cut = draw(st.integers(0, len(names)))
    searched, rest = names[:cut], names[cut:]
    derived: dict[str, Any] = {}
    if "gradient_steps" in rest and draw(st.booleans()):
        rest = [n for n in rest if n != "gradient_steps"]
        derived = {"gradient_steps": draw(st.sampled_from(["train_freq_over", "train_freq_times"]))}
        derived = {name: {"rule": rule, "by": "helper"} for name, rule in derived.items()}
    search: dict[str, Any] = {}
    for i, name in enumerate(searched):
        search[name] = draw(ranges_of(INFOS[name], tuple(searched[:i])))
    fixed = {name: draw(values_of(INFOS[name])) for name in rest if draw(st.booleans())}
    if derived and draw(st.booleans()):
        search["helper"] = {"type": "categorical", "choices": [1, 2, 4]}
    elif derived:
        fixed["helper"] = draw(st.integers(1, 9))
    n_timesteps = draw(st.integers(1, 10**6))
    budget = {"n_timesteps": n_timesteps, "evaluations": draw(st.integers(1, n_timesteps)), "eval_episodes": 3}
    environments = {
        "Some-v0": {
            "budget": {"eval_episodes": 7},
            "fixed": {name: draw(values_of(INFOS[name])) for name in names[:2] if name not in derived},
        }
    }
    return {
        "algorithm": "dqn",
        "budget": budget,
        "fixed": fixed,
        "search": search,
        "derived": derived,
        "environments": environments,
    }


class DrawSuggest:
    """Answers from Hypothesis, at any place of the range."""

    def __init__(self, data: st.DataObject) -> None:
        self._data = data

    def float(self, name: str, low: float, high: float, log: bool, step: float | None) -> float:
        assert low <= high and (not log or low > 0)
        return self._data.draw(st.floats(low, high), label=name)

    def int(self, name: str, low: int, high: int, log: bool, step: int) -> int:
        assert low <= high and (high - low) % step == 0 and (not log or low > 0)
        return low + step * self._data.draw(st.integers(0, (high - low) // step), label=name)

    def choice(self, name: str, options: tuple[Any, ...]) -> Any:
        assert all(isinstance(option, bool | int | float | str) for option in options)
        return self._data.draw(st.sampled_from(options), label=name)
