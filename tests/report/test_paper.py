"""A paper says what the report says, in the same bytes each time, in LaTeX that holds whatever a name holds."""

import csv
import dataclasses
import functools
import hashlib
import io
import json
import re
import subprocess
import sys
import zipfile
from datetime import UTC, datetime
from pathlib import Path

import factory
import pytest
import yaml
from cli.cli_shell import tune
from hypothesis import given
from hypothesis import strategies as st

from tuner.errors import InputError
from tuner.hyperparameters import ALGORITHMS, field_infos
from tuner.paper.bibliography import ENTRIES, bibtex
from tuner.paper.content import paper_of
from tuner.paper.files import archive, paper_files
from tuner.paper.methods import cited, methods_markdown, methods_tex
from tuner.paper.tables import hyperparameters_tex, latex, results_csv, results_tex, scores_csv
from tuner.report.pages.comparison import comparison_document
from tuner.report.pages.document import report_document
from tuner.report.pages.settings import render_settings, settings_document
from tuner.report.tables.comparison import settings_rows
from tuner.report.words.ideas import ideas

ROOT = Path(__file__).parent.parent.parent
STORY = {
    "versions": {"gymnasium": "1.4.0", "optuna": "5.0.0", "tune-dqn": "0.1.0"},
    "numeric_path": "compiled-cpu",
    "command": ["tune", "compare", "a b.yaml"],
}
EVALUATION = {"grid": list(factory.GRID), "episodes": 10, "seed": 1, "max_steps": 500, "epsilon": 0.0}
RUN = {
    "env": "CartPole-v1", "algorithm": "dqn", "backend": "native", "clock": "environment steps", "n_timesteps": 50_000,
    "seeds": 8, "evaluation": EVALUATION, "reward_threshold": 475.0,
}  # fmt: skip


def runs(skill, **changes):
    return [factory.confirm_run("verdict", i, skill, **changes) for i in range(8)]


def settings_of(vary, skills, **changes):
    """Return the document of settings that differ in the fields of ``vary``, each with runs of a skill."""
    groups = {}
    for i, values in enumerate(vary):
        groups[", ".join(f"{n} {v}" for n, v in values.items())] = (
            {"batch_size": 64, **values},
            runs(skills[i], **changes),
        )
    listed = {name: list(dict.fromkeys(values[name] for values in vary)) for name in vary[0]}
    settings, every = ({label: both[i] for label, both in groups.items()} for i in (0, 1))
    return settings_document(RUN, settings, every, vary=listed, provenance=STORY)


@pytest.fixture(scope="module")
def study():
    data = dataclasses.replace(factory.confirmed(), provenance=STORY)
    return report_document(data, best_yaml="x: 1\n", commands={}, written=datetime(2026, 3, 1, tzinfo=UTC))


@pytest.fixture(scope="module")
def rates():
    return settings_of([{"learning_rate": 10.0**-i} for i in (4, 3, 2)], [0.3, 0.9, 0.5])


@pytest.fixture(scope="module")
def pairs():
    both = [{"learning_rate": rate, "batch_size": size} for rate in (1e-4, 1e-3) for size in (32, 64)]
    return settings_of(both, [0.3, 0.5, 0.8, 0.9])


@pytest.fixture(scope="module")
def backends():
    run = {key: RUN[key] for key in ("env", "algorithm", "n_timesteps", "seeds", "evaluation")}
    groups = {"native": runs(0.8), "sb3": runs(0.7)}
    return comparison_document({**run, "hyperparameters": {"gamma": 0.99}}, groups, provenance=STORY)


DOCUMENTS = ("study", "rates", "pairs", "backends")


@pytest.fixture(params=DOCUMENTS)
def document(request):
    return request.getfixturevalue(request.param)


def estimates_of(document):
    """Return each setting's estimate and comparison by hand, in the order of the page."""
    if "study" in document:
        found = document["evidence"]
        compared = {c["with"]: c["scores"]["late"] for c in found["comparisons"]}
        rows = sorted(found["contestants"], key=lambda row: row["key"] != found["winner"])
        rows = [row for row in rows if row["verdict"]["seeds"]]
        return [(row["verdict"]["estimates"]["late"], compared.get(row["key"])) for row in rows]
    if "backends" in document:
        native, other = (document["backends"][name]["estimates"]["late"] for name in ("native", "sb3"))
        return [(native, None), (other, document["differences"]["late"])]
    compared = [None, *(c["scores"]["late"] for c in document["comparisons"])]
    return list(zip((s["estimates"]["late"] for s in document["settings"]), compared, strict=True))


