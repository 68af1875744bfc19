"""``tune train`` with a Q-table: its page shows the table beside the truth."""

import json

from cli_shell import tune


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


def test_a_table_with_bins_has_no_truth(tmp_path):
    poles = ("--env", "CartPole-v1", "--algo", "q_learning", "--steps", "60", "--evaluations", "1", "--quiet")
    assert tune("train", *poles, "--eval-episodes", "1", "-o", str(tmp_path)).code == 0
    assert "table" not in json.loads((tmp_path / "training.json").read_text())
    assert "value-maps" not in (tmp_path / "training.html").read_text().partition("</style>")[2]
