"""The evidence: its numbers are those of the statistics, its words name no winner where there is none."""

import copy
import dataclasses
import json

import factory
import pytest
import scipy.stats
import yaml
from test_report_page import COMMANDS, Document, written

from tuner.core.statistics import interquartile_mean, iqm_interval, mean_interval
from tuner.report.figures import palette
from tuner.report.figures.confirmed import bands, confirmed_scores, luck_lines, seed_curves
from tuner.report.numbers import evidence as evidence_numbers
from tuner.report.numbers.audits import importance_caution, pruning_audit, pruning_sentences
from tuner.report.numbers.edges import edges, wider_space
from tuner.report.numbers.evidence import compare_samples, evidence
from tuner.report.pages.dashboard import dashboard_figures, dashboard_note
from tuner.report.pages.study import write_report
from tuner.report.tables.evidence import judged, score_rows, titled_curves
from tuner.report.tables.trials import provenance_rows
from tuner.report.words.evidence import luck_sentences, range_text, verdict
from tuner.report.words.sequential import ends_text
from tuner.result.confirmation import ConfirmRun
from tuner.result.curve import CurvePoint
from tuner.result.verdict import smallest_p_value
from tuner.space.parse import parse_space


@pytest.fixture(scope="module")
def data():
    return factory.confirmed()


@pytest.fixture(scope="module")
def found(data):
    return evidence(data)


def row(found, role, i=0):
    return [r for r in found["contestants"] if r["role"] == role][i]


def test_verdict_score_is_the_interquartile_mean_of_the_verdicts_seeds_alone(data, found):
    winner = data.confirmation.winner
    scores = [run.score("late") for run in winner.runs if run.phase == "verdict"]
    estimate = row(found, "finalist", 1)["verdict"]["estimates"]["late"]
    expected = iqm_interval(scores)
    assert (estimate["value"], estimate["low"], estimate["high"]) == (expected.value, expected.low, expected.high)
    assert estimate["n"] == 10
    assert found["winner"] == winner.key


def test_shrinkage_counts_only_the_first_seeds_that_every_finalist_has(data, found):
    luck = found["luck"]
    assert luck["seeds"] == 5  # one finalist was dropped after five
    for shown, finalist in zip(luck["finalists"], data.confirmation.finalists, strict=True):
        first = [run.score("late") for run in finalist.phase("select")[:5]]
        assert shown["confirmed"] == pytest.approx(sum(first) / 5)
        assert shown["shrinkage"] == pytest.approx(finalist.search_score - sum(first) / 5)
    mean = sum(shown["shrinkage"] for shown in luck["finalists"]) / 5
    assert luck["mean_shrinkage"]["value"] == pytest.approx(mean)
    fresh = mean_interval(*([r.score("late") for r in c.phase("select")[:5]] for c in data.confirmation.finalists))
    assert luck["mean_shrinkage"]["high"] - mean == pytest.approx(fresh.value - fresh.low), "each finalist by itself"
    assert mean - luck["mean_shrinkage"]["low"] == pytest.approx(fresh.high - fresh.value)


def test_the_winners_luck_rests_on_the_verdicts_seeds_which_chose_nothing(data, found):
    winner = data.confirmation.winner
    verdict_mean = sum(run.score("late") for run in winner.phase("verdict")) / 10
    assert found["luck"]["winner"]["shrinkage"] == pytest.approx(winner.search_score - verdict_mean)
    text = f"the winner scores {verdict_mean:.0f} on average, {winner.search_score - verdict_mean:.1f} less than in"
    assert text in " ".join(luck_sentences(found))


@pytest.mark.parametrize("value", [0.955, 0.7, 0.1, 8.1, -8.1, -13.0])
def test_scores_that_are_equal_but_for_the_rounding_of_means_are_no_luck(value):
    found = evidence(factory.confirmed_flat(value))
    luck = found["luck"]
    assert [row["shrinkage"] for row in luck["finalists"]] == [0.0] * 4
    assert (luck["mean_shrinkage"]["value"], luck["mean_shrinkage"]["kind"]) == (0.0, "tie")
    assert luck["winner"]["shrinkage"] == 0.0 and not luck["order_changed"]
    assert luck_sentences(found) == [
        f"The search's favourite kept its score: trial 0 scored {value:g} in the search, {value:g} over 5 fresh seeds.",
        "Fresh seeds chose another: trial 1 is exported, not the search's favourite.",
        f"On the verdict's seeds the winner scores {value:g} on average, as much as in the search.",
        "On average the 4 finalists scored as much on fresh seeds, and their order stayed.",
    ]


