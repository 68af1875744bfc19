"""What a sampler draws on a scale is shown as the hyperparameter that people know."""

import dataclasses
import math
import re

import factory
import pytest
import yaml

from tuner.report.figures import contours, parallel_coordinates, slices
from tuner.report.numbers.axes import parameter_axes
from tuner.report.numbers.edges import edges, wider_space
from tuner.report.numbers.regions import regions
from tuner.report.pages.study import write_report
from tuner.report.tables.trials import best_values, trial_columns, trial_rows
from tuner.result.sampled import as_fields, axis_label, field_of, value_of
from tuner.space.catalog import load_by_name, packaged_folder
from tuner.space.parse import parse_space

RANGES = {
    "gamma": {"type": "float", "low": 0.9, "high": 0.9999, "scale": "one_minus_log"},
    "batch_size": {"type": "int", "low": 16, "high": 256, "scale": "power_of_two"},
}
SPACE = {**factory.SPACE, "fixed": {"train_freq": 4}, "search": {**factory.SPACE["search"], **RANGES}}


def scaled(number, gap, power, score):
    row = factory.trial(number)
    params = {**row.params, "one_minus_gamma": gap, "batch_size_pow": power}
    fields = {**row.hyperparameters, "gamma": 1 - gap, "batch_size": 2**power}
    return dataclasses.replace(row, params=params, hyperparameters=fields, score=score)


def at_the_upper_ends(count=24):
    """The more of both, the better the score."""
    rows = [scaled(n, 10 ** -(1 + 3 * n / (count - 1)), 4 + 5 * n // count, 10.0 * n) for n in range(count)]
    return factory.study(rows, space=SPACE)


@pytest.mark.parametrize("path", sorted(packaged_folder().glob("*/*.yaml")), ids=lambda p: f"{p.parent.name}-{p.stem}")
def test_every_sampled_name_of_a_packaged_space_is_known_by_its_field_and_value(path):
    for field, item in load_by_name(str(path), path.parent.name).search.items():
        dimension = item.dimension(field)
        assert field_of(dimension.name) == field
        for sampled in () if dimension.kind == "categorical" else (dimension.low, dimension.high):
            assert value_of(dimension.name, sampled) == item.decode(sampled)


def test_a_helper_and_a_stranger_keep_their_names():
    params = {"updates_per_step": 0.5, "one_minus_luck": 0.1, "horse_pow": 3, "net_arch": "64,64"}
    assert as_fields(params) == params and [axis_label(name) for name in params] == list(params)


def test_the_best_values_stand_in_the_range_of_the_field():
    searched, rest = best_values(at_the_upper_ends())
    rows = {row.name: row for row in searched}
    gamma, batch = rows["gamma"], rows["batch_size"]
    assert (gamma.value, gamma.default, gamma.low, gamma.high) == ("0.9999", "0.99", "0.9", "0.9999")
    assert (batch.value, batch.default, batch.low, batch.high) == ("256", "32", "16", "256")
    assert gamma.position == pytest.approx(1) and batch.position == 1 and gamma.at_edge == batch.at_edge == "high"
    assert not {"gamma", "batch_size"} & {row.name for row in rest}, "they were searched"


def test_ranges_on_a_scale_are_audited_and_widened_as_the_space_writes_them():
    data = at_the_upper_ends()
    found = {edge.name: edge for edge in edges(data) if edge.name in RANGES}
    assert found["gamma"].end == "high" and found["gamma"].wider == (0.9, pytest.approx(1 - 1e-4 / 3, abs=1e-6))
    assert found["batch_size"].end == "high" and found["batch_size"].wider == (16, 512)
    assert "gamma: 3 of the 5 best trials lie at the upper end of 0.9 to 0.9999" in found["gamma"].text
    written = yaml.safe_load(wider_space(data, edges(data)))
    wider = parse_space({**written, "search": {name: written["search"][name] for name in RANGES}}).search
    assert wider["batch_size"].high == 512 and wider["gamma"].high > 0.9999


def test_a_range_on_a_scale_is_widened_at_its_lower_end_too():
    data = at_the_upper_ends()
    turned = [dataclasses.replace(t, score=-t.score) for t in data.trials]
    found = {edge.name: edge for edge in edges(dataclasses.replace(data, trials=tuple(turned)))}
    assert (found["gamma"].end, found["gamma"].wider) == ("low", (0.7, 0.9999))
    assert (found["batch_size"].end, found["batch_size"].wider) == ("low", (8, 256))


def test_good_settings_lie_between_values_of_the_field():
    found = {region.name: region for region in regions(at_the_upper_ends())}
    assert 0.99 < found["gamma"].low < found["gamma"].high <= 0.9999 and found["gamma"].searched == "0.9 to 0.9999"
    assert 64 <= found["batch_size"].low < found["batch_size"].high <= 256
    assert re.fullmatch(r"0\.99\d+ to 0\.999\d+", found["gamma"].text)


def test_axes_say_what_they_show():
    data = at_the_upper_ends()
    axes = parameter_axes(data)
    gap = axes["one_minus_gamma"]
    assert (gap.label, gap.low, gap.high, gap.log, gap.known) == ("1 - gamma", 0.0001, 0.1, True, True)
    assert axes["batch_size_pow"].label == "log2 batch_size" and axes["batch_size_pow"].position(6) == 0.5
    small = slices(data)
    assert small["1 - gamma"].layout.xaxis.title.text == "1 - gamma"
    assert small["log2 batch_size"].layout.xaxis.title.text == "log2 batch_size"
    assert "1 -<br>gamma" in parallel_coordinates(data).layout.xaxis.ticktext
    assert all("one_minus" not in title and "_pow" not in title for title in contours(data))


def test_the_table_of_trials_holds_fields_and_their_values():
    data = at_the_upper_ends()
    heads = [column.name for column in trial_columns(data)]
    row = trial_rows(data)[12]
    assert float(row[heads.index("gamma")].text) == pytest.approx(data.trials[12].hyperparameters["gamma"], abs=1e-4)
    assert row[heads.index("batch_size")].text == str(data.trials[12].hyperparameters["batch_size"])


def test_a_reader_of_the_page_meets_no_name_of_the_sampler(tmp_path):
    write_report(at_the_upper_ends(), tmp_path, best_yaml=None, commands={})
    html = (tmp_path / "index.html").read_text(encoding="utf-8")
    shown = re.sub(r"<script.*?</script>", "", html, flags=re.DOTALL)
    assert "gamma" in shown and "one_minus_gamma" not in shown and "batch_size_pow" not in shown


def test_large_scores_have_room_beside_their_axis():
    data = at_the_upper_ends()
    large = [dataclasses.replace(t, score=t.score * 1e6 - 7_164_295) for t in data.trials]
    figure = parallel_coordinates(dataclasses.replace(data, trials=tuple(large)))
    texts = [a.text for a in figure.layout.annotations if a.x == len(parameter_axes(data))]
    assert max(map(len, texts)) >= 10 and figure.layout.margin.r >= 6 * max(map(len, texts))
    assert math.isclose(figure.layout.xaxis.range[1], len(parameter_axes(data)) + 0.1)
