"""Settings side by side: the document's numbers against naive ones, careful words, a page and a table to paste."""

import json
import math
import statistics

import factory
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import mannwhitneyu

from tuner.core.statistics import interquartile_mean, iqm_difference, probability_of_improvement
from tuner.report.figures.sweep import heat_map
from tuner.report.numbers.comparison import against_first
from tuner.report.pages.setting_figures import sweep_sections
from tuner.report.pages.settings import render_settings, settings_document, write_settings
from tuner.report.tables.comparison import settings_markdown
from tuner.result.verdict import compare, p_value, smallest_p_value

RUN = {
    "env": "CartPole-v1", "algorithm": "dqn", "backend": "native", "clock": "environment steps", "n_timesteps": 50_000,
    "seeds": 8, "evaluation": {"episodes": 10}, "reward_threshold": 475.0,
}  # fmt: skip
DIVERGED = {"outcome": "diverged", "curve": (factory.CurvePoint(5_000, (math.nan,) * 10),), "reason": "loss became inf"}


def runs(skill, count=8, **changes):
    return [factory.confirm_run("verdict", i, skill, **changes) for i in range(count)]


def document(groups, fields=None, vary=None):
    fields = fields or {label: {"gamma": 0.9 + i / 100} for i, label in enumerate(groups)}
    settings = {label: {"batch_size": 64, **fields[label]} for label in groups}
    return settings_document(RUN, settings, groups, vary=vary or {}, provenance={"versions": {"torch": "2"}})


def swept(skills, name="learning_rate", **changes):
    groups = {f"{name} {value}": runs(skill, **changes) for value, skill in skills.items()}
    fields = {f"{name} {value}": {name: value} for value in skills}
    return document(groups, fields, {name: list(skills)})


def test_numbers_are_those_of_the_runs():
    groups = {"a": runs(0.3), "b": runs(0.9)}
    found = document(groups)
    late = {
        label: [statistics.fmean(p.mean for p in r.curve[-4:]) for r in members] for label, members in groups.items()
    }
    a, b = found["settings"]
    assert (a["label"], b["label"]) == ("a", "b")
    assert a["scores"]["late"] == pytest.approx(late["a"])
    assert b["estimates"]["late"]["value"] == pytest.approx(interquartile_mean(late["b"]))
    compared = found["comparisons"][0]["scores"]["late"]
    assert compared["difference"]["value"] == pytest.approx(iqm_difference(late["b"], late["a"]).value)
    assert compared["probability"]["low"] == probability_of_improvement(late["b"], late["a"]).low
    for setting, members in zip(found["settings"], groups.values(), strict=True):
        at_end = [r.curve[-1].metrics["q_value"] for r in members]
        assert setting["q_values"]["mean"][-1] == pytest.approx(statistics.fmean(at_end))
        assert setting["q_values"]["step"] == list(factory.GRID)
        assert setting["seconds"] == {"runs": [20.0] * 8, "median": 20.0}
    json.dumps(found, allow_nan=False)


def test_only_fields_that_differ_are_columns():
    fields = {"a": {"gamma": 0.9, "tau": 1.0}, "b": {"gamma": 0.95, "tau": 1.0}}
    found = document({"a": runs(0.3), "b": runs(0.3)}, fields)
    assert found["fields"] == ["gamma"]
    assert [s["values"] for s in found["settings"]] == [{"gamma": 0.9}, {"gamma": 0.95}]
    assert found["run"]["hyperparameters"] == {"batch_size": 64, "tau": 1.0}
    header = settings_markdown(found, "late").splitlines()[0]
    assert header.startswith("| setting | gamma | late score (95 % interval) |")


SAMPLES = st.lists(st.integers(0, 9).map(float), min_size=1, max_size=12)


@given(ours=SAMPLES, theirs=SAMPLES)
def test_a_p_value_is_small_exactly_where_intervals_tell_samples_apart(ours, theirs):
    compared, sizes = compare(ours, theirs), (len(ours), len(theirs))
    told_apart = compared.probability.excludes(0.5) and smallest_p_value(*sizes) <= 0.05
    assert (p_value(compared, *sizes) <= 0.05) == told_apart


def test_a_p_value_is_that_of_the_rank_test():
    ours, theirs = [1.0, 4.0, 6.0, 8.0, 9.0, 11.0], [2.0, 3.0, 5.0, 7.0, 0.0, 0.5]
    scipys = mannwhitneyu(ours, theirs, method="asymptotic", use_continuity=False).pvalue
    assert p_value(compare(ours, theirs), 6, 6) == pytest.approx(scipys)


