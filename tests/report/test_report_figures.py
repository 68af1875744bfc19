"""Figures show the study's numbers, and nothing where there is nothing to show."""

import dataclasses

import factory
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuner.core.importance import Importance
from tuner.report import figures
from tuner.report.figures import palette
from tuner.report.figures.base import log_ticks
from tuner.report.figures.relations import LINES
from tuner.report.numbers.axes import ParameterAxis, parameter_axes
from tuner.report.numbers.parameters import BANDWIDTH, smooth_surface
from tuner.report.numbers.trials import effort_series, learning_curve
from tuner.report.tables.trials import best_values
from tuner.report.words.search import importance_sentence
from tuner.result.curve import CurvePoint


def traces(figure) -> dict:
    return {trace.name: trace for trace in figure.data if trace.name}


def pieces(trace) -> list[tuple[int, list, list]]:
    """The lines that gaps (None) separate: (trial, x, y)."""
    lines, x, y = [], [], []
    for i, (a, b) in enumerate(zip(trace.x, trace.y, strict=True)):
        if a is None:
            lines.append((trace.customdata[i - 1], x, y))
            x, y = [], []
        else:
            x.append(a)
            y.append(b)
    return lines


def test_history_shows_each_score_and_the_running_maximum(cartpole):
    found = traces(figures.optimization_history(cartpole))
    scored = [t for t in cartpole.trials if t.score is not None]
    assert list(found["completed"].y) == [t.score for t in scored]
    assert list(found["best so far"].y) == list(np.maximum.accumulate([t.score for t in scored]))
    pruned = [t for t in cartpole.trials if t.outcome == "pruned"]
    assert list(found["pruned"].x) == [t.number for t in pruned]
    assert list(found["pruned"].y) == [t.curves[0][-1].mean for t in pruned]
    assert list(found["diverged"].x) == [13, 28, 44] and list(found["failed"].x) == [21, 37]
    few = dataclasses.replace(cartpole, trials=cartpole.trials[:5])
    assert figures.optimization_history(few).layout.xaxis.dtick == 1  # no halves of a trial


def test_outcomes_differ_in_symbol_as_well_as_in_colour():
    shown = [palette.mark(o) for o in ("completed", "pruned", "diverged", "timed_out", "failed", "running")]
    assert len({m.symbol for m in shown}) == len({m.colour for m in shown}) == len(shown)


def test_every_learning_curve_is_drawn_with_its_numbers(cartpole):
    figure = figures.learning_curves(cartpole)
    drawn = {}
    for trace in figure.data:
        if not trace.name and trace.x[-1] is None and trace.customdata is not None:
            drawn |= {trial: (x, y) for trial, x, y in pieces(trace)}
    assert drawn == {
        t.number: ([p.step for p in t.curves[0]], [p.mean for p in t.curves[0]]) for t in cartpole.trials if t.curves
    }


def test_pruned_curves_end_in_a_mark(cartpole):
    ends = traces(figures.learning_curves(cartpole))["pruned"]
    pruned = [t for t in cartpole.trials if t.outcome == "pruned"]
    assert list(zip(ends.customdata, ends.x, ends.y, strict=True)) == [
        (t.number, t.curves[0][-1].step, t.curves[0][-1].mean) for t in pruned
    ]
    assert ends.marker.symbol == "x-thin-open"


def test_a_better_score_never_gets_a_weaker_colour():
    scores = list(np.random.default_rng(0).normal(size=50))
    steps = palette.ramp_steps(sorted(scores))
    assert steps == sorted(steps) and steps[0] == 0 and steps[-1] == len(palette.RAMP[0]) - 1


def test_a_curve_over_seeds_has_only_steps_that_all_seeds_reached():
    first = (CurvePoint(100, (1.0, 3.0)), CurvePoint(200, (5.0, 5.0)))
    second = (CurvePoint(100, (6.0, 10.0)),)
    trial = factory.trial(0, "pruned", curves={0: first, 1: second})
    assert learning_curve(trial) == {"step": [100], "mean": [5.0], "low": [1.0], "high": [10.0]}


def test_the_threshold_is_drawn_only_when_known(cartpole):
    assert [s.y0 for s in figures.learning_curves(cartpole).layout.shapes] == [475.0]
    unknown = dataclasses.replace(cartpole, reward_threshold=None)
    assert not figures.learning_curves(unknown).layout.shapes


def test_importance_is_sorted_and_whole(cartpole):
    bars, noise = figures.importance_bars(cartpole).data
    assert list(bars.x) == sorted(cartpole.importance.values(), reverse=True)
    assert dict(zip(bars.y, bars.x, strict=True)) == dict(cartpole.importance)
    assert dict(zip(noise.y, noise.x, strict=True)) == {n: i.noise for n, i in cartpole.importances.items()}


