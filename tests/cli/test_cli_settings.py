"""``tune compare`` over settings and ``tune sweep``: one batch on the same seeds and episodes, resumable, one page."""

import json
import re

import pytest
from cli_shell import VALUES, tune

from tuner.cli.paired_runs import RUNS, paired_specs, read_runs, train_missing
from tuner.cli.settings_commands import plan_settings
from tuner.study.confirm import fingerprint as fingerprints
from tuner.training import batch

SHORT = ("--evaluations", "3", "--eval-episodes", "2", "--executor", "inline")
LITTLE = (*SHORT, "--steps", "300", "--set", "learning_starts=50", "--set", "batch_size=16")


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "plain.yaml").write_text(VALUES)
    (tmp_path / "wide.yaml").write_text(VALUES + "  policy_kwargs: 'dict(net_arch=[128])'\n  gamma: 0.95\n")
    return tmp_path


@pytest.fixture
def batches(monkeypatch):
    """Lists the runs of every batch that is trained."""
    made = []
    begin = batch.RunBatch.__init__

    def noting(self, specs, *rest):
        made.append(list(specs))
        begin(self, specs, *rest)

    monkeypatch.setattr(batch.RunBatch, "__init__", noting)
    return made


def test_all_settings_train_in_one_batch_on_the_same_seeds_and_episodes(folder, batches):
    shell = tune("compare", "plain.yaml", "wide.yaml", "--seeds", "2", *SHORT)
    assert shell.code == 0, shell.err
    (specs,) = batches
    by_setting = [[s for s in specs if s.run_id.trial == i] for i in range(2)]
    plain, wide = ([(s.seed, s.evaluation, s.grid) for s in members] for members in by_setting)
    assert plain == wide
    assert len({s.run_id for s in specs}) == len(specs) == 4
    assert len({seed for seed, *_ in plain}) == len({evaluation.seed for _, evaluation, _ in plain}) == 2
    assert {s.backend for s in specs} == {"native"}
    where = folder / "reports" / "compare-dqn-CartPole-v1-plain-wide"
    found = json.loads((where / "comparison.json").read_text())
    assert [s["label"] for s in found["settings"]] == ["plain", "wide"]
    assert found["fields"] == ["gamma", "net_arch"]
    assert found["settings"][0]["seeds"] == found["settings"][1]["seeds"]
    assert found["words"][0] in shell.out
    assert "| plain | 0.99 | 64x64 |" in (where / "comparison.md").read_text()
    assert (
        '<h1>DQN on <span class="whole">CartPole-v1:</span> 2 settings</h1>' in (where / "comparison.html").read_text()
    )


def test_more_seeds_and_more_values_train_only_what_is_missing(folder, batches):
    sweep = ("sweep", "--env", "CartPole-v1", *LITTLE, "-o", "out")
    assert tune(*sweep, "--vary", "gamma=0.9,0.99", "--seeds", "1").code == 0
    assert tune(*sweep, "--vary", "gamma=0.9,0.99", "--seeds", "2").code == 0
    assert tune(*sweep, "--vary", "gamma=0.9,0.99,0.5", "--seeds", "2").code == 0
    assert tune(*sweep, "--vary", "gamma=0.9,0.99,0.5", "--seeds", "2").code == 0
    trained = [[(s.hyperparameters.gamma, s.run_id.replicate) for s in specs] for specs in batches]
    assert trained == [[(0.9, 0), (0.99, 0)], [(0.9, 1), (0.99, 1)], [(0.5, 0), (0.5, 1)]]
    resumed = json.loads((folder / "out" / "sweep.json").read_text())
    assert tune(*sweep[:-1], "fresh", "--vary", "gamma=0.9,0.99,0.5", "--seeds", "2").code == 0
    fresh = json.loads((folder / "fresh" / "sweep.json").read_text())
    for key in ("scores", "q_values", "curves"):
        assert [s[key] for s in resumed["settings"]] == [s[key] for s in fresh["settings"]]


def test_a_sweep_shows_what_one_field_does_around_a_file(folder):
    shell = tune("sweep", "--config", "wide.yaml", "--vary", "learning_rate=1e-4,1e-2", "--seeds", "2", *SHORT)
    assert shell.code == 0, shell.err
    where = folder / "reports" / "sweep-dqn-CartPole-v1-learning_rate"
    found = json.loads((where / "sweep.json").read_text())
    assert found["vary"] == {"learning_rate": [1e-4, 1e-2]}
    assert [s["label"] for s in found["settings"]] == ["learning_rate 0.0001", "learning_rate 0.01"]
    common = found["run"]["hyperparameters"]
    assert (common["gamma"], common["net_arch"], "learning_rate" in common) == (0.95, [128], False)
    assert all(s["q_values"]["step"] for s in found["settings"])
    page = (where / "sweep.html").read_text()
    assert "what learning_rate does</h1>" in page
    assert re.findall('class="plot" data-figure="([^"]+)"', page) == ["scores", "curves", "q_values", "cost-0"]


def test_other_backend_and_two_fields(folder):
    shell = tune(
        "compare", "plain.yaml", "--vary", "gamma=0.9,0.99", "--vary", "batch_size=8,16", "--backend", "sb3",
        "--seeds", "1", *SHORT,
    )  # fmt: skip
    assert shell.code == 0, shell.err
    found = json.loads((folder / "reports/compare-dqn-sb3-CartPole-v1-gamma-batch_size/comparison.json").read_text())
    assert found["run"]["backend"] == "sb3"
    assert [s["outcomes"] for s in found["settings"]] == [["completed"]] * 4


