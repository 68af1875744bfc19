"""Whatever stands in a file, a name or a word of the command line: an error of ours, or the value as it was.

Never another exception, never more than two seconds, never half a gigabyte. `make fuzz` looks for new examples for
minutes; the fast tests try the same few each time.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tuner.cli.console import fail_line
from tuner.cli.values import read_pairs
from tuner.durations import parse_duration
from tuner.errors import InputError
from tuner.hyperparameters import ALGORITHMS, algorithm_class, from_mapping
from tuner.plan.naming import file_name
from tuner.plan.recipe import StudyRecipe
from tuner.plan.recipe import from_mapping as recipe_from_mapping
from tuner.plan.recipe_files import read_recipe
from tuner.space.nearest import nearest_params
from tuner.space.parse import load_space
from tuner.space.prior import load_prior
from tuner.storage_url import mask, scrub
from tuner.study.store.spool import Spool
from tuner.training.saved.model_files import MODEL, WEIGHTS, load_model, save_model
from tuner.zoo.read import read_config

ROOT = Path(__file__).parents[2]
OLD = ROOT / "tests" / "data" / "v0_1_0"

#: Files that are fine as they are, to be changed.
SPACES = [path.read_bytes() for path in sorted((ROOT / "search_spaces").rglob("*.yaml"))]
RECIPES = [path.read_bytes() for path in sorted((ROOT / "studies").glob("*.yaml"))]
ZOO = [
    b"CartPole-v1:\n  n_timesteps: !!float 5e4\n  policy: 'MlpPolicy'\n  learning_rate: !!float 2.3e-3\n"
    b"  policy_kwargs: \"dict(net_arch=[256, 256])\"\n  normalize: \"{'norm_obs': True}\"\n",
    b"schema: tune/1\nalgorithm: dqn\nenv: X-v0\nn_timesteps: 5\nwrapper: [TimeLimit, {a.B: {x: [1]}}]\n"
    b"env_kwargs: {a: 1}\nhyperparameters: {gamma: 0.9, net_arch: [64, 64], loss: mse}\n",
]  # fmt: skip

PRIORS = [
    b"algorithm: dqn\nportfolio: [a, b]\ngood: {a: 0.3, b: 1}\nsettings: {a: {gamma: 0.9, net_arch: [3]}, b: {}}\n"
]

#: What tears a parser: numbers, tags, nesting, characters that steer.
TOKENS = [
    "1" + "0" * 400, "-1", "1e999", ".nan", ".inf", "null", "true", "[" * 60, "{a: ", "&a [*a]", "*a", "<<: ",
    "!!set {}", "!!python/object/apply:os.system [touch RAN]", "2024-13-45", "\\x1b[31m", "\x1b", "\u202e", "''", '"',
    "- ", ": ", "? ", "../../x", "/etc/passwd", "a\\0b", "0x" + "f" * 60, "1:2:3", "=", "%s%n", "{{7*7}}",
    "' or 1=1", "0o17", "1_0", "~",
]  # fmt: skip


@st.composite
def changed(draw, originals):
    """A fine file with some of its bytes, words or lines changed."""
    content = bytearray(draw(st.sampled_from(originals)))
    for _ in range(draw(st.integers(1, 6))):
        at = draw(st.integers(0, len(content)))
        kind = draw(st.sampled_from(["flip", "token", "cut", "repeat"]))
        if kind == "flip" and at < len(content):
            content[at] ^= 1 << draw(st.integers(0, 7))
        elif kind == "token":
            content[at:at] = draw(st.sampled_from(TOKENS)).encode()
        elif kind == "cut":
            del content[at : at + draw(st.integers(1, 40))]
        else:
            content[at:at] = content[at : at + draw(st.integers(1, 200))]
    return bytes(content)


def places(part, before=()):
    """Return where a document's parts stand, as keys and indices from its top."""
    found = [before]
    if isinstance(part, dict | list):
        for key, inside in part.items() if isinstance(part, dict) else enumerate(part):
            found += places(inside, (*before, key))
    return found


@st.composite
def replaced(draw, originals):
    """A fine file with one of its parts another value, of whatever kind."""
    document = yaml.safe_load(draw(st.sampled_from(originals)))
    *way, last = draw(st.sampled_from([place for place in places(document) if place]))
    part = document
    for key in way:
        part = part[key]
    part[last] = draw(VALUES | st.sampled_from([[], [[1]], {}, {"a": [1]}]))
    return json.dumps(document).encode()


TEXT = st.text(max_size=40) | st.sampled_from(TOKENS)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT,
    lambda part: st.lists(part, max_size=3) | st.dictionaries(TEXT, part, max_size=3),
    max_leaves=8,
)

