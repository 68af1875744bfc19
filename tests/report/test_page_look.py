"""Pages in a browser, at three widths: nothing is cut off, sticks out or lies over another thing."""

import importlib.util
import sys
from pathlib import Path

import factory
import pytest

from tuner.report.pages.settings import settings_document, write_settings
from tuner.report.pages.study import write_report

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
    document = settings_document(run, settings, runs, vary={"learning_rate": rates}, provenance={})
    return report, write_settings(document, folder, "sweep"), write_settings(document, folder, "comparison")


@pytest.mark.slow
@pytest.mark.parametrize("width", [1400, 1024, 390])
def test_nothing_on_a_page_is_cut_off(looking, pages, width):
    script, tab = looking
    for page in pages:
        assert script.look(tab, page, width) == [], page.name


@pytest.mark.slow
def test_what_is_cut_off_is_found(looking, pages, tmp_path):
    script, tab = looking
    _, sweep, _ = pages
    narrow = tmp_path / "narrow.html"
    narrow.write_text(sweep.read_text(encoding="utf-8").replace("<main>", '<main style="width:2000px">'))
    assert any("wide" in sentence for sentence in script.look(tab, narrow, 390))