def number_of(text):
    return float(text) if text else None


def test_the_table_s_numbers_are_the_document_s_with_all_digits(document):
    rows = list(csv.DictReader(io.StringIO(results_csv(paper_of(document)))))
    wanted = estimates_of(document)
    assert len(rows) == len(wanted) >= 2
    for row, (estimate, compared) in zip(rows, wanted, strict=True):
        shown = [number_of(row[key]) for key in ("interquartile_mean", "low", "high")]
        assert shown == [estimate["value"], estimate["low"], estimate["high"]]
        if compared is None:
            assert row["difference"] == row["probability"] == row["result"] == ""
        else:
            shown = [number_of(row[key]) for key in ("difference", "difference_low", "difference_high", "probability")]
            difference = compared["difference"]
            assert shown == [
                difference["value"],
                difference["low"],
                difference["high"],
                compared["probability"]["value"],
            ]
            assert row["result"] == compared["result"]


def test_the_latex_table_has_the_page_s_own_cells(rates):
    lines = [line for line in results_tex(paper_of(rates)).splitlines() if line.endswith(r"\\")]
    cells = [line.strip().removesuffix(r" \\").split(" & ") for line in lines]
    assert cells[0][-1] == "result" and "p (Holm)" in cells[0]
    for mine, page in zip(cells[1:], settings_rows(rates, "late"), strict=True):
        rate, score, difference, chance, adjusted, result, *_ = [cell.text.replace("–", "--") for cell in page]
        value, low_to_high = mine[2], mine[3]
        assert mine[0] == latex(rate) and f"{value} ({low_to_high})" == score
        assert mine[4:] == [difference, chance, adjusted, result]


def test_every_run_s_score_is_in_the_data(rates):
    rows = list(csv.DictReader(io.StringIO(scores_csv(paper_of(rates)))))
    wanted = [
        (s["label"], str(seed), *(s["scores"][o][i] for o in ("late", "auc", "final", "best")))
        for s in rates["settings"]
        for i, seed in enumerate(s["seeds"])
    ]
    assert [(r["setting"], r["seed"], *(float(r[o]) for o in ("late", "auc", "final", "best"))) for r in rows] == wanted


@pytest.fixture(scope="module")
def files_of(request):
    """Return a document's files, made once."""
    return functools.cache(lambda name: paper_files(paper_of(request.getfixturevalue(name)), {"a": b"1", "b": b"2"}))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "kinds"),
    [
        ("study", {"curves", "scores", "history"}),
        ("rates", {"curves", "scores", "values"}),
        ("pairs", {"curves", "scores"}),
    ],
)
def test_figures_are_vectors_with_embedded_fonts_and_without_dates(files_of, name, kinds):
    files = {name: content for name, content in files_of(name).items() if name.endswith((".pdf", ".svg"))}
    assert set(files) == {f"{figure}.{kind}" for figure in kinds for kind in ("pdf", "svg")}
    for name, content in files.items():
        if name.endswith("pdf"):
            assert content.startswith(b"%PDF") and b"/FontFile2" in content and b"/CIDFontType2" in content
            assert b"/Type3" not in content and b"/Image " not in content
            assert b"CreationDate" not in content and b"ModDate" not in content
        else:
            assert b"<svg" in content and b"<image" not in content and b"<dc:date>" not in content


def test_the_same_data_is_the_same_bytes(files_of, pairs, monkeypatch):
    import matplotlib

    monkeypatch.setitem(matplotlib.rcParams, "lines.linewidth", 9.0)  # somebody's own matplotlibrc
    again = paper_files(paper_of(json.loads(json.dumps(pairs))), {"b": b"2", "a": b"1"})
    assert again == files_of("pairs")


@pytest.mark.slow
def test_the_same_data_is_the_same_bytes_in_another_process(study, tmp_path):
    (tmp_path / "report.json").write_text(json.dumps(study))
    seen = set()
    for seed in ("1", "2"):
        code = f"import sys; from tuner.cli.app import main; sys.exit(main(['paper', '.', '-o', 'out{seed}']))"
        subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True, env={"PYTHONHASHSEED": seed, "PATH": ""})
        out = tmp_path / f"out{seed}"
        seen.add(tuple((p.name, hashlib.sha256(p.read_bytes()).hexdigest()) for p in sorted(out.iterdir())))
    assert len(seen) == 1


