"""``tune train`` with a Q-table: its page shows the table beside the truth."""

import json
import re

from cli_shell import tune

import tuner


def test_the_page_of_a_table_shows_it_beside_the_truth_and_goes_on_with_it(tmp_path):
    lake = ("--env", "FrozenLake-v1", "--algo", "q_learning", "--evaluations", "3", "--eval-episodes", "2", "--quiet")
    target = tmp_path / "lake"
    assert tune("train", *lake, "--steps", "300", "--set", "gamma=0.9", "-o", str(target)).code == 0
    table = json.loads((target / "training.json").read_text())["table"]
    assert (table["gamma"], table["steps"]) == (0.9, [100, 200, 300])
    assert len(table["values"]) == 3 and len(table["values"][0]) == len(table["truth"]["values"]) == 16
    page = (target / "training.html").read_text()
    assert 'id="value-maps"' in page and 'data-figure="table-1"' in page
    assert tune("train", "--continue", str(target), "--steps", "400", "--quiet").code == 0
    longer = json.loads((target / "training.json").read_text())["table"]
    assert longer["steps"] == [100, 200, 300, 400]
    assert longer["optimal_share"][:3] == table["optimal_share"]


def swept(folder, *vary, env="FrozenLake-v1", steps=300):
    given = ("--algo", "q_learning", "--evaluations", "2", "--eval-episodes", "2", "--quiet", "--executor", "inline")
    shell = tune("sweep", "--env", env, *given, "--steps", str(steps), "--seeds", "2", *vary, "-o", str(folder))
    assert shell.code == 0, shell.err
    return json.loads((folder / "sweep.json").read_text())["settings"], (folder / "sweep.html").read_text()


def test_the_page_of_a_sweep_shows_the_first_seed_s_table_of_each_value(tmp_path):
    settings, page = swept(tmp_path, "--vary", "learning_rate=0.1,0.5")
    assert [s["table"]["steps"] for s in settings] == [[300], [300]]
    models = [tuner.load_agent(folder) for folder in (tmp_path / "tables").iterdir()]
    rates = {agent.hyperparameters.learning_rate: agent for agent in models}
    assert len(models) == 2 and {agent.model.spec.seed for agent in models} == {models[0].model.spec.seed}
    for setting in settings:
        table = rates[setting["values"]["learning_rate"]].policy.table
        assert setting["table"]["values"] == [[float(f"{v:.5g}") for v in table.max(axis=1)]]
    drawn = json.loads(re.search(r'id="maps-data">(.*?)</script>', page, re.S).group(1))
    assert len(drawn["panels"]) == page.count("<figcaption>") == 3  # and the truth
    assert drawn["panels"][2]["values"] == [settings[0]["table"]["truth"]["values"]]
    again, same = swept(tmp_path, "--vary", "learning_rate=0.1,0.5")
    assert again == settings and same.count("<figcaption>") == 3


def test_a_truth_that_depends_on_what_is_varied_is_no_one_s(tmp_path):
    settings, page = swept(tmp_path, "--vary", "gamma=0.9,0.99")
    assert settings[0]["table"]["truth"] != settings[1]["table"]["truth"]
    assert page.count("<figcaption>") == 2


def test_a_sweep_without_a_truth_has_no_maps_and_says_nothing(tmp_path):
    settings, page = swept(tmp_path, "--vary", "bins=3,4", env="CartPole-v1", steps=60)
    assert not any("table" in setting for setting in settings)
    assert "value-maps" not in page.partition("</style>")[2]


def test_a_table_with_bins_has_no_truth(tmp_path):
    poles = ("--env", "CartPole-v1", "--algo", "q_learning", "--steps", "60", "--evaluations", "1", "--quiet")
    assert tune("train", *poles, "--eval-episodes", "1", "-o", str(tmp_path)).code == 0
    assert "table" not in json.loads((tmp_path / "training.json").read_text())
    assert "value-maps" not in (tmp_path / "training.html").read_text().partition("</style>")[2]