def test_curves_hold_every_seed_and_the_interquartile_mean_at_each_step(data, found):
    assert [c["role"] for c in found["curves"]] == ["finalist", "defaults", "startup", "zoo"]
    curve = found["curves"][0]
    assert len(curve["runs"]) == 10
    last = [run.curve[-1].mean for run in data.confirmation.winner.phase("verdict")]
    assert curve["iqm"][-1] == pytest.approx(interquartile_mean(last))


def test_a_band_never_passes_beside_its_curve():
    """At 300 and 400 all runs are at the ceiling; at 600 one is left."""
    means = [[9, 10, 500, 500, 200, 7], [10, 12, 500, 500, 250], [11, 30, 500, 500, 300], [12, 40, 500, 500, 400]]
    runs = [
        ConfirmRun(
            "verdict", i, i, "completed", tuple(CurvePoint(100 * k, (float(m),)) for k, m in enumerate(row, 1)), 1
        )
        for i, row in enumerate(means)
    ]
    curve = evidence_numbers.seed_curves(runs, None)
    assert [low is None for low in curve["low"]] == [False, False, True, True, False, True]
    ((steps, low, high),) = bands(curve)
    assert steps == [100, 200, 300, 400, 500]
    assert all(a <= middle <= b for a, middle, b in zip(low, curve["iqm"], high, strict=False))
    assert (low[2], high[2]) == (500, 500) and low[1] < high[1] and low[4] < high[4]
    drawn = next(trace for trace in seed_curves([{**curve, "title": "a"}]).data if trace.fill == "toself")
    assert list(drawn.x) == [100, 200, 300, 400, 500, 500, 400, 300, 200, 100, None]
    apart = {**curve, "n": [4, 4, 4, 1, 4, 1], "low": [*curve["low"][:3], None, *curve["low"][4:]]}
    assert [steps for steps, _, _ in bands(apart)] == [[100, 200, 300], [500]]
    assert bands({**curve, "low": [None] * 6}) == []


def test_words_say_who_is_beaten_and_who_cannot_be_told_apart(data, found):
    sentences = verdict(found, {"learning_rate": 0.001})
    text = " ".join(sentences)
    name = data.confirmation.winner.name
    assert sentences[0].startswith(f"Confirmed: trained on 10 fresh seeds that no choice has seen, {name} scores ")
    assert "Its values: learning_rate 0.001." in text
    assert "It beats the algorithm's defaults" in text
    assert "It cannot be told from RL Zoo's tuned values" in text
    assert f"The selection could not tell {name} from" in text
    assert "of that)." in text
    lucky = found["luck"]["finalists"][0]["shrinkage"]
    assert luck_sentences(found)[0].startswith(f"The search's favourite was lucky by {lucky:.0f}: ")
    assert "Fresh seeds chose another" in " ".join(luck_sentences(found))


def test_three_runs_each_name_no_winner_since_no_rank_test_can():
    assert compare_samples([10.0, 11, 12], [1.0, 2, 3])["result"] == "undecided"
    assert compare_samples([10.0, 11, 12, 13], [1.0, 2, 3, 4])["result"] == "better"
    scipys = scipy.stats.mannwhitneyu([4.0, 5, 6], [1.0, 2, 3], method="exact").pvalue
    assert smallest_p_value(3, 3) == pytest.approx(scipys)


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
def test_what_differs_by_the_arithmetic_of_means_alone_is_a_tie(scale):
    dust = [0.835 * scale] * 5, [0.8350000000000001 * scale] * 5
    assert compare_samples(*dust)["result"] == "tie"
    apart = [0.835 * scale] * 5, [0.83500001 * scale] * 5
    assert compare_samples(*apart)["result"] == "worse"