def test_files_of_one_name_are_called_by_their_paths(folder):
    (folder / "other").mkdir()
    (folder / "other" / "plain.yaml").write_text(VALUES.replace("0.001", "0.01"))
    _, every, _ = plan_settings({"executor": "inline"}, ["plain.yaml", "other/plain.yaml"], [])
    assert list(every) == ["plain.yaml", "other/plain.yaml"]
    assert [h.learning_rate for h in every.values()] == [0.001, 0.01]


def stored_runs(folder):
    """Train one seed of two settings; returns what trains them again, the runs and the stored rows."""
    asked = {"executor": "inline", "evaluations": 3, "eval_episodes": 2}
    plan, every, _ = plan_settings(asked, ["plain.yaml", "wide.yaml"], [])
    specs = paired_specs(plan, list(every.values()), 1)

    def train():
        return train_missing("compare", plan, specs, folder)

    return train, train(), [json.loads(line) for line in (folder / RUNS).read_text().splitlines()]


def store(folder, rows):
    (folder / RUNS).write_text("".join(json.dumps(row) + "\n" for row in rows))


def test_stored_runs_without_metrics_count(folder):
    train, trained, rows = stored_runs(folder)
    for row in rows:
        assert len(row.pop("metrics")) == 3
    store(folder, rows)
    again = train()
    assert len(read_runs(folder / RUNS)) == 2
    for (old,), (new,) in zip(trained, again, strict=True):
        assert [(p.step, p.returns) for p in old.curve] == [(p.step, p.returns) for p in new.curve]
        assert "q_value" in old.curve[-1].metrics
        assert new.curve[-1].metrics == {}


def test_a_run_of_other_versions_is_trained_again_and_its_line_stays(folder, monkeypatch, capsys):
    train, _, rows = stored_runs(folder)
    del rows[0]["circumstances"]  # of an earlier version
    rows[0]["curve"][-1][1] = [9e9, 9e9]
    store(folder, rows)
    ((one,), _) = train()
    assert one.curve[-1].returns != (9e9, 9e9)
    assert "1 run of other versions, files or another processor; training again" in capsys.readouterr().err
    lines = (folder / RUNS).read_text().splitlines()
    assert len(lines) == 3 and json.loads(lines[0])["curve"][-1][1] == [9e9, 9e9]
    monkeypatch.setattr(fingerprints, "package_versions", lambda *others: {"torch": "0.0"})
    train()
    assert len((folder / RUNS).read_text().splitlines()) == 5
    capsys.readouterr()
    train()
    assert (len((folder / RUNS).read_text().splitlines()), "training again" in capsys.readouterr().err) == (5, False)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (
            ["compare", "plain.yaml", "wide.yaml", "--vary", "gamma=0.9,0.99"],
            "--vary goes around one setting, got 2 files",
        ),
        (["compare", "plain.yaml", "wide.yaml", "--backend", "both"], "--backend both compares the backends"),
        (["compare", "plain.yaml", "--backend", "native"], "plain.yaml alone is trained by both backends"),
        (["compare", "plain.yaml", "wide.yaml", "--backend", "jax"], "--backend must be native, sb3 or both"),
        (["compare", "plain.yaml", "plain.yaml"], "plain.yaml is there twice"),
        (["compare", "plain.yaml", "twin.yaml"], "plain and twin are the same setting. Leave one out"),
        (
            ["compare", "plain.yaml", "longer.yaml"],
            "plain.yaml and longer.yaml differ in steps: 300 and 400. Say --steps N",
        ),
        (["compare", "plain.yaml", "missing.yaml"], "missing.yaml"),
        (["compare", "plain.yaml", "--vary", "gamma=0.9,2"], "--vary gamma must be at least 0 and at most 1, got 2"),
        (
            ["compare", "plain.yaml", "--vary", "gamma=0.9,1", "--set", "gamma=1"],
            "gamma is both in --set and in --vary",
        ),
        (["compare", "plain.yaml", "--vary", "double_q=true,false", "--backend", "sb3"], "double_q"),
        (["sweep", "--env", "CartPole-v1"], "--vary is missing"),
        (["sweep", "--vary", "gamma=0.9,0.99"], "--env is missing"),
        (["sweep", "--env", "CartPole-v1", "--vary", "gama=0.9,0.99"], "Did you mean 'gamma'?"),
        (["sweep", "--env", "CartPole-v1", "--vary", "gamma=0.9,0.99", "--seeds", "0"], "--seeds must be an integer"),
        (["sweep", "--env", "CartPole-v1", "--algo", "q_learning", "--vary", "bins=4,100"], "100^4 table rows"),
    ],
)
def test_bad_input_is_one_line_and_nothing_is_written(folder, arguments, says):
    (folder / "longer.yaml").write_text(VALUES.replace("300", "400"))
    (folder / "twin.yaml").write_text(VALUES)
    before = sorted(p.name for p in folder.iterdir())
    shell = tune(*arguments)
    assert shell.code == 2
    assert says in shell.err
    assert shell.err.count("\n") == 1
    assert sorted(p.name for p in folder.iterdir()) == before