def test_a_result_must_hold_for_all_comparisons_together():
    def score(values):
        return {"label": "", "scores": dict.fromkeys(("late", "auc", "final", "best"), values)}

    base, ahead = score([1.0, 2.0, 3.0, 4.0, 5.0]), score([3.5, 6.0, 7.0, 8.0, 9.0])
    alone = against_first([base, ahead])[0]["scores"]["late"]
    assert alone["result"] == "better"
    assert alone["p_holm"] == alone["p_value"] <= 0.05
    others = [score([1.5, 2.5, 2.8, 4.2, 4.9])] * 4
    among = against_first([base, *others, ahead])[-1]["scores"]["late"]
    assert among["p_value"] == alone["p_value"]
    assert among["p_holm"] == pytest.approx(5 * alone["p_value"])
    assert among["result"] == "undecided"


def test_words_name_who_is_ahead_and_no_winner_where_there_is_none():
    words = document({"plain": runs(0.2), "double": runs(0.9), "twin": runs(0.2)[::-1]})["words"]
    assert any(w.startswith("double is ahead of plain: ") and "95 % interval" in w for w in words)
    assert any(w.startswith("twin cannot be told from plain: ") for w in words)
    alike = document({"plain": runs(0.6), "twin": runs(0.6)[::-1]})["words"]
    assert not any("ahead" in w or "behind" in w for w in alike)
    assert any("is behind strong" in w for w in document({"strong": runs(0.9), "weak": runs(0.2)})["words"])
    tied = document({"plain": runs(0.6, flat=500.0), "twin": runs(0.5, flat=500.0)})["words"]
    assert "Ties with plain in every run: twin." in tied


def test_too_few_seeds_for_so_many_comparisons_are_said_to_be():
    words = swept({1e-5: 0.1, 1e-4: 0.5, 1e-3: 0.9}, count=3)["words"]
    assert "3 seeds for each setting can show no difference in 2 comparisons, however large; --seeds 5 can" in words[-1]
    assert not any("can show no difference" in w for w in swept({1e-4: 0.5, 1e-3: 0.9})["words"])


@pytest.mark.parametrize(("count", "said"), [(2, True), (4, True), (5, False)])
def test_intervals_over_few_seeds_are_called_guesses(count, said):
    words = swept({1e-4: 0.5, 1e-3: 0.9}, count=count)["words"]
    assert ("An interval over fewer than 5 seeds is a guess." in words) == said


def test_runs_that_diverge_are_counted_and_named():
    broken = factory.confirm_run("verdict", 9, 0.5, **DIVERGED)
    found = document({"a": runs(0.9), "b": [*runs(0.8), broken]})
    share = found["settings"][1]["diverged"]
    assert (share["runs"], share["share"]) == (1, 1 / 9)
    assert share["low"] < 1 / 9 < share["high"]
    assert found["words"][-1] == "b: of 9 runs 1 diverged (loss became inf)."
    assert "| 1 of 9 |" in settings_markdown(found, "late")
    nothing = document({"a": [broken], "b": [broken]})
    assert nothing["words"][0] == "No run has completed, so there is nothing to compare."
    assert "Nothing to draw" in render_settings(nothing, "comparison")


def test_a_setting_that_diverges_does_not_tie_with_one_that_is_always_at_the_ceiling():
    points = tuple(factory.CurvePoint(step, (value,)) for step, value in ((5_000, 20.0), (10_000, 500.0)))
    ceiling, begun = runs(0.9, curve=points), runs(0.9, outcome="diverged", curve=points[:1])
    found = document({"a": ceiling, "b": begun, "c": [*ceiling[:4], *begun[4:]]})
    assert found["floor"] == 20.0
    assert found["settings"][1]["scores"]["late"] == [20.0] * 8
    assert [row["scores"]["late"]["result"] for row in found["comparisons"]] == ["worse", "undecided"]
    assert found["comparisons"][1]["scores"]["late"]["probability"]["value"] == 0.25
    nothing = document({"a": begun, "b": begun})
    assert nothing["floor"] is None and nothing["comparisons"][0]["scores"] == {}


def test_labels_are_text_on_the_page_and_in_the_table(tmp_path):
    evil = "<img src=x onerror=alert(1)>|`[x](y)"
    found = document({"a": runs(0.3, 3), evil: runs(0.9, 3)})
    page = write_settings(found, tmp_path, "comparison").read_text()
    assert "<img src=x" not in page
    assert "&lt;img src=x onerror=alert(1)&gt;" in page
    lines = (tmp_path / "comparison.md").read_text().splitlines()
    assert r"| \<img src=x onerror=alert(1)>\|\`\[x\](y) |" in lines[3]
    assert len({line.replace(r"\|", "").count("|") for line in lines}) == 1
    assert json.loads((tmp_path / "comparison.json").read_text()) == found