def test_the_page_s_own_button_saves_vectors(rates):
    page = render_settings(rates, "comparison")
    assert 'toImageButtonOptions: { format: "svg", filename: element.dataset.figure }' in page
    assert "Plotly.react(element, data, layout, { ...config, ...saved(element) })" in page


def test_raw_data_is_packed_as_it_is():
    raw = {"runs.jsonl": b"{}\n", "comparison.json": b"[1]"}
    with zipfile.ZipFile(io.BytesIO(archive(raw))) as packed:
        assert {name: packed.read(name) for name in packed.namelist()} == raw


def test_methods_say_what_was_done(study, rates):
    text = methods_markdown(paper_of(rates))
    for word in ("DQN [@mnih2015]", "CartPole-v1", "50,000 environment steps",
                 "3 settings that differ in learning_rate", "same 8 seeds", "every 5,000 environment steps",
                 "10 episodes of at most 500 steps", "[@agarwal2021]", "Holm's correction", "gymnasium 1.4.0",
                 "All 24 runs completed", "tune compare 'a b.yaml'"):  # fmt: skip
        assert word in text, word
    text = methods_markdown(paper_of(study))
    for word in ("Optuna 5.0.0 [@akiba2019]", "60 trials", "The 5 most promising trials were trained again",
                 "10 seeds that no choice had seen", "RL Zoo's values", "median rule"):  # fmt: skip
        assert word in text, word


@pytest.mark.parametrize(("epsilon", "said"), [(0.0, "with greedy actions"), (0.001, "with 0.001-greedy actions")])
def test_the_methods_say_how_the_verdicts_own_runs_were_evaluated(epsilon, said):
    data = dataclasses.replace(factory.confirmed_flat(8.5), provenance=STORY, eval_epsilon=epsilon)
    document = report_document(data, best_yaml=None, commands={}, written=datetime(2026, 3, 1, tzinfo=UTC))
    assert document["evidence"]["evaluation"] == {"episodes": 10, "late_episodes": 50, "epsilon": epsilon}
    assert f"{said} in 10 episodes (50 over the last third of a run), whose" in methods_markdown(paper_of(document))
    del document["evidence"]["evaluation"]  # of a report that was written before
    assert "in 10 episodes, whose" in methods_markdown(paper_of(document))


@pytest.mark.slow
@pytest.mark.parametrize(("seeds", "said"), [(1, "one run each"), (3, "the mean of 3 runs each")])
def test_scores_of_a_search_of_several_seeds_are_not_called_single_runs(study, seeds, said):
    of = study["study"]
    changed = {**study, "study": {**of, "recipe": {**of["recipe"], "seeds_per_trial": seeds}}}
    assert f"Scores in the search, {said}:" in paper_files(paper_of(changed), {})["main.tex"].decode()


def test_one_finalist_was_chosen_among_none():
    data = dataclasses.replace(factory.confirmed_flat(8.5, trials=2), provenance=STORY)
    first, second, *baselines = data.confirmation.contestants
    alone = dataclasses.replace(data.confirmation, contestants=(second, *baselines))
    document = report_document(
        dataclasses.replace(data, confirmation=alone),
        best_yaml=None,
        commands={},
        written=datetime(2026, 3, 1, tzinfo=UTC),
    )
    text = methods_markdown(paper_of(document))
    assert first.name != second.name and f"The most promising trial was selected ({second.name})." in text


def test_runs_that_did_not_complete_are_said_and_counted():
    bad = {"outcome": "diverged", "reason": "loss became inf"}
    document = settings_of([{"gamma": 0.9}, {"gamma": 0.99}], [0.5, 0.5])
    document["settings"][1]["outcomes"][:2] = [bad["outcome"]] * 2
    paper = paper_of(document)
    assert "Of 16 runs 2 diverged" in methods_markdown(paper)
    assert "not completed" in results_tex(paper) and results_tex(paper).count(r"& 2 \\") == 1


def test_ideas_are_cited_only_where_a_setting_has_them():
    plain = paper_of(settings_of([{"double_q": False}, {"double_q": True}], [0.5, 0.6]))
    assert "vanhasselt2016" in cited(plain) and "wang2016" not in cited(plain)


