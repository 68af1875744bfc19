import json

import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from space_strategies import DrawSuggest, space_data

from tuner.hyperparameters.base import CAPS
from tuner.space.parse import parse_space
from tuner.space.ranges import Choice, FloatRange

relaxed = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))


@relaxed
@given(space_data())
def test_space_survives_yaml_and_json(data: dict) -> None:
    space = parse_space(data)
    mapping = space.to_mapping()
    assert parse_space(mapping) == space
    for copy in (yaml.safe_load(yaml.safe_dump(mapping, sort_keys=False)), json.loads(json.dumps(mapping))):
        assert parse_space(copy) == space
        assert parse_space(copy).hash() == space.hash()


@relaxed
@given(space_data(), st.data())
def test_every_sample_is_a_valid_setting_inside_its_ranges(data: dict, draws: st.DataObject) -> None:
    space = parse_space(data).for_environment(draws.draw(st.sampled_from(["Some-v0", "Other-v0"])))[0]
    params = space.sample(DrawSuggest(draws))
    resolved = space.resolve(params).to_mapping()
    assert set(params) <= {d.name for d in space.dimensions}
    for name, value in space.fixed.items():
        if name in resolved:
            assert resolved[name] == (list(value) if isinstance(value, tuple) else value)
    for name, item in space.search.items():
        if item.dimension(name).name not in params or name not in resolved:
            continue
        if isinstance(item, Choice):
            assert resolved[name] in [list(c) if isinstance(c, tuple) else c for c in item.choices]
        else:
            high = item.high if isinstance(item, FloatRange) else item.largest
            assert item.low - 1e-9 <= resolved[name] <= high + 1e-9


@relaxed
@given(space_data(), st.data())
def test_clipped_space_is_valid_and_within_its_budget(data: dict, draws: st.DataObject) -> None:
    space = parse_space(data)
    clipped = space.clip_to_budget()
    assert parse_space(clipped.to_mapping()) == clipped
    assert clipped.clip_to_budget() == clipped
    params = clipped.sample(DrawSuggest(draws))
    resolved = clipped.resolve(params).to_mapping()
    for name, divisor in CAPS.items():
        item = clipped.search.get(name)
        if item is not None and item.dimension(name).name in params:
            smallest = min(item.choices) if isinstance(item, Choice) else 0
            assert resolved[name] <= max(space.budget.n_timesteps // divisor, 1, smallest)