def test_a_result_is_named_only_where_the_intervals_agree():
    high, low = [480.0, 490, 500, 495, 470, 500], [100.0, 120, 90, 130, 80, 100]
    assert compare_samples(high, low)["result"] == "better"
    assert compare_samples(low, high)["result"] == "worse"
    assert compare_samples(high, high[::-1])["result"] == "undecided"
    assert compare_samples([500.0] * 5, [500.0] * 5)["result"] == "tie"
    often, steady = [11.0] * 60 + [-1000.0] * 40, [10.0 + i / 1000 for i in range(100)]
    found = compare_samples(often, steady)  # three runs of five are above, and the middle half lies far below
    assert found["probability"]["low"] > 0.5 and found["difference"]["high"] < 0
    assert found["result"] == compare_samples(steady, often)["result"] == "undecided"


def test_everything_on_the_page_is_in_report_json(data, found, tmp_path):
    document = written(data, tmp_path)
    stored = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    assert stored["evidence"]["winner"] == found["winner"]
    assert len(stored["evidence"]["contestants"]) == 8
    for sentence in [*stored["words"]["verdict"], *stored["words"]["luck"]]:
        assert " ".join(sentence.split()) in document.words
    assert {"confirmed", "scores", "luck"} <= set(document.figures)
    assert stored["summary"]["chosen"] == data.confirmation.winner.trial
    assert f"Trial {data.confirmation.winner.trial}: searched values" in document.words
    assert "not yet confirmed" not in document.words


def test_a_finalist_that_is_the_best_of_the_known_settings_too_keeps_its_own_name(found):
    twice = copy.deepcopy(found)
    first = next(c for c in twice["curves"] if c["role"] == "finalist")
    twice["contestants"].append({**row(twice, "finalist"), "key": first["key"], "name": first["name"], "role": "known"})
    twice["curves"].append({**first, "role": "known"})
    titles = [c["title"] for c in titled_curves(twice)]
    assert {first["name"], f"the best of the settings known beforehand ({first['name']})"} <= set(titles)
    assert len(set(titles)) == len(titles)


def test_runs_that_a_finalist_shares_with_a_baseline_are_counted_once(found):
    winner = next(c for c in found["contestants"] if c["key"] == found["winner"])
    other = next(c for c in found["contestants"] if c["role"] == "finalist" and c is not winner)
    twice = copy.deepcopy(found)
    shared = {**other, "verdict": copy.deepcopy(winner["verdict"])}  # a finalist has verdict runs as a baseline alone
    twice["contestants"] = [shared if c["key"] == other["key"] else c for c in twice["contestants"]]
    before = [row["name"] for row in judged(found)]
    assert sorted(row["name"] for row in judged(twice)) == sorted([other["name"], *before])
    twice["contestants"].append({**shared, "role": "known"})
    assert [(row["name"], row["role"]) for row in judged(twice)] == [
        *((row["name"], row["role"]) for row in judged(found)),
        (other["name"], "known"),
    ]


def test_a_provenances_command_is_written_as_it_is_typed():
    assert provenance_rows({"command": ["tune", "--set", "net_arch=[64, 64]"]}) == [
        ("command", "tune --set 'net_arch=[64, 64]'")
    ]


def test_figures_of_the_evidence_follow_the_theme(found):
    drawn = [
        seed_curves(titled_curves(found), 475.0),
        confirmed_scores(score_rows(found)),
        luck_lines(found["luck"]["finalists"], found["winner"]),
    ]
    for figure in drawn:
        colours = {word for word in str(figure.to_plotly_json()).split("'") if word.startswith("#")}
        assert colours and colours <= set(palette.dark_twins())
    assert seed_curves([]) is confirmed_scores([]) is luck_lines([], None) is None


def tied(data):
    """Everyone scores 500 on every seed, in the search as after it."""
    trials = tuple(dataclasses.replace(t, score=500.0 if t.score is not None else None) for t in data.trials)
    data = dataclasses.replace(data, trials=trials)
    rows = factory.confirmation(data, tied=())
    contestants = [
        dataclasses.replace(c, runs=tuple(factory.confirm_run(r.phase, r.replicate, 0.5, flat=500.0) for r in c.runs))
        for c in rows.contestants
    ]
    return dataclasses.replace(data, confirmation=dataclasses.replace(rows, contestants=tuple(contestants)))


def one_trial(data):
    data = factory.study([factory.trial(0)])
    return dataclasses.replace(data, confirmation=factory.confirmation(data, winner=0))


def selecting(data):
    rows = factory.confirmation(data, verdict=0, winner_key=None, complete=False, tied=())
    return dataclasses.replace(data, confirmation=rows)