def axis(figure, which="xaxis"):
    return figure.to_plotly_json()["layout"][which]


@pytest.mark.parametrize(
    ("values", "kind"), [((1e-5, 1e-4, 1e-3), "log"), ((0.9, 0.95, 0.99), None), (([64], [64, 64]), "category")]
)
def test_the_axis_of_a_sweep_follows_its_values(values, kind):
    name = "net_arch" if kind == "category" else "learning_rate"
    groups = {str(v): runs(0.5, 3) for v in values}
    found = document(groups, {str(v): {name: v} for v in values}, {name: list(values)})
    figure = sweep_sections(found, "late")[0].figures["scores"]
    assert axis(figure).get("type") == kind
    dots, middle = figure.data
    assert len(dots.x) == 3 * len(values)
    assert list(middle.y) == [s["estimates"]["late"]["value"] for s in found["settings"]]


def test_curves_of_a_sweep_are_darker_for_higher_values_in_whatever_order_they_came():
    found = swept({1e-3: 0.9, 1e-5: 0.1, 1e-4: 0.5})
    (figure,) = sweep_sections(found, "late")[1].figures.values()
    colours = {trace.name: trace.line.color for trace in figure.data if trace.name}
    brightness = [int(colours[f"learning_rate {v}"][1:3], 16) for v in (1e-5, 1e-4, 1e-3)]
    assert brightness == sorted(brightness, reverse=True)
    assert len(set(brightness)) == 3


def test_q_values_are_drawn_where_runs_measured_them():
    bare = [factory.CurvePoint(p.step, p.returns) for p in runs(0.5, 1)[0].curve]
    without = {"a": runs(0.5, 3, curve=tuple(bare)), "b": runs(0.5, 3, curve=tuple(bare))}
    fields = {"a": {"gamma": 0.9}, "b": {"gamma": 0.99}}
    keys = [s.key for s in sweep_sections(document(without, fields, {"gamma": [0.9, 0.99]}), "late")]
    assert keys == ["scores", "curves", "cost"]
    assert "q_values" in [s.key for s in sweep_sections(swept({1e-4: 0.5, 1e-3: 0.9}), "late")]


def test_divergence_is_drawn_where_there_was_any():
    broken = {v: runs(0.5, 3) for v in (0.9, 0.99)}
    broken[0.99] = [*broken[0.99][:2], factory.confirm_run("verdict", 9, 0.5, **DIVERGED)]
    found = document(
        {str(v): r for v, r in broken.items()}, {str(v): {"gamma": v} for v in broken}, {"gamma": [0.9, 0.99]}
    )
    figure = sweep_sections(found, "late")[-1].figures["cost-1"]
    assert list(figure.data[1].y) == [0, pytest.approx(1 / 3)]
    none = sweep_sections(swept({1e-4: 0.5, 1e-3: 0.9}), "late")[-1]
    assert list(none.figures) == ["cost-0"]
    assert "No run diverged" in none.text


def test_two_fields_make_a_heat_map_with_each_pair_in_its_place():
    pairs = [(lr, batch) for lr in (1e-4, 1e-3) for batch in (32, 64, 128)]
    groups = {f"{lr} {batch}": runs(0.1 + 0.1 * i, 3) for i, (lr, batch) in enumerate(pairs)}
    fields = {f"{lr} {batch}": {"learning_rate": lr, "batch_size": batch} for lr, batch in pairs}
    found = document(groups, fields, {"learning_rate": [1e-4, 1e-3], "batch_size": [32, 64, 128]})
    sections = sweep_sections(found, "late")
    (heat,) = sections[0].figures["scores"].data
    assert (list(heat.x), list(heat.y)) == (["0.0001", "0.001"], ["32", "64", "128"])
    values = {s["label"]: s["estimates"]["late"]["value"] for s in found["settings"]}
    assert [list(row) for row in heat.z] == [[values[f"{lr} {b}"] for lr in (1e-4, 1e-3)] for b in (32, 64, 128)]
    large = heat_map(("x", "y"), ([1, 2], [3]), [[-1250.0, None]], "score")
    assert [list(row) for row in large.data[0].text] == [["-1,250", ""]]  # plotly's own would be -1.25e+3
    assert list(sections[1].titles.values()) == ["batch_size 32", "batch_size 64", "batch_size 128"]
    page = render_settings(found, "sweep")
    assert '<h1>DQN on <span class="whole">CartPole-v1:</span> what learning_rate and batch_size do</h1>' in page
    assert page.count('data-figure="curves-') == 3
