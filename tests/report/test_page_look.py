"""Pages in a browser, at three widths: nothing is cut off, sticks out or lies over another thing."""

import importlib.util
import sys
from pathlib import Path

import factory
import numpy as np
import pytest

from tuner.contract.spec import EvaluationSpec, RunId, RunSpec
from tuner.envs.spec import EnvSpec
from tuner.hyperparameters import QLearningHyperparameters
from tuner.report.figures.palette import light
from tuner.report.numbers.board import board_row, ranked
from tuner.report.numbers.evidence import evidence
from tuner.report.pages.board import board_document, write_board
from tuner.report.pages.settings import settings_document, write_settings
from tuner.report.pages.study import write_report
from tuner.report.pages.training import write_training_page
from tuner.report.tables.plain import study_document
from tuner.text import plain
from tuner.training.lone.table_log import TableLog

#: What a search over several environments calls the study of one.
LONG = "q_learning-native-FrozenLake-v1-CliffWalking-v1-1682ce.CliffWalking-v1"

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


def load(name):
    spec = importlib.util.spec_from_file_location(name, BENCHMARKS / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def looking():
    """Return the script that looks, and an open page."""
    with pytest.MonkeyPatch.context() as patch:
        browser = load("browser")
        patch.setitem(sys.modules, "browser", browser)
        if browser.CHROMIUM is None:
            pytest.skip("no chromium on the PATH")
        with browser.new_tab() as tab:
            yield load("page_look"), tab


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pages")
    yaml = "CartPole-v1:\n  policy: MlpPolicy\n  policy_kwargs: dict(net_arch=[64, 64])\n"
    long = "tune --env CartPole-v1 --trials 60 --space reports/dqn-native-CartPole-v1/wider.yaml --steps 50000"
    report = write_report(factory.confirmed(), folder, best_yaml=yaml, commands={"reproduce": long})
    run = {
        "env": "CartPole-v1", "algorithm": "dqn", "backend": "native", "clock": "environment steps",
        "n_timesteps": 50_000, "seeds": 3, "evaluation": {"episodes": 10}, "reward_threshold": 475.0,
    }  # fmt: skip
    rates = (1e-4, 1e-3, 1e-2)
    runs = {
        f"learning_rate {rate}": [factory.confirm_run("verdict", i, 0.2 + 0.3 * place) for i in range(3)]
        for place, rate in enumerate(rates)
    }
    settings = {label: {"learning_rate": rate, "batch_size": 64} for label, rate in zip(runs, rates, strict=True)}
    tables = [table(step) for step in (300, 400, 500)]
    document = settings_document(run, settings, runs, vary={"learning_rate": rates}, provenance={}, tables=tables)
    sweep, comparison = (write_settings(document, folder, page) for page in ("sweep", "comparison"))
    rows = [
        board_row(plain({**study_document(data), "evidence": evidence(data)}), "here")
        | {"page": "index.html", "film": None, "study": LONG}
        for data in (factory.confirmed(), factory.cartpole())
    ]
    board = write_board(board_document(ranked(rows)), folder / "board.html")
    log = {"episodes": {"step": [9, 18], "return": [9.0, 9.0]}, "stride": 1,
           "updates": {"step": [10, 20], "loss": [0.1, 0.2], "q_value": [1.0, 1.1], "epsilon": [1.0, 0.5]}}  # fmt: skip
    points = [(250, (9.0, 10.0)), (500, (10.0, 11.0))]
    lake = RunSpec(RunId(0), EnvSpec("FrozenLake-v1"), "native", QLearningHyperparameters(), 0, (250, 500),
                   EvaluationSpec(2, 0, 100))  # fmt: skip
    training = write_training_page(lake.describe(), log, points, folder, table=table(500))
    return report, sweep, comparison, board, training


def table(step):
    """Return what a page shows of a table of FrozenLake's after so many steps."""
    log = TableLog()
    log.add(step, np.random.default_rng(step).random((16, 4)))
    return plain(log.beside_truth(EnvSpec("FrozenLake-v1"), 0.99))


@pytest.mark.slow
@pytest.mark.parametrize("width", [1400, 1024, 390])
def test_nothing_on_a_page_is_cut_off(looking, pages, width):
    script, tab = looking
    for page in pages:
        assert script.look(tab, page, width) == [], page.name


@pytest.mark.slow
def test_what_is_cut_off_is_found(looking, pages, tmp_path):
    script, tab = looking
    sweep = pages[1]
    narrow = tmp_path / "narrow.html"
    narrow.write_text(sweep.read_text(encoding="utf-8").replace("<main>", '<main style="width:2000px">'))
    assert any("wide" in sentence for sentence in script.look(tab, narrow, 390))


#: Figures of a printed page that reach beyond their places, have letters outside of the paper, or are not light.
NOT_ON_PAPER = """
[...document.querySelectorAll(".plot")].filter((place) => {
  const frame = place.getBoundingClientRect(), drawn = place.querySelector(".main-svg").getBoundingClientRect();
  const letters = [...place.querySelectorAll("svg text")].map((text) => text.getBoundingClientRect());
  const inks = [...place.querySelectorAll(".xtick text, .ytick text")].map((text) => text.style.fill);
  return Math.abs(drawn.width - frame.width) > 1 || letters.some((box) => box.width && box.right > innerWidth + 1) ||
    inks.some((ink) => !LIGHT.includes(ink));
}).map((place) => place.dataset.figure)
"""


@pytest.mark.slow
def test_on_paper_every_figure_is_whole_and_light_and_the_page_is_as_before_afterwards(looking, pages):
    script, tab = looking
    for page in pages:
        assert script.look(tab, page, 1400, dark=True) == []
        screen = tab.evaluate("document.querySelector('.main-svg')?.outerHTML.length")
        tab.evaluate("dispatchEvent(new Event('beforeprint'))")
        scheme = {"name": "prefers-color-scheme", "value": "dark"}
        tab.send("Emulation.setEmulatedMedia", media="print", features=[scheme])
        tab.send("Emulation.setDeviceMetricsOverride", width=700, height=900, deviceScaleFactor=1, mobile=False)
        inks = [f"rgb{tuple(bytes.fromhex(light(name)[1:]))}" for name in ("muted", "ink")]
        assert tab.evaluate(NOT_ON_PAPER.replace("LIGHT", str(inks))) == [], page.name
        assert tab.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(245, 246, 248)"
        tab.send("Emulation.setEmulatedMedia", media="", features=[scheme])
        tab.show(1400, script.HEIGHT, dark=True)
        tab.evaluate("dispatchEvent(new Event('afterprint'))")
        tab.wait(f"document.querySelector('.main-svg')?.outerHTML.length == {screen or 'undefined'}")
        assert tab.evaluate(script.FIND) == [], page.name