def judging(data):
    rows = factory.confirmation(data, verdict=3, complete=False, tied=())
    return dataclasses.replace(data, confirmation=rows)


def selected_only(data):
    rows = factory.confirmation(data, verdict=0, complete=False, tied=())
    return dataclasses.replace(data, confirmation=rows)


def all_diverged(data):
    rows = factory.confirmation(data, tied=())
    broken = [
        dataclasses.replace(
            c,
            runs=tuple(dataclasses.replace(r, outcome="diverged", curve=(), reason="loss became inf") for r in c.runs),
        )
        for c in rows.contestants
    ]
    return dataclasses.replace(data, confirmation=dataclasses.replace(rows, contestants=tuple(broken)))


CASES = {
    "tied": (
        tied,
        [
            "every run of trial 30 scores 500, a tie.",
            "It ties with the algorithm's defaults",
            "favourite kept its score",
        ],
    ),
    "one trial": (one_trial, ["Confirmed: trained on 10 fresh seeds", "Fresh seeds chose the same trial"]),
    "selecting": (
        selecting,
        ["Not confirmed yet: 5 finalists are being trained again on fresh seeds (41 runs so far)"],
    ),
    "judging": (
        judging,
        ["So far: trained on 3 fresh seeds of 10 asked for", "With so few seeds the interval is a guess."],
    ),
    "selected only": (selected_only, ["has been selected; its verdict on fresh seeds is still to come"]),
    "all diverged": (
        all_diverged,
        ["Not confirmed: trial", "none of its 10 runs on fresh seeds completed (10 diverged)"],
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_an_unfinished_or_uninformative_confirmation_says_so(case, cartpole, tmp_path):
    make, words = CASES[case]
    document = written(make(cartpole), tmp_path)
    for text in words:
        assert text in document.words
    assert "nan" not in document.words.lower().split()
    json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("outcome", ["failed", "running"])
def test_a_study_without_a_score_has_no_verdict(outcome, tmp_path):
    document = written(factory.study([factory.trial(i, outcome) for i in range(3)]), tmp_path)
    assert "Nothing to confirm yet." in document.words
    assert not any(a.get("class") == "verdict" for _, a in document.elements)


def at_the_edge(data, name, value, count):
    best = {t.number for t in data.ranked[:count]}
    trials = [dataclasses.replace(t, params={**t.params, name: value}) if t.number in best else t for t in data.trials]
    return dataclasses.replace(data, trials=tuple(trials))


def test_edge_audit_names_the_range_and_writes_a_wider_space(cartpole, tmp_path, pages_of_one_figure):
    assert edges(cartpole) == []
    narrow = at_the_edge(cartpole, "learning_rate", 9.5e-3, 4)
    (edge,) = edges(narrow)
    assert (edge.name, edge.end, len(edge.trials), edge.of) == ("learning_rate", "high", 4, 5)
    assert edge.wider == (1e-5, 0.03)
    assert edge.text.startswith("learning_rate: 4 of the 5 best trials lie at the upper end of 1e-5 to 0.01; try")
    content = yaml.safe_load(wider_space(narrow, [edge]))
    del content["search"]["net_arch"]  # the factory's choices are the sampler's, not a YAML's
    space = parse_space(content)
    assert space.search["learning_rate"].high == 0.03
    write_report(narrow, tmp_path, best_yaml="", commands={**COMMANDS, "wider": "tune --space wider.yaml"})
    assert yaml.safe_load((tmp_path / "wider.yaml").read_text())["search"]["learning_rate"]["high"] == 0.03
    words = Document((tmp_path / "index.html").read_text(encoding="utf-8")).words
    assert edge.text in words
    assert "tune --space wider.yaml" in words


@pytest.mark.slow
def test_a_wider_space_is_gone_with_its_advice_and_one_of_somebody_else_stays(cartpole, tmp_path):
    wider = tmp_path / "wider.yaml"
    write_report(at_the_edge(cartpole, "learning_rate", 9.5e-3, 4), tmp_path, best_yaml="", commands=COMMANDS)
    assert wider.is_file()
    write_report(cartpole, tmp_path, best_yaml="", commands=COMMANDS)
    assert not wider.exists()
    wider.write_text("# mine\n")
    write_report(cartpole, tmp_path, best_yaml="", commands=COMMANDS)
    assert wider.read_text() == "# mine\n"


def test_a_range_that_ends_where_valid_values_end_is_not_widened(cartpole):
    (edge,) = edges(at_the_edge(cartpole, "target_update_interval", 1, 5))
    assert edge.wider is None
    assert edge.text.endswith("and nothing beyond it makes sense here.")
    (edge,) = edges(at_the_edge(cartpole, "buffer_size", 50_000, 5))  # as long as the run
    assert edge.wider is None


@pytest.mark.parametrize("high", [4_000, 10_000])
def test_a_wider_range_ends_where_the_space_would_be_cut_again(cartpole, high):
    space = copy.deepcopy(dict(cartpole.space))
    space["search"]["target_update_interval"]["high"] = high
    data = at_the_edge(dataclasses.replace(cartpole, space=space), "target_update_interval", high, 5)
    (edge,) = edges(data)
    content = yaml.safe_load(wider_space(data, [edge]) or "{}")
    cap = cartpole.grid[-1] // 5
    assert edge.wider == ((1, cap) if high < cap else None)
    if content:
        del content["search"]["net_arch"]
        there = parse_space(content | {"budget": {"n_timesteps": cartpole.grid[-1]}}).clip_to_budget()
        assert there.search["target_update_interval"].high == cap


def test_pruning_audit_estimates_wrongly_pruned_trials_from_those_that_were_spared(cartpole):
    assert pruning_audit(cartpole)["wrong_share"] is None
    assert "--audit-pruning" in pruning_sentences(cartpole)[0]
    ranked = cartpole.ranked
    spared = {ranked[0].number, ranked[10].number, ranked[11].number, ranked[12].number}
    trials = [dataclasses.replace(t, spared_at=25_000 if t.number in spared else None) for t in cartpole.trials]
    audit = pruning_audit(dataclasses.replace(cartpole, trials=tuple(trials)))
    assert [r["wrong"] for r in audit["audited"]].count(True) == 1
    assert audit["wrong_share"]["value"] == 0.25
    assert audit["wrong_share"]["low"] == pytest.approx(0.0063, abs=1e-3)  # Clopper and Pearson, 1 of 4
    assert audit["wrong_share"]["high"] == pytest.approx(0.8059, abs=1e-3)
    text = pruning_sentences(dataclasses.replace(cartpole, trials=tuple(trials)))[1]
    assert text.startswith("Of 4 trials finished though it wanted to stop them, 1 came among")


def test_importance_warns_where_the_best_scores_tie(cartpole):
    assert importance_caution(cartpole) == ""
    best = {t.number for t in cartpole.ranked[:8]}
    trials = [dataclasses.replace(t, score=500.0) if t.number in best else t for t in cartpole.trials]
    text = importance_caution(dataclasses.replace(cartpole, trials=tuple(trials)))
    assert text.startswith("8 of 37 completed trials tie at the best score, 500")


def test_dashboard_sees_the_verdict_and_the_confirmed_curves(data, found, cartpole):
    note = dashboard_note(data)
    assert note.startswith(f"# DQN on CartPole-v1\n\n- Trial {data.chosen.number}: ")
    assert "\n- Confirmed: trained on 10 fresh seeds" in note
    assert "lucky by" in note
    figures = dashboard_figures(data)
    assert set(figures) == {
        "learning-curves", "confirmed-learning-curves", "confirmed-scores", "search-and-fresh-scores",
    }  # fmt: skip
    assert len({figure.layout.title.text for figure in figures.values()} - {None}) == 4, "each says what it shows"
    assert all(figure.layout.legend.yanchor == "top" and figure.layout.legend.y < 0 for figure in figures.values())
    assert "not yet confirmed on fresh seeds" in dashboard_note(cartpole)
    assert set(dashboard_figures(cartpole)) == {"learning-curves"}
    hostile = dataclasses.replace(cartpole, recipe={**cartpole.recipe, "env": "<b>[x](y)\n# z"})
    assert "<b>" not in dashboard_note(hostile).replace("\\<", "")
    assert "\n# z" not in dashboard_note(hostile)


def test_an_interval_s_end_that_is_rounding_reads_zero():
    found = {"kind": "interval", "value": 0.7, "low": -5.55e-17, "high": 0.716}
    assert range_text(found) == "0 to 0.716"
    assert ends_text({"low": -5.55e-17, "high": 0.7}) == "a mean difference of 0 to 0.7 at every look"