def test_steps_of_a_rollout_are_no_n_step_returns():
    long = [{"n_steps": 2048}, {"n_steps": 5}]
    assert ideas("ppo", long) == [] and ideas("dqn", long) == ["n-step returns [@sutton1988]"]
    assert ideas("dqn", [{"learning_rate_schedule": "linear", "quantiles": 1, "noisy": None}]) == []
    assert ideas("dqn", [{"quantiles": 8}]) == ["quantile regression [@dabney2018]"]


def test_all_that_is_cited_is_in_the_bibliography_and_everything_in_it_is_cited_somewhere(study, rates, backends):
    for document in (study, rates, backends):
        keys = cited(paper_of(document))
        found = re.findall(r"^@\w+\{(\w+),$", bibtex(keys), re.M)
        assert sorted(set(keys)) == found
        assert set(re.findall(r"citep\{([^}]*)\}", methods_tex(paper_of(document)))) <= {
            ",".join(k) for k in _runs(keys)
        }
    folders = (ROOT / "tuner" / room for room in ("paper", "hyperparameters"))
    source = "".join(p.read_text() for folder in folders for p in folder.glob("*.py") if p.stem != "bibliography")
    assert {key for key in ENTRIES if key not in source} == set()
    declared = {
        key for cls in ALGORITHMS.values() for i in field_infos(cls).values() for key in re.findall(r"@(\w+)", i.idea)
    }
    assert len(declared) > 5 and declared <= set(ENTRIES)


def _runs(keys):
    """Return every run of keys that may stand in one citation."""
    return [keys[i:j] for i in range(len(keys)) for j in range(i + 1, min(i + 4, len(keys)) + 1)]


def test_entries_have_what_their_kind_needs_and_balanced_braces():
    needed = {"article": {"journal"}, "inproceedings": {"booktitle"}, "misc": set(), "phdthesis": {"school"}}
    for key, (kind, fields) in ENTRIES.items():
        assert {"author", "title", "year", *needed[kind]} <= set(fields), key
    text = bibtex(ENTRIES)
    assert text.count("{") == text.count("}") and text.isascii()


#: What stands for a character of LaTeX's own.
_COMMANDS = re.compile(r"\\[{}$&#%_]|\\text[a-z]+\{\}|-\{\}")


@given(st.text())
def test_latex_reads_no_text_as_its_own(text):
    left = _COMMANDS.sub("", latex(text))
    assert not set(left) & set("\\{}$&#%_^~<>|\n")


def test_hostile_names_reach_every_file_as_text():
    evil = "$x_1$ \\input{/etc/passwd} & % --"
    document = settings_of([{"gamma": 0.9}, {"gamma": 0.99}], [0.5, 0.6])
    document["settings"][1]["label"] = document["comparisons"][0]["label"] = evil
    document["vary"], document["run"]["env"] = {}, "=cmd()"
    files = paper_files(paper_of(document), {})
    for name in ("table.tex", "hyperparameters.tex", "methods.tex", "main.tex"):
        assert "\\input{/etc" not in files[name].decode()
    assert latex(evil) in files["table.tex"].decode()


def test_a_value_below_zero_is_a_number_in_the_data():
    document = settings_of([{"munchausen_clip": -1.0}, {"munchausen_clip": -2.0}], [0.5, 0.6])
    rows = list(csv.DictReader(io.StringIO(results_csv(paper_of(document)))))
    assert [float(row["munchausen_clip"]) for row in rows] == [-1.0, -2.0]


@pytest.mark.parametrize("label", ["[1] old", "*best"])
def test_a_row_is_not_read_as_the_length_or_star_of_the_line_before(label):
    document = settings_of([{"gamma": 0.9}, {"gamma": 0.99}], [0.5, 0.6])
    document["settings"][1]["label"] = document["comparisons"][0]["label"] = label
    document["vary"] = {}
    rows = results_tex(paper_of(document)).splitlines()
    assert any(row.startswith(f"    {{}}{label} &") for row in rows)
    assert not any(row.lstrip().startswith(("[", "*")) for row in rows)


def test_hyperparameters_are_all_there(study, rates):
    text = hyperparameters_tex(paper_of(rates))
    assert r"learning\_rate & 0.0001, 0.001, 0.01 \\" in text and r"batch\_size & 64 \\" in text
    assert r"hyperparameter & trial" in hyperparameters_tex(paper_of(study))