def test_the_axis_of_shares_ends_where_a_share_can(cartpole):
    found = {"a": Importance(0.9, 0.2, 0.95, 4.5), "b": Importance(0.1, 0.0, 0.3, 0.2)}
    least, most = figures.importance_bars(dataclasses.replace(cartpole, importances=found)).layout.xaxis.range
    assert (least, most) == (0, pytest.approx(1.04))


def test_a_slice_shows_the_whole_range_that_was_searched_and_a_little_air(cartpole):
    for name, figure in figures.slices(cartpole).items():
        axis, shown = parameter_axes(cartpole)[name], figure.layout.xaxis
        low, high = (np.log10([axis.low, axis.high])) if axis.log else (axis.low, axis.high)
        assert shown.range[0] < low and high < shown.range[1], name
        assert shown.range[1] - shown.range[0] <= 2 * max(high - low, 1), name


def test_importance_is_named_where_it_is_more_than_noise(cartpole):
    bars, _ = figures.importance_bars(cartpole).data
    assert bars.marker.color == (palette.light("completed"),) * 2 + (palette.light("saved"),) * 4
    assert importance_sentence(cartpole) == "More than noise: learning_rate and target_update_interval."
    quiet = {name: found._replace(noise=0.6) for name, found in cartpole.importances.items()}
    assert importance_sentence(dataclasses.replace(cartpole, importances=quiet)).startswith("None is told apart")


def test_slices_are_logarithmic_where_the_space_says_so(cartpole):
    drawn = figures.slices(cartpole)
    assert {name: f.layout.xaxis.type for name, f in drawn.items()} == {
        "learning_rate": "log",
        "target_update_interval": "log",
        "buffer_size": "log",
        "exploration_fraction": None,
        "exploration_final_eps": None,
        "net_arch": "category",
    }
    scored = [t for t in cartpole.trials if t.score is not None]
    completed = traces(drawn["learning_rate"])["completed"]
    assert list(completed.x) == [t.params["learning_rate"] for t in scored]
    assert list(completed.y) == [t.score for t in scored]


def test_an_environments_own_range_wins():
    space = {**factory.SPACE, "environments": {"CartPole-v1": {"search": {"learning_rate": {"low": 0.0, "high": 1.0}}}}}
    axis = parameter_axes(factory.study([factory.trial(0)], space=space))["learning_rate"]
    assert (axis.low, axis.high, axis.log) == (0.0, 1.0, False)


def test_parallel_lines_meet_each_axis_where_the_value_lies(cartpole):
    lines = figures.parallel_coordinates(cartpole).layout.meta["lines"]
    axes = list(parameter_axes(cartpole).values())
    assert set(lines) == {str(t.number) for t in cartpole.trials if t.score is not None}
    for trial in cartpole.trials:
        if trial.score is not None:
            for axis, height in zip(axes, lines[str(trial.number)], strict=False):
                if axis.numeric:
                    assert axis.value(height) == pytest.approx(trial.params[axis.name])
    assert lines[str(cartpole.best.number)][-1] == 1.0


def test_of_many_trials_lines_are_spread_over_the_ranks_and_the_best_is_among_them():
    many = factory.study([factory.trial(i, params={"learning_rate": 1e-3}, score=float(i % 700)) for i in range(1400)])
    figure = figures.parallel_coordinates(many)
    shown = sorted(int(trial) % 700 for trial in figure.layout.meta["lines"])
    assert len(shown) == LINES
    assert str(many.best.number) in figure.layout.meta["lines"]
    assert (shown[0], shown[-1]) == (0, 699)
    assert max(np.diff(shown)) <= 3  # two trials have each score, and every fourth or fifth rank is shown
    assert f"{LINES} of 1,400 trials" in figure.layout.xaxis.title.text


def test_contours_pair_the_three_most_important_parameters(cartpole):
    assert set(figures.contours(cartpole)) == {
        "learning_rate and target_update_interval",
        "learning_rate and exploration_fraction",
        "target_update_interval and exploration_fraction",
    }


def test_few_trials_give_points_without_a_surface():
    data = factory.study([factory.trial(i) for i in range(9)])
    assert {trace.type for figure in figures.contours(data).values() for trace in figure.data} == {"scatter"}


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1), st.floats(-500, 500)), min_size=1, max_size=12))
def test_a_surface_stays_within_the_scores_and_open_far_from_them(rows):
    points, scores = np.array(rows)[:, :2], np.array(rows)[:, 2]
    side = np.linspace(0, 1, 11)
    heights = smooth_surface(points, scores, side)
    inside = heights[~np.isnan(heights)]
    assert ((inside >= scores.min() - 1e-9) & (inside <= scores.max() + 1e-9)).all()
    for row, y in enumerate(side):
        for column, x in enumerate(side):
            distance = np.hypot(points[:, 0] - x, points[:, 1] - y).min()
            if abs(distance - 0.16) > 1e-9:
                assert np.isnan(heights[row, column]) == (distance > 0.16)


