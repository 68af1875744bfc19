"""The library that ships: every file is what its evidence says, and RL Zoo sets it up."""

import argparse
import hashlib
import json
import runpy
import shlex
from pathlib import Path

import pytest
import yaml

from tuner.cli.app import build_parser
from tuner.cli.run_command import recipe_of
from tuner.core.statistics import iqm_interval
from tuner.envs.families import bring
from tuner.envs.registration import quiet
from tuner.errors import MissingExtraError
from tuner.hyperparameters import from_mapping
from tuner.library.catalog import EVIDENCE, library_entries, library_file, library_folder
from tuner.library.files import ZOO, evidence_json
from tuner.library.made import FEWEST_SEEDS
from tuner.library.names import changes_of, entry_file, entry_name
from tuner.library.words import body_yaml, entry_yaml, zoo_yaml
from tuner.study.confirm.contestants import setting_key
from tuner.zoo.read import read_config

ROOT = Path(__file__).parents[2]
ENTRIES = library_entries()
LISTED = runpy.run_path(str(ROOT / "benchmarks" / "library.py"))["searches"]()
OF_ZOO = [e for e in ENTRIES if e.algorithm == "dqn" and body_yaml(e)[1]]


def test_the_library_holds_something_and_nothing_beside_it():
    files = {library_file(entry) for entry in ENTRIES} | {library_folder() / name for name in (EVIDENCE, ZOO)}
    assert ENTRIES and set(library_folder().rglob("*.*")) == files


def test_the_evidence_reads_back_as_it_is_written():
    text = (library_folder() / EVIDENCE).read_text(encoding="utf-8")
    assert evidence_json(ENTRIES) == text


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda e: e.name)
def test_a_file_is_what_its_evidence_says_number_by_number(entry):
    content = library_file(entry).read_bytes()
    assert hashlib.sha256(content).hexdigest() == entry.sha256
    assert content.decode() == entry_yaml(entry)
    estimate = iqm_interval([run.score for run in entry.own.runs])
    assert entry.verdict == estimate
    config = read_config(library_file(entry))
    assert config.hyperparameters == from_mapping(entry.algorithm, entry.own.hyperparameters).to_mapping()
    assert (config.env, config.n_timesteps, config.env_kwargs) == (entry.env, entry.n_timesteps, dict(entry.env_kwargs))


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda e: e.name)
def test_a_verdict_has_ten_seeds_or_more_and_baselines_on_the_same(entry):
    seeds = [run.seed for run in entry.own.runs]
    assert len(set(seeds)) == len(seeds) >= FEWEST_SEEDS
    assert "defaults" in [b.role for b in entry.baselines] or entry.own.hyperparameters == {}
    for judged in entry.settings:
        assert {run.seed for run in judged.runs} <= set(seeds)
        assert judged.key == setting_key(entry.backend, entry.algorithm, judged.hyperparameters)
        assert all(0 < run.steps <= entry.n_timesteps for run in judged.runs)


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda e: e.name)
def test_the_command_of_an_entry_is_that_of_the_list_and_searches_its_environment(entry):
    assert entry.command in [search.command for search in LISTED]
    recipe = recipe_of(build_parser().parse_args(shlex.split(entry.command)[1:]))
    assert entry_name(recipe.env, recipe.env_arg, changes_of(recipe.to_mapping())) == entry.name
    assert (recipe.algo, recipe.seed, recipe.objective) == (entry.algorithm, entry.seed, entry.objective)


def test_the_list_names_every_entry_once():
    names = [(search.recipe.algo, search.name) for search in LISTED]
    assert len(set(names)) == len(names)


def test_films_are_of_entries_that_the_list_names_and_small_enough_for_a_page():
    made = runpy.run_path(str(ROOT / "benchmarks" / "library.py"))
    names = {Path(entry_file(name)).stem: name for name in made["filmed"]()}
    assert set(names.values()) <= {search.name for search in LISTED if search.recipe.algo == "dqn"}
    films = sorted(made["FILMS"].iterdir())
    assert films and {film.stem for film in films} <= {Path(entry_file(e.name)).stem for e in OF_ZOO} & names.keys()
    for film in films:
        assert film.read_bytes()[:6] == b"GIF89a" and film.stat().st_size < 1_000_000


def test_the_file_for_rl_zoo_holds_every_environment_that_has_no_arguments():
    text = (library_folder() / ZOO).read_text(encoding="utf-8")
    assert text == zoo_yaml(ENTRIES)
    named = {name for name in (yaml.safe_load(text) or {}) if not name.startswith("tune/")}
    assert named == {e.env for e in OF_ZOO if not e.env_kwargs}


@pytest.mark.parametrize("entry", OF_ZOO, ids=lambda e: e.name)
def test_rl_zoo_sets_every_entry_up(entry, tmp_path, monkeypatch):
    from rl_zoo3.exp_manager import ExperimentManager

    from tuner.training.sb3.arguments import constructor_arguments

    try:
        bring(entry.env)
    except MissingExtraError as error:
        pytest.skip(str(error))
    monkeypatch.chdir(tmp_path)
    path = library_folder() / ZOO if not entry.env_kwargs else library_file(entry)
    manager = ExperimentManager(argparse.Namespace(), "dqn", entry.env, str(tmp_path), config=str(path), verbose=0)
    with quiet():  # Box2D's import
        model, _ = manager.setup_experiment()
    try:
        theirs, ours = dict(manager._hyperparams), constructor_arguments(entry.hyperparameters, entry.n_timesteps)
        assert theirs.pop("learning_rate")(1.0) == ours.pop("learning_rate")
        assert theirs == ours and manager.n_timesteps == entry.n_timesteps
    finally:
        model.env.close()


def test_evidence_is_json_that_anybody_reads():
    stored = json.loads((library_folder() / EVIDENCE).read_text(encoding="utf-8"))
    assert [e["sha256"] for e in stored["entries"]] == [e.sha256 for e in ENTRIES]