def test_where_results_decided_the_number_of_seeds_no_interval_for_a_fixed_one_is_given(study):
    found = json.loads(json.dumps(study["evidence"]))
    found["until"] = {"level": 0.95, "seeds": 50, "bounds": [0, 500], "bounds_hold": True}
    for row in found["contestants"]:
        row["verdict"]["mean"] = {"value": 300.5, "low": 250.25, "high": 350.5, "level": 0.95}
    for row in found["comparisons"]:
        row["sequence"] = {"mean": 40.5, "low": 10.25, "high": 70.5, "n": 20}
        row["scores"]["late"]["probability"].update(kind="sequential", low=None, high=None)
    paper = paper_of({**study, "evidence": found})
    rows = list(csv.DictReader(io.StringIO(results_csv(paper))))
    assert [rows[0][key] for key in ("mean", "low", "high")] == ["300.5", "250.25", "350.5"]
    assert [rows[1][f"difference{end}"] for end in ("", "_low", "_high")] == ["40.5", "10.25", "70.5"]
    text = methods_markdown(paper)
    assert "[@waudbysmith2024]" in text and "at most 50 seeds" in text and "bootstrap" not in text
    found["until"]["level"] = 0.999
    paper = paper_of({**study, "evidence": found})
    assert "together with 99.9 %, on" in methods_markdown(paper) and r"99.9 \% sequence" in results_tex(paper)
    found["until"]["bounds_hold"] = None
    assert "[@lai1976; @wang2024]" in methods_markdown(paper_of({**study, "evidence": found}))


def test_a_search_without_a_verdict_is_no_result(study):
    with pytest.raises(InputError, match=r"no verdict yet.*tune confirm"):
        paper_of({**study, "evidence": None})
    with pytest.raises(InputError, match="no document of this version"):
        paper_of({"run": {}})


def test_the_command_writes_beside_the_comparison_and_says_what(backends, tmp_path):
    (tmp_path / "comparison.json").write_text(json.dumps(backends))
    (tmp_path / "runs.jsonl").write_text("{}\n")
    shell = tune("paper", str(tmp_path))
    assert shell.code == 0, shell.err
    folder = tmp_path / "paper"
    assert f"Folder: {folder}" in shell.out and "curves.pdf" in shell.out
    names = {p.name for p in folder.iterdir()}
    assert {"curves.pdf", "curves.svg", "table.tex", "table.csv", "methods.tex", "references.bib", "main.tex"} <= names
    with zipfile.ZipFile(folder / "data.zip") as packed:
        assert packed.namelist() == ["comparison.json", "methods.md", "runs.jsonl"]


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda folder: None, "holds none of comparison.json"),
        (lambda folder: (folder / "sweep.json").write_text("{"), "cannot be read"),
        (lambda folder: (folder / "sweep.json").write_text("[" * 100_000), "cannot be read"),
        (lambda folder: (folder / "report.json").write_text("[]"), "no document of tune"),
        (lambda folder: (folder / "report.json").write_text('{"run": 3}'), "no document of this version"),
    ],
)
def test_a_folder_of_another_kind_is_one_line(tmp_path, make, says):
    make(tmp_path)
    shell = tune("paper", str(tmp_path))
    assert shell.code == 2 and says in shell.err and shell.err.count("\n") == 1
    assert not (tmp_path / "paper").exists()


def test_without_matplotlib_the_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    shell = tune("paper", str(tmp_path))
    assert shell.code == 2 and "pip install 'tune-dqn[paper]'" in shell.err and shell.err.count("\n") == 1


def test_the_citation_file_is_of_this_version():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert citation["cff-version"] == "1.2.0" and citation["type"] == "software" and citation["message"]
    assert f'version = "{citation["version"]}"' in project and citation["license"] == "MIT"
    assert citation["authors"] == [{"name": "The tune-dqn authors"}]
    titles = {entry["title"] for entry in citation["references"]}
    ours = {re.sub(r"[{}]", "", fields["title"]) for _, fields in ENTRIES.values()}
    assert titles <= ours and len(titles) >= 5


def test_the_environment_s_arguments_are_in_the_methods_and_above_the_table(study, rates):
    document = json.loads(json.dumps([study, rates]))
    document[0]["study"]["recipe"]["env_arg"] = document[1]["run"]["env_arg"] = {"is_slippery": False}
    for each in map(paper_of, document):
        assert "CartPole-v1 (is_slippery=false) (Gymnasium" in methods_markdown(each)
        assert r"CartPole-v1 (is\_slippery=false)" in results_tex(each)