def test_a_surface_is_the_kernel_weighted_mean():
    points, scores = np.array([[0.0, 0.0], [0.1, 0.0]]), np.array([1.0, 3.0])
    weights = np.exp(-(np.array([0.05, 0.05]) ** 2) / (2 * BANDWIDTH**2))
    assert smooth_surface(points, scores, np.array([0.05]))[0, 0] == pytest.approx(
        (weights * scores).sum() / weights.sum()
    )
    far = np.exp(-(np.array([0.1, 0.0]) ** 2) / (2 * BANDWIDTH**2))
    assert smooth_surface(points, scores, np.array([0.1, 0.0]))[1, 0] == pytest.approx((far * scores).sum() / far.sum())


def test_steps_add_up_to_the_studys_own_counts(cartpole):
    series = effort_series(cartpole)
    assert (sum(series["spent"]), sum(series["saved"])) == (cartpole.steps_spent, cartpole.steps_saved)
    figure = figures.steps_by_trial(cartpole)
    assert sum(sum(t.y) for t in figure.data) == cartpole.steps_spent + cartpole.steps_saved


def test_the_timeline_runs_from_start_to_end_and_a_running_trial_to_the_last_known_moment():
    data = factory.study([factory.trial(0), factory.trial(1, "running")])
    bars = traces(figures.timeline(data))
    length = (data.trials[0].finished - data.trials[0].started).total_seconds()
    assert bars["completed"].x[0] == pytest.approx(length)
    assert bars["running"].base[0] + bars["running"].x[0] == pytest.approx(length)


@pytest.mark.parametrize("name", figures.__all__)
def test_a_study_without_trials_draws_nothing(name):
    assert not getattr(figures, name)(factory.study([]))


@pytest.mark.parametrize("name", figures.__all__)
def test_figures_follow_the_theme(name, cartpole):
    """Backgrounds are transparent and every colour has a dark twin."""
    drawn = getattr(figures, name)(cartpole)
    for figure in drawn.values() if isinstance(drawn, dict) else [drawn]:
        assert figure.layout.paper_bgcolor == figure.layout.plot_bgcolor == "rgba(0,0,0,0)"
        colours = {word for word in str(figure.to_plotly_json()).split("'") if word.startswith("#")}
        assert colours and colours <= set(palette.dark_twins())


def contrast(first, second):
    """Return the contrast ratio of two ``#rrggbb`` colours, from 1 to 21 (WCAG 2.2, relative luminance)."""
    lighter, darker = sorted((luminance(first), luminance(second)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def luminance(colour):
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def test_colours_of_both_themes_stand_out_from_their_background():
    for role, pair in palette.COLOURS.items():
        if role not in ("rule", "saved"):
            for colour, surface in zip(pair, palette.SURFACE, strict=True):
                assert contrast(colour, surface) >= 3, role
    for ramp, surface in zip(palette.RAMP, palette.SURFACE, strict=True):
        contrasts = [contrast(colour, surface) for colour in ramp]
        assert contrasts == sorted(contrasts), "a higher score stands out more"


def test_no_light_colour_has_two_twins():
    lights = [light for light, _ in [*palette.COLOURS.values(), palette.SURFACE]] + list(palette.RAMP[0])
    assert len(set(lights)) == len(lights) == len(palette.dark_twins())


@given(st.floats(1e-6, 1e3), st.floats(1.01, 1e8))
def test_log_ticks_are_inside_and_in_order(low, factor):
    ticks = log_ticks(low, low * factor)
    assert ticks == sorted(ticks)
    assert all(low <= t * 1.001 and t <= low * factor * 1.001 for t in ticks)
    assert len(ticks) > 1, "one label alone says nothing of a scale"


@given(st.booleans(), st.floats(0, 1))
def test_an_axis_position_is_the_inverse_of_its_value(log, position):
    axis = ParameterAxis("x", log, (), 1e-5, 1e-2)
    assert axis.position(axis.value(position)) == pytest.approx(position, abs=1e-9)
    assert all(0 <= p <= 1 for p, _ in axis.ticks())


def test_best_values_stand_beside_defaults_and_name_the_edge():
    trials = [factory.trial(i) for i in range(12)]
    params = {**trials[3].params, "learning_rate": 1e-2}
    trials[3] = dataclasses.replace(trials[3], params=params, hyperparameters=factory.resolved(params), score=1e6)
    searched, fixed = best_values(factory.study(trials))
    rate = next(row for row in searched if row.name == "learning_rate")
    assert (rate.value, rate.default, rate.differs, rate.at_edge) == ("0.01", "0.0001", True, "high")
    assert {row.name: (row.value, row.default) for row in fixed} == {
        "batch_size": ("64", "32"),
        "gradient_steps": ("2", "1"),
    }
