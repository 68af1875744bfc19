"""The table loses no finished run, and its design fills the space."""

import hashlib
import json

import design
import measure
import numpy as np
import pytest
import table
from curves import load_design
from decisions import Bandit
from environments import MEMBERS

from tuner.hyperparameters import from_mapping


@pytest.fixture(scope="module")
def space():
    return design.wide_space("extended")


@pytest.fixture(scope="module")
def settings(space):
    return design.draw(space, 64)


def run(setting, seed, returns=(1.0, 2.0), maker="a"):
    return table.Measured(setting, seed, tuple(returns), tuple(0.0 for _ in returns), 1.5, 200, maker)


def test_a_line_cut_short_by_a_kill_costs_that_run_alone(tmp_path):
    path = tmp_path / "env.jsonl"
    for seed in range(3):
        table.append(path, run(0, seed))
    whole = path.read_bytes()
    for cut in range(1, len(whole) // 3):
        path.write_bytes(whole[:-cut])
        table.append(path, run(1, 0))
        assert [(r.setting, r.seed) for r in table.read_lines(path)] in (
            [(0, 0), (0, 1), (1, 0)],
            [(0, 0), (0, 1), (0, 2), (1, 0)],  # only the newline was lost
        )


def test_an_archive_holds_what_the_lines_held(tmp_path):
    runs = [run(0, 0), run(0, 2, (3.0,)), run(2, 1, (), maker="b")]
    path = tmp_path / "env.npz"
    table.write_archive(path, runs, 4, (100, 200))
    assert table.read_archive(path) == runs
    table.write_archive(path, [*table.read_archive(path), run(0, 0, (9.0, 9.0)), run(3, 0)], 4, (100, 200))
    assert table.read_archive(path) == [*runs, run(3, 0)], "the first measurement stays"
    with np.load(path, allow_pickle=False) as file:
        assert np.isnan(file["returns"][0, 2, 1])
        assert np.isnan(file["seconds"][1]).all()


def test_measuring_goes_on_where_it_was_stopped(tmp_path, space, settings, capsys):
    """From lines, from a packed archive, and from both: nothing is measured twice, nothing is left out."""
    folder, runs = tmp_path / "table", tmp_path / "runs"
    folder.mkdir()
    runs.mkdir()
    design.save(settings[:3], space, folder / measure.DESIGN)
    members = [m for m in MEMBERS if m.id in ("lab/Bandit-v0", "lab/DeepSea-v0")]
    short = [m.__class__(**{**m.__dict__, "steps": 100, "episodes": 2}) for m in members]

    measure.work(short, settings[:1], folder, runs, float("inf"))
    first = {m.id: measure.finished(m, folder, runs) for m in short}
    for m in short:
        lines = runs / f"{table.file_name(m.id)}.jsonl"
        table.write_archive(
            folder / f"{table.file_name(m.id)}.npz", table.read_lines(lines)[:2], 3, tuple(range(5, 101, 5))
        )
        lines.write_text("".join(lines.read_text().splitlines(keepends=True)[2:]))
    measure.work(short, settings[:2], folder, runs, float("inf"))
    for m in short:
        found = measure.finished(m, folder, runs)
        assert sorted((r.setting, r.seed) for r in found) == [(s, r) for s in range(2) for r in range(3)]
        assert [len(r.returns) for r in found] == [20] * 6
        again = {(r.setting, r.seed): r.returns for r in found}
        assert all(again[r.setting, r.seed] == pytest.approx(r.returns) for r in first[m.id])

    measure.pack(folder, runs, 3)
    page = (folder / "CONTENTS.md").read_text()
    for m in short:
        archive = (folder / f"{table.file_name(m.id)}.npz").read_bytes()
        assert f"| 2 | 6 | 0.00 | `{hashlib.sha256(archive).hexdigest()}` |" in page
        (runs / f"{table.file_name(m.id)}.jsonl").unlink()
    assert [len(measure.finished(m, folder, runs)) for m in short] == [6, 6], "the archives alone hold everything"


def test_the_settings_with_the_best_single_runs_get_further_seeds(tmp_path, space, settings):
    design.save(settings[:3], space, tmp_path / measure.DESIGN)
    (m,) = (m for m in MEMBERS if m.id == "lab/Bandit-v0")
    short = m.__class__(**{**m.__dict__, "steps": 100, "episodes": 2})
    high = [
        run(1, 0, (0.0,) * 13 + (9.0,) * 7),
        run(0, 0, (1.0,) * 20),
        run(2, 0, (2.0,) * 20),
        run(2, 5, (99.0,) * 20),
    ]
    assert measure.best_runs(short, high, 1) == {1}
    assert measure.best_runs(short, high, 2) == {1, 2}
    measure.work([short], settings[:2], tmp_path, tmp_path, float("inf"), best={short.id: {1}}, further=2)
    found = sorted((r.setting, r.seed) for r in measure.finished(short, tmp_path, tmp_path))
    assert found == [*((0, seed) for seed in range(3)), *((1, seed) for seed in range(5))]
    measure.pack(tmp_path, tmp_path, 3)
    (tmp_path / f"{table.file_name(m.id)}.jsonl").unlink()
    assert sorted((r.setting, r.seed) for r in measure.finished(short, tmp_path, tmp_path)) == found


def test_a_run_is_the_same_however_it_was_stopped(settings):
    """A seed measured alone, after a kill, has the curve it has beside the others."""
    (m,) = (m for m in MEMBERS if m.id == "lab/Catch-v0")
    short = m.__class__(**{**m.__dict__, "steps": 400, "episodes": 2})
    together = measure.measure(measure.specs(short, 5, settings[5], [0, 1, 2], 1000), "")
    alone = measure.measure(measure.specs(short, 5, settings[5], [1], 1000), "")
    assert alone[0].returns == together[1].returns


def test_a_run_that_fails_is_said_and_stops_no_other(tmp_path, space, settings, capsys, monkeypatch):
    (m,) = (m for m in MEMBERS if m.id == "lab/Bandit-v0")
    short = m.__class__(**{**m.__dict__, "steps": 100, "episodes": 2})
    design.save(settings[:2], space, tmp_path / measure.DESIGN)
    monkeypatch.setattr(Bandit, "step", lambda self, action: 1 / 0)
    measure.work([short], settings[:2], tmp_path, tmp_path, float("inf"))
    assert "ZeroDivisionError" in capsys.readouterr().out
    assert measure.finished(short, tmp_path, tmp_path) == []
    monkeypatch.undo()
    measure.work([short], settings[:2], tmp_path, tmp_path, float("inf"))
    assert len(measure.finished(short, tmp_path, tmp_path)) == 6


def test_environments_take_turns_and_first_members_come_first():
    work = list(measure.order(list(MEMBERS), 160))
    families = len({m.family for m in MEMBERS})
    assert len({m.family for m, _ in work[:families]}) == families
    assert {n for _, n in work[:families]} == {0}
    for m in MEMBERS:
        mine = [n for other, n in work if other == m]
        assert mine == list(range(m.settings or 160)), "in the design's order, each once"
    firsts = [m for m, _ in work[: len(work) // 4] if m.family == "cartpole"]
    assert len({m.id for m in firsts}) == 1
    dear = [at for at, (m, _) in enumerate(work) if m.id == "LunarLander-v3"]
    assert max(np.diff(dear)) <= 4 * families, "spread over the work"


def test_a_stored_design_is_read_back_as_it_was(tmp_path, space, settings):
    design.save(settings, space, tmp_path / "design.json")
    assert design.load(tmp_path / "design.json") == settings
    again, placed = load_design(tmp_path / "design.json")
    assert again == space
    assert [s.hyperparameters for s in placed] == [s.hyperparameters for s in settings]
    assert json.loads((tmp_path / "design.json").read_text())["settings"][0]["name"] == "defaults"


def test_the_design_fills_every_dimension_evenly(space, settings):
    points = [s.params for s in settings if s.params]
    for d in space.dimensions:
        if space.search[d.field].when or d.kind != "categorical":
            continue
        counts = [sum(p[d.name] == choice for p in points) for choice in d.choices]
        assert max(counts) - min(counts) <= 2
    rates = np.sort(np.log([p["learning_rate"] for p in points]))
    low, high = next((np.log(d.low), np.log(d.high)) for d in space.dimensions if d.name == "learning_rate")
    gaps = np.diff(rates) / (high - low) * len(points)
    assert gaps.max() < 2.5, "a stratum of a Sobol sequence is never empty"


def test_named_settings_are_what_their_sources_say(settings):
    named = {s.name: s.hyperparameters for s in settings if not s.params}
    assert named["defaults"] == from_mapping("dqn", {})
    assert named["zoo/MountainCar-v0"].gamma == 0.98
    assert named["zoo/CartPole-v1"].net_arch == (256, 256)
    assert named["hand/CartPole-v1"].n_steps == 10
    assert len(named) == 9
    assert len(set(named.values())) == 9
