"""Saved models: what comes back is what went in, and hostile files are one line of error and nothing more."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import itertools
import json
import os
import zipfile

import numpy as np
import pytest
from training.desk import Desk, make_spec

from tuner.contract.outcome import EvalPoint
from tuner.contract.spec import EvaluationSpec, RunId, RunSpec
from tuner.envs.spec import EnvSpec
from tuner.errors import InputError
from tuner.hyperparameters import DQNHyperparameters
from tuner.training.evaluation import Evaluator
from tuner.training.saved import model_files as checkpoint
from tuner.training.saved.model_files import load_model, save_model
from tuner.training.stack.trainer import NativeTrainer

SPEC = RunSpec(
    RunId(0), EnvSpec("CartPole-v1", (("sutton_barto_reward", True),)), "native",
    DQNHyperparameters(net_arch=(8, 6), learning_rate=3e-4), 11, (100, 200), EvaluationSpec(2, 5, 500),
)  # fmt: skip
POINTS = (EvalPoint(RunId(0), 100, (9.0, 10.0), (9, 10)), EvalPoint(RunId(0), 200, (50.5, 20.0), (50, 20)))


def network(sizes=(4, 8, 6, 2), seed=0):
    rng = np.random.default_rng(seed)
    named = {}
    for i, (fan_in, fan_out) in enumerate(itertools.pairwise(sizes)):
        named[f"q_net.{2 * i}.weight"] = rng.normal(size=(fan_out, fan_in)).astype(np.float32)
        named[f"q_net.{2 * i}.bias"] = rng.normal(size=fan_out).astype(np.float32)
    return named


@pytest.fixture
def folder(tmp_path):
    save_model(tmp_path / "model", SPEC, network(), POINTS)
    return tmp_path / "model"


def rewrite(folder, change):
    """Change model.json as a careful attacker would: the rest stays right."""
    model = json.loads((folder / "model.json").read_text())
    change(model)
    model["sha256"] = checkpoint._checksum(model)
    (folder / "model.json").write_text(json.dumps(model))


def replace_weights(folder, raw: bytes):
    (folder / "weights.npz").write_bytes(raw)
    rewrite(folder, lambda model: model.update(weights_sha256=hashlib.sha256(raw).hexdigest()))


def npz(**arrays) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


def test_a_saved_model_comes_back_whole(folder):
    model = load_model(folder)
    assert model.spec == SPEC
    assert model.evaluations == POINTS
    assert {"numpy", "torch", "gymnasium"} <= set(model.versions)


@pytest.mark.parametrize("net_arch", [(), (5,), (8, 6), (3, 4, 5)])
def test_the_policy_acts_as_stable_baselines3s_network_with_these_weights(tmp_path, net_arch):
    import torch

    sizes = (4, *net_arch, 3)
    named = network(sizes, seed=len(net_arch))
    spec = dataclasses.replace(SPEC, hyperparameters=DQNHyperparameters(net_arch=net_arch))
    save_model(tmp_path, spec, named)
    layers = []
    for fan_in, fan_out in itertools.pairwise(sizes):
        layers += [torch.nn.Linear(fan_in, fan_out), torch.nn.ReLU()]
    reference = torch.nn.Sequential(*layers[:-1])
    reference.load_state_dict({name.removeprefix("q_net."): torch.tensor(value) for name, value in named.items()})
    inputs = np.random.default_rng(1).normal(size=(5, 7, 4)).astype(np.float32)
    expected = reference(torch.tensor(inputs)).detach().numpy()
    policy = load_model(tmp_path).policy
    np.testing.assert_allclose(policy.q_values(inputs), expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(policy.act(inputs), expected.argmax(-1))
    assert (policy.input_size, policy.n_actions) == (4, 3)


def test_a_normalised_policy_is_saved_with_its_statistics_and_acts_as_the_lane_did(tmp_path):
    spec = make_spec(0, steps=400, evaluations=2, normalize_observations=True)
    desk = Desk([spec])
    runner = NativeTrainer(1, observer=desk)
    runner.train(desk)
    weights = desk.weights[spec.run_id]
    save_model(tmp_path, spec, weights)
    policy = load_model(tmp_path).policy
    inputs = np.random.default_rng(0).normal(size=(50, 4)).astype(np.float32)
    shown = np.clip((inputs - weights["obs_rms.mean"]) / np.sqrt(weights["obs_rms.var"] + 1e-8), -10, 10)
    plain = {name: value for name, value in weights.items() if name.startswith("q_net")}
    save_model(tmp_path / "plain", dataclasses.replace(spec, hyperparameters=make_spec(0).hyperparameters), plain)
    expected = load_model(tmp_path / "plain").policy.q_values(shown)
    np.testing.assert_array_equal(policy.q_values(inputs), expected)
    assert not np.array_equal(expected, load_model(tmp_path / "plain").policy.q_values(inputs))
    evaluator = Evaluator(spec.env, spec.evaluation)
    (found,) = evaluator.evaluate([spec.evaluation_seed_at(spec.n_timesteps)], policy.act)
    evaluator.close()
    last = desk.points[spec.run_id][-1]
    assert found == (last.returns, last.lengths), "the last evaluation, played again from the file"


VARIANTS = [
    {"layer_norm": True},
    {"layer_norm": True, "dueling": True, "munchausen": True, "net_arch": (7,)},
    {"quantiles": 6, "dueling": True},
    {"noisy": True, "layer_norm": True},
]


def last_weights(spec):
    desk = Desk([spec])
    NativeTrainer(1, observer=desk).train(desk)
    return desk.weights[spec.run_id], desk.points[spec.run_id][-1]


@pytest.mark.parametrize("variant", VARIANTS, ids=str)
def test_a_variant_plays_from_its_file_as_it_was_evaluated(variant, tmp_path):
    spec = make_spec(0, steps=400, evaluations=2, weight_averaging=0.2, **variant)
    weights, last = last_weights(spec)
    save_model(tmp_path, spec, weights)
    evaluator = Evaluator(spec.env, spec.evaluation)
    seed = spec.evaluation_seed_at(spec.n_timesteps)
    (found,) = evaluator.evaluate([seed], load_model(tmp_path).policy.act)
    evaluator.close()
    assert found == (last.returns, last.lengths)


@pytest.mark.parametrize(
    ("name", "array"), [("q_net.1.weight", None), ("q_net.1.bias", np.zeros(15, np.float32)), ("q_net.4.bias", "nan")]
)
def test_a_network_whose_normalisation_does_not_fit_is_refused(name, array, tmp_path):
    spec = make_spec(0, steps=60, evaluations=1, layer_norm=True)
    weights = dict(last_weights(spec)[0])
    if array is None:
        del weights[name]
    else:
        weights[name] = np.full(16, np.nan, np.float32) if isinstance(array, str) else array
    save_model(tmp_path, spec, weights)
    with pytest.raises(InputError, match=r"weights.npz does not hold a network"):
        load_model(tmp_path)


def test_other_files_in_the_folder_stay_and_no_temporary_ones_remain(folder):
    (folder / "training.html").write_text("plot")
    save_model(folder, SPEC, network(seed=9))
    assert sorted(os.listdir(folder)) == ["model.json", "training.html", "weights.npz"]
    np.testing.assert_array_equal(load_model(folder).policy.layers[0][0].T, network(seed=9)["q_net.0.weight"])


def test_a_crash_between_the_two_files_is_not_taken_for_a_model(folder, monkeypatch):
    replace, done = checkpoint.replace_file, []

    def crash_at_the_second(path, content):
        if done:
            raise KeyboardInterrupt
        done.append(path)
        replace(path, content)

    monkeypatch.setattr(checkpoint, "replace_file", crash_at_the_second)
    with pytest.raises(KeyboardInterrupt):
        save_model(folder, SPEC, network(seed=9))
    with pytest.raises(InputError, match="checksum"):
        load_model(folder)


def test_a_failed_write_leaves_the_old_file(folder, monkeypatch):
    before = (folder / "weights.npz").read_bytes()

    def full_disk(handle):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full_disk)
    with pytest.raises(InputError, match="No space left on device"):
        save_model(folder, SPEC, network(seed=9))
    assert (folder / "weights.npz").read_bytes() == before
    assert sorted(os.listdir(folder)) == ["model.json", "weights.npz"]
    load_model(folder)


class Evil:
    """Pickled, it makes a folder when loaded."""

    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return (os.mkdir, (str(self.marker),))


def test_a_pickled_array_is_refused_and_not_executed(folder, tmp_path):
    marker = tmp_path / "executed"
    payload = np.empty(1, dtype=object)
    payload[0] = Evil(marker)
    buffer = io.BytesIO()
    np.savez(buffer, **{**network(), "q_net.0.weight": payload})
    replace_weights(folder, buffer.getvalue())
    with pytest.raises(InputError, match=r"weights.npz does not hold a network: .*allow_pickle"):
        load_model(folder)
    assert not marker.exists()
    # The same bytes do execute where pickle is allowed: the test would see it.
    np.load(io.BytesIO(buffer.getvalue()), allow_pickle=True)["q_net.0.weight"]
    assert marker.exists()


def bomb() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("q_net.0.weight.npy", b"\0" * 10_000)
    # The central directory claims a size beyond the limit.
    return buffer.getvalue().replace((10_000).to_bytes(4, "little"), (2**31).to_bytes(4, "little"))


def huge_header() -> bytes:
    buffer = io.BytesIO()
    np.lib.format.write_array_header_1_0(buffer, {"descr": "<f4", "fortran_order": False, "shape": (10**9, 10**9)})
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("q_net.0.weight.npy", buffer.getvalue())
    return out.getvalue()


NETWORK = network()
BAD_WEIGHTS = {
    "empty": b"",
    "not a zip": b"\x80\x04K\x01.",
    "cut short": npz(**NETWORK)[:-300],
    "zip bomb": bomb(),
    "huge header": huge_header(),
    "missing layer": npz(**{k: v for k, v in NETWORK.items() if "4" not in k}),
    "one array too many": npz(**NETWORK, extra=np.zeros(3, np.float32)),
    "wrong type": npz(**{**NETWORK, "q_net.0.bias": np.array(["a"] * 8)}),
    "wrong shape": npz(**{**NETWORK, "q_net.2.weight": np.zeros((6, 9), np.float32)}),
    "other widths": npz(**network((4, 8, 7, 2))),
    "not finite": npz(**{**NETWORK, "q_net.2.bias": np.full(6, np.nan, np.float32)}),
}


@pytest.mark.parametrize("kind", BAD_WEIGHTS)
def test_weights_that_are_no_network_are_one_line_of_error(folder, kind):
    replace_weights(folder, BAD_WEIGHTS[kind])
    with pytest.raises(InputError, match=r"weights.npz does not hold a network") as caught:
        load_model(folder)
    assert "\n" not in str(caught.value)


BAD_MODELS = {
    "schema": lambda m: m.update(schema=2),
    "no env": lambda m: m.pop("env"),
    "env text": lambda m: m.update(env="CartPole-v1"),
    "algorithm": lambda m: m.update(algorithm="ppo"),
    "backend": lambda m: m.update(backend="os.system"),
    "unknown hyperparameter": lambda m: m["hyperparameters"].update(learning_rat=1),
    "hyperparameter out of range": lambda m: m["hyperparameters"].update(gamma=2),
    "no grid": lambda m: m.update(grid=[]),
    "evaluations": lambda m: m.update(evaluations=[{"step": "x"}]),
    "nothing": lambda m: m.clear(),
}


@pytest.mark.parametrize("kind", BAD_MODELS)
def test_a_model_file_that_breaks_a_rule_is_one_line_of_error(folder, kind):
    rewrite(folder, BAD_MODELS[kind])
    with pytest.raises(InputError, match=r"model.json does not describe a model: ") as caught:
        load_model(folder)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", [b"", b"{", b"[1, 2]", b"\xff\xfe", b"[" * 100_000, b"null"])
def test_a_model_file_that_is_not_json_is_one_line_of_error(folder, text):
    (folder / "model.json").write_bytes(text)
    with pytest.raises(InputError, match=r"model.json does not describe a model: ") as caught:
        load_model(folder)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["model.json", "weights.npz"])
def test_a_missing_file_is_named_with_what_a_folder_holds(folder, name):
    (folder / name).unlink()
    with pytest.raises(InputError, match=f"{name} cannot be read: No such file"):
        load_model(folder)


def test_altered_weights_are_noticed(folder):
    (folder / "weights.npz").write_bytes(npz(**network(seed=4)))
    with pytest.raises(InputError, match="damaged or belongs to another model"):
        load_model(folder)


def test_an_altered_story_is_noticed_and_one_of_version_0_1_0_has_no_checksum(folder):
    path = folder / "model.json"
    text = path.read_text()
    path.write_text(text.replace('"seed": 11', '"seed": 19'))
    with pytest.raises(InputError, match=r"model.json does not describe a model: it is damaged or was edited"):
        load_model(folder)
    path.write_text(text.replace('"sha256"', '"sha356"'))  # one bit
    with pytest.raises(InputError, match=r"model.json does not describe a model: it is damaged or was edited"):
        load_model(folder)
    old = json.loads(text)
    del old["sha256"], old["picture_scale"]
    path.write_text(json.dumps(old))
    assert load_model(folder).spec.seed == SPEC.seed


def test_a_model_keeps_what_pictures_are_divided_by_and_one_of_0_1_0_has_the_old_rule(tmp_path):
    old = dataclasses.replace(SPEC, rules=dataclasses.replace(SPEC.rules, picture_scale=1))
    for spec, version in ((SPEC, 2), (old, 1)):
        save_model(tmp_path, spec, network())
        assert load_model(tmp_path).spec.rules.picture_scale == version
    model = json.loads((tmp_path / "model.json").read_text())
    del model["picture_scale"], model["sha256"]  # version 0.1.0 wrote neither
    (tmp_path / "model.json").write_text(json.dumps(model))
    assert load_model(tmp_path).spec.rules.picture_scale == 1