looks = settings(
    max_examples=settings.default.max_examples // 4, deadline=2_000, suppress_health_check=list(HealthCheck)
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """An empty folder to stand in; what is tried leaves nothing there that it did not put there itself."""
    made = tmp_path_factory.mktemp("fuzz")
    before = Path.cwd()
    os.chdir(made)
    yield made
    os.chdir(before)
    assert {path.name for path in made.iterdir()} <= {"x.yaml", "spool", "model"}
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss < 2**21  # KiB; the tests' own libraries take the most


def refuses_in_one_line(function, *arguments):
    """Return what a function returns, or None where it refuses with an error of ours that makes one line."""
    try:
        return function(*arguments)
    except InputError as error:
        line = fail_line(str(error), [])
        assert "\n" not in line and "\x1b" not in line and len(line) < 2_200
        return None


@looks
@given(content=changed(SPACES) | replaced(SPACES))
def test_a_search_space_of_any_bytes(folder, content):
    (folder / "x.yaml").write_bytes(content)
    space = refuses_in_one_line(load_space, folder / "x.yaml")
    if space is not None:
        json.dumps(space.to_mapping(), allow_nan=False)
        cut = space.clip_to_budget()
        cut.resolve(nearest_params(cut, algorithm_class(cut.algorithm)()))


@looks
@given(content=changed(RECIPES) | replaced(RECIPES))
def test_a_recipe_of_any_bytes(folder, content):
    (folder / "x.yaml").write_bytes(content)
    values = refuses_in_one_line(read_recipe, "./x.yaml")
    if values is not None:
        recipe = refuses_in_one_line(recipe_from_mapping(values).validated)
        if recipe is not None:
            refuses_in_one_line(recipe.env_spec)


@looks
@given(content=changed(PRIORS) | replaced(PRIORS))
def test_a_prior_of_any_bytes(folder, content):
    (folder / "x.yaml").write_bytes(content)
    prior = refuses_in_one_line(load_prior, folder / "x.yaml", "dqn")
    if prior is not None and prior.good:
        assert sum(share for _, share in prior.good) == pytest.approx(1)


@looks
@given(content=changed(ZOO) | replaced(ZOO))
def test_settings_of_any_bytes(folder, content):
    (folder / "x.yaml").write_bytes(content)
    refuses_in_one_line(read_config, folder / "x.yaml")
    refuses_in_one_line(read_config, folder / "x.yaml", "CartPole-v1")


@looks
@given(values=st.dictionaries(st.sampled_from([*StudyRecipe().to_mapping(), "nonsense"]), VALUES, max_size=4))
def test_a_recipe_of_any_values(folder, values):
    recipe = refuses_in_one_line(recipe_from_mapping, values)
    if recipe is not None and (recipe := refuses_in_one_line(recipe.validated)) is not None:
        refuses_in_one_line(recipe.env_spec)
        assert recipe.validated() == recipe


@looks
@given(algorithm=st.sampled_from(list(ALGORITHMS)), values=st.data())
def test_hyperparameters_of_any_values(folder, algorithm, values):
    names = [*from_mapping(algorithm, {}).to_mapping(), "nonsense"]
    given = values.draw(st.dictionaries(st.sampled_from(names), VALUES, max_size=4))
    made = refuses_in_one_line(from_mapping, algorithm, given)
    if made is not None:
        assert from_mapping(algorithm, json.loads(json.dumps(made.to_mapping()))) == made


@looks
@given(pairs=st.lists(TEXT | st.builds("{}={}".format, TEXT, TEXT | VALUES.map(str)), max_size=3))
def test_words_of_the_command_line(folder, pairs):
    for flag in ("--set", "--env-arg"):
        refuses_in_one_line(read_pairs, flag, pairs)
    for text in pairs:
        refuses_in_one_line(parse_duration, text, "--timeout")
        assert mask(mask(text)) == mask(text)
        assert scrub(scrub(text, ""), "") == scrub(text, "")
        assert Path("reports", file_name(text)).parent == Path("reports")


@looks
@given(name=st.sampled_from([MODEL, WEIGHTS]), where=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
def test_one_bit_of_a_saved_model_is_noticed(folder, name, where, bit):
    model = folder / "model"
    if not model.exists():
        shutil.copytree(OLD / "models" / "dqn", model)
        old = load_model(model)
        arrays = {}
        for i, (kernel, bias) in enumerate(old.policy.layers):
            arrays |= {f"q_net.{2 * i}.weight": kernel.T, f"q_net.{2 * i}.bias": bias}
        save_model(model, old.spec, arrays, old.evaluations)
    path = model / name
    content = path.read_bytes()
    whole = json.loads((model / MODEL).read_bytes())
    changed = bytearray(content)
    changed[int(where * len(content))] ^= 1 << bit
    try:
        path.write_bytes(changed)
        if refuses_in_one_line(load_model, model) is not None:  # then what it says is what it said: white space
            assert name == MODEL and json.loads(changed) == whole
    finally:
        path.write_bytes(content)


LINES = [path.read_bytes() for path in sorted((OLD / "spool").rglob("*")) if path.is_file() and path.suffix == ".spool"]


@looks
@given(
    content=changed(LINES or [b"{}"])
    | VALUES.map(lambda v: json.dumps(v).encode())
    | st.integers(1, 200_000).map(lambda depth: b"[" * depth)
)
def test_a_spool_of_any_bytes(folder, content):
    place = folder / "spool"
    place.write_bytes(content)
    for number, trial, writes in Spool([place]).read():
        assert isinstance(number, int) and isinstance(trial, int) and writes.end is not None
