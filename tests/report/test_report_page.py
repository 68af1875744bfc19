"""The page as a reader gets it: offline, escaped, in words where there is nothing to draw, replaced at once."""

import ast
import base64
import dataclasses
import gzip
import hashlib
import json
import os
import re
import stat
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path

import factory
import pytest

from tuner.errors import InputError
from tuner.report.numbers.parameters import by_importance
from tuner.report.pages import study as page
from tuner.report.pages.sections import SECTIONS
from tuner.report.pages.study import write_report
from tuner.report.pages.template import PLOTLY
from tuner.report.tables.trials import trial_columns
from tuner.result.agents import KeptAgent
from tuner.result.study import StudyData

COMMANDS = {"reproduce": "tune --env CartPole-v1 --trials 60", "export": "tune export dqn-native-CartPole-v1"}
YAML = "CartPole-v1:\n  policy: MlpPolicy\n  policy_kwargs: dict(net_arch=[64, 64])\n"
ADDRESS = re.compile(r"(?:https?:)?//", re.IGNORECASE)


class Document(HTMLParser):
    """Elements, their attributes, the text outside scripts and styles, and the scripts by id."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.text, self.scripts, self.style = "", {}, ""
        self._inside: tuple[str, str] = ("", "")
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attrs):
        attributes = {name: value or "" for name, value in attrs}
        self.elements.append((tag, attributes))
        if tag in ("script", "style"):
            self._inside = (tag, attributes.get("id", str(len(self.scripts))))

    def handle_endtag(self, tag):
        if tag in ("script", "style"):
            self._inside = ("", "")

    def handle_data(self, data):
        kind, name = self._inside
        if kind == "script":
            self.scripts[name] = self.scripts.get(name, "") + data
        elif kind == "style":
            self.style += data
        else:
            self.text += data

    @property
    def words(self) -> str:
        return " ".join(self.text.split())

    @property
    def figures(self) -> dict:
        return json.loads(self.scripts["figures"])


def written(data: StudyData, folder: Path) -> Document:
    path = write_report(data, folder, best_yaml=YAML if data.best else None, commands=COMMANDS)
    return Document(path.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def path(cartpole, tmp_path_factory) -> Path:
    return write_report(cartpole, tmp_path_factory.mktemp("report"), best_yaml=YAML, commands=COMMANDS)


@pytest.fixture(scope="module")
def document(path) -> Document:
    return Document(path.read_text(encoding="utf-8"))


def test_no_attribute_style_or_own_script_names_an_address(document):
    for tag, attributes in document.elements:
        assert tag not in ("link", "iframe", "object", "embed", "base"), f"<{tag}> can load something"
        for name, value in attributes.items():
            assert not ADDRESS.search(value), f"<{tag} {name}={value!r}>"
        assert "src" not in attributes
        assert attributes.get("href", "#").startswith("#")
    assert "url(" not in document.style and "@import" not in document.style
    own = [text for text in document.scripts.values() if len(text) < 600_000]
    assert len(own) == len(document.scripts) - 1, "exactly one script, plotly.js, is large"
    assert not any(re.search(r"https?://", text) for text in own)


def test_the_browser_is_told_to_load_nothing(document):
    policies = [a["content"] for _, a in document.elements if a.get("http-equiv") == "Content-Security-Policy"]
    assert len(policies) == 1 and "default-src 'none'" in policies[0]
    assert "http" not in policies[0]


def test_the_page_stays_below_two_megabytes(path):
    assert path.stat().st_size < 2_000_000


def test_the_page_holds_plotly_js_of_the_version_that_is_written_down(document):
    unpacked = gzip.decompress(base64.b64decode(document.scripts["plotly"]))
    about = (PLOTLY.parent / "README.md").read_text(encoding="utf-8")
    assert hashlib.sha256(unpacked).hexdigest() in about
    version = re.search(rb"plotly\.js \(cartesian - minified\) v([\d.]+)", unpacked).group(1).decode()
    assert f"`plotly.js-cartesian-dist-min` {version}, MIT" in " ".join(about.split())


def test_figures_use_only_trace_types_that_the_page_can_draw():
    known = {"Bar", "Box", "Contour", "Heatmap", "Histogram", "Image", "Pie", "Scatter", "Violin"}
    used = {
        node.attr
        for path in (PLOTLY.parents[2] / "figures").glob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "go"
    }
    assert "Scatter" in used
    assert used - {"Figure", "layout"} <= known


def test_every_drawn_place_has_its_figure_and_every_figure_its_place(document):
    places = [attributes["data-figure"] for _, attributes in document.elements if "data-figure" in attributes]
    assert sorted(places) == sorted(document.figures)
    assert len(places) >= 16


def test_every_section_is_on_the_page_and_in_the_menu(document):
    ids = {attributes.get("id") for _, attributes in document.elements}
    links = {attributes.get("href") for tag, attributes in document.elements if tag == "a"}
    for section in SECTIONS:
        if section.name != "agent":  # only where there is a film (see tests/study/test_film_winner.py)
            assert section.name in ids and f"#{section.name}" in links


def test_the_opening_says_what_was_searched_and_what_was_found(document, cartpole):
    counts = {o: cartpole.count(o) for o in ("completed", "pruned", "diverged", "failed")}
    assert "60 trials of DQN on CartPole-v1" in document.words
    assert f"{counts['completed']} ran to the end" in document.words
    assert f"{counts['pruned']} pruned" in document.words
    assert f"{counts['diverged']} diverged and {counts['failed']} failed" in document.words
    assert f"The best score is {cartpole.best.score:.1f}, by trial {cartpole.best.number}" in document.words
    assert "one training run; not yet confirmed on fresh seeds" in document.words


def test_yaml_and_commands_are_shown_as_they_are(document):
    assert YAML in document.text
    assert all(line in document.text for line in COMMANDS.values())


def test_the_table_has_a_row_for_every_trial_and_numbers_to_sort_by(document, cartpole):
    cells = [
        attributes["data-sort"] for tag, attributes in document.elements if tag == "td" and "data-sort" in attributes
    ]
    columns = sum(tag == "button" and attributes.get("class") != "copy" for tag, attributes in document.elements)
    assert len(cells) == columns * len(cartpole.trials)
    scores = cells[2::columns]
    assert [float(s) if s else None for s in scores] == [t.score for t in cartpole.trials]


def test_columns_that_fit_no_page_are_shown_when_asked_for_the_important_ones_always(cartpole):
    columns = trial_columns(cartpole)
    needs = {name: column.needs for name in by_importance(cartpole) for column in columns if column.name == name}
    assert list(needs.values()) == (["", "", "middle", "middle", "wide", "wide"] + ["all"] * 20)[: len(needs)]
    others = [(c.name, c.needs) for c in columns if c.name not in needs]
    assert others == [("trial", ""), ("outcome", ""), ("score", ""), ("steps", "middle"), ("time", ""), ("seed", "all")]


CASES = {
    "no trial": (factory.study([]), "No trial yet."),
    "all failed": (
        factory.study([factory.trial(i, "failed", reason=f"ValueError: bad at step {i}") for i in range(5)]),
        "Every trial failed. None of 5 trials gave a result",
    ),
    "all tied": (
        factory.study([factory.trial(i, score=500.0) for i in range(12)]),
        "All scores are equal. Each of the 12 completed trials scored 500",
    ),
    "one trial": (factory.study([factory.trial(0)]), "One trial only. There is nothing to compare it with"),
    "running": (
        factory.study([factory.trial(0), factory.trial(1, "running"), factory.trial(2, "running")]),
        "The study is still running. 2 trials in training",
    ),
    "only pruned": (factory.study([factory.trial(i, "pruned") for i in range(8)]), "Only pruned trials. 8 trials"),
    "pruned and diverged": (
        factory.study([factory.trial(0, "pruned"), factory.trial(1, "diverged")]),
        "No score yet. No trial has run to the end",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_unfinished_and_uninformative_studies_say_so_in_words(case, tmp_path):
    data, words = CASES[case]
    document = written(data, tmp_path)
    assert words in document.words
    drawn = {a["data-figure"].split("-")[0] for _, a in document.elements if "data-figure" in a}
    empty = sum(a.get("class") == "empty" for _, a in document.elements)
    assert len(drawn) + empty >= 9, "each of the nine figure places has a figure or words"
    json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    rows = (tmp_path / "trials.csv").read_text(encoding="utf-8").splitlines()
    assert len(rows) == len(data.trials) + 1


def test_where_learning_is_offline_nothing_is_counted_in_environment_steps(tmp_path):
    data = factory.confirmed()
    offline = dataclasses.replace(data, recipe={**data.recipe, "algo": "fqi"})
    said = []
    for i, each in enumerate((data, offline)):
        write_report(each, tmp_path / str(i), best_yaml=None, commands={})
        page = (tmp_path / str(i) / "index.html").read_text(encoding="utf-8")
        said.append([len(re.findall(word, page, re.IGNORECASE)) for word in ("environment steps", "iterations")])
    (steps, no_iterations), (no_steps, iterations) = said
    assert steps > 10 and no_iterations == no_steps == 0 and iterations == steps + 1  # what was saved is said in steps


def test_large_returns_of_agent_and_film_are_written_out(cartpole, pages_of_one_figure):
    agent = KeptAgent(Path("agents/best"), 3, 7, 12_345.0, 10, ())
    film = {"env": "ALE/Pong-v5", "returns": [-10_005.0], "lengths": [27_000], "median_of": 1}
    written = datetime(2026, 3, 1, tzinfo=UTC)
    html = page.render(cartpole, best_yaml="x: 1", commands={}, written=written, film=film, agents={"best": agent})
    assert '<td class="num">12,345</td>' in html and "return -10,005 in 27,000 steps" in html


def test_equal_failures_are_grouped_though_their_numbers_differ(tmp_path, pages_of_one_figure):
    words = written(CASES["all failed"][0], tmp_path).words
    assert "failed 5 ValueError: bad at step 0 0, 1, 2, 3, 4" in words


HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(2)>\u2028{{ 7 * 7 }}%{x}"


def hostile_study() -> StudyData:
    base = factory.cartpole()
    trials = []
    for trial in base.trials:
        params = {**trial.params, HOSTILE: HOSTILE if trial.number % 2 else "plain"}
        changes = {"params": params, "reason": HOSTILE, "hyperparameters": {**trial.hyperparameters, HOSTILE: HOSTILE}}
        trials.append(factory.dataclasses.replace(trial, **changes))
    recipe = {**base.recipe, "env": HOSTILE, "algo": HOSTILE, "backend": HOSTILE, HOSTILE: HOSTILE}
    importances = {**base.importances, HOSTILE: base.importances["learning_rate"]}
    changes = {
        "name": HOSTILE,
        "recipe": recipe,
        "space": {HOSTILE: [HOSTILE]},
        "provenance": {HOSTILE: {HOSTILE: HOSTILE}},
    }
    return factory.dataclasses.replace(base, trials=tuple(trials), importances=importances, **changes)


@pytest.fixture(scope="module")
def hostile(tmp_path_factory) -> Document:
    folder = tmp_path_factory.mktemp("hostile")
    path = write_report(hostile_study(), folder, best_yaml=HOSTILE, commands={HOSTILE: HOSTILE})
    return Document(path.read_text(encoding="utf-8"))


def test_text_of_the_database_never_becomes_markup(hostile, document):
    tags = {tag for tag, _ in hostile.elements}
    assert "img" not in tags
    assert len(hostile.scripts) == len(document.scripts), "no script was added and none was cut short"
    assert not any(name.startswith("on") for _, attributes in hostile.elements for name in attributes)
    assert "alert(1)" in hostile.text, "it is there, as text"
    assert "{{ 7 * 7 }}" in hostile.text, "templates inside data are not evaluated"


def test_figures_carry_no_markup_of_the_database(hostile):
    def texts(value):
        if isinstance(value, str):
            yield value
        elif isinstance(value, dict):
            for item in value.values():
                yield from texts(item)
        elif isinstance(value, list):
            for item in value:
                yield from texts(item)

    every = list(texts(hostile.figures))
    assert any("&lt;img" in text for text in every), "the hostile name is on an axis"
    for text in every:
        assert set(re.findall(r"<[^>]*>", text)) <= {"<br>", "<extra>", "</extra>"}
        if "alert" in text:
            assert "%{" not in text, "a name is not a template"


def test_a_failing_write_leaves_the_old_files(cartpole, tmp_path, monkeypatch, pages_of_one_figure):
    write_report(factory.study([]), tmp_path, best_yaml=None, commands={})
    before = {p.name: p.read_bytes() for p in tmp_path.iterdir()}

    def full(source, target):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(InputError, match=r"No space left on device\. Choose a folder with --report-dir"):
        write_report(cartpole, tmp_path, best_yaml=None, commands={})
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == before


def test_a_failing_figure_leaves_the_old_files(cartpole, tmp_path, monkeypatch, pages_of_one_figure):
    write_report(factory.study([]), tmp_path, best_yaml=None, commands={})
    before = {p.name: p.read_bytes() for p in tmp_path.iterdir()}
    monkeypatch.setattr(page, "render", lambda *args, **kwargs: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        write_report(cartpole, tmp_path, best_yaml=None, commands={})
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == before


def test_a_path_that_is_no_folder_is_bad_input(cartpole, tmp_path):
    (tmp_path / "taken").write_text("a file")
    with pytest.raises(InputError, match="cannot be written"):
        write_report(factory.study([]), tmp_path / "taken", best_yaml=None, commands={})


def test_files_get_the_permissions_that_the_user_asked_for(tmp_path, pages_of_one_figure):
    umask = os.umask(0o022)
    try:
        path = write_report(factory.study([]), tmp_path / "new" / "folder", best_yaml=None, commands={})
    finally:
        os.umask(umask)
    assert stat.S_IMODE(path.stat().st_mode) == 0o644


def test_a_verdict_without_a_selection_speaks_of_none(tmp_path):
    data = factory.confirmed()
    rows = data.confirmation.contestants
    favourite = dataclasses.replace(rows[0], runs=rows[1].runs[9:])
    alone = dataclasses.replace(
        data.confirmation, contestants=(favourite, *rows[5:]), winner_key=favourite.key, tied=()
    )
    unsolved = dataclasses.replace(data, confirmation=alone, reward_threshold=None)
    pages = {}
    for name, study in (("several", data), ("alone", unsolved)):
        folder = tmp_path / name
        write_report(study, folder, best_yaml=None, commands={})
        pages[name] = Document((folder / "index.html").read_text(encoding="utf-8")).text
    for words in (
        "select seeds",
        "the winner among them by",
        "no finalist has been trained again",
        "reach the threshold",
    ):
        assert words not in pages["alone"], words
    assert "went straight to the verdict" in pages["alone"] and "went straight to the verdict" not in pages["several"]
    assert "select seeds" in pages["several"] and "reach the threshold" in pages["several"]
    assert "the last of them, best the highest" in pages["alone"]


@pytest.mark.parametrize(("floor", "said"), [(None, "worst completed run."), (9.25, "run, and as 9.25 at most.")])
def test_what_a_run_that_diverged_counts_as_is_said_as_it_is_computed(tmp_path, floor, said, pages_of_one_figure):
    data = factory.confirmed()
    held = dataclasses.replace(data, confirmation=dataclasses.replace(data.confirmation, floor=floor))
    write_report(held, tmp_path, best_yaml=None, commands={})
    assert said in Document((tmp_path / "index.html").read_text(encoding="utf-8")).text


def test_a_return_of_nothing_but_rounding_reads_zero():
    """Ten steps at -0.1 and a goal worth 1 sum up to 1.1e-16."""
    for walked in (1 + sum([-0.1] * 10), -(1 + sum([-0.1] * 10))):
        data = dataclasses.replace(factory.confirmed_flat(walked), random_play=(walked, walked))
        for each in (data, dataclasses.replace(data, confirmation=None)):
            html = page.render(each, best_yaml=None, commands={}, written=datetime.now(UTC))
            assert not re.findall(r"\S+e-1[0-9]", Document(html).text)
