"""Networks kept on a device: the runs of the reference on the CPU, exactly or within rounding.

torch calls the CPU itself ``cpu:0`` too: under that name it is a device like any other, so what belongs to no GPU is
tested everywhere, bit for bit. The same tests run on CUDA where there is one.
"""

import dataclasses

import numpy as np
import pytest
import torch
from training.desk import MIXED, Desk, make_spec

from tuner.contract.spec import EvaluationSpec, RunId
from tuner.envs.spec import EnvSpec
from tuner.training.run_checkpoint import RunCheckpoints
from tuner.training.stack.trainer import NativeTrainer

NO_CUDA = pytest.mark.skipif(not torch.cuda.is_available(), reason="torch finds no CUDA device")
CUDA = pytest.param("cuda", marks=NO_CUDA)
DEVICES = ["cpu:0", CUDA]
MORE = {"dueling": True, "double_q": True, "prioritized": True}
LATER = {"munchausen": True, "layer_norm": True, "quantiles": 4, "learning_rate_schedule": "cosine"}
IMAGES = {"net_arch": (), "buffer_size": 80, "learning_starts": 40, "train_freq": 4, "gradient_steps": 1}


class DiesError(BaseException):
    """The process is gone."""


def on(device, specs):
    return [dataclasses.replace(spec, device=device) for spec in specs]


def images(trials, **changes):
    specs = [make_spec(trial, "MinAtar/Breakout-v1", **{"steps": 120, **IMAGES, **changes}) for trial in trials]
    return [dataclasses.replace(spec, evaluation=EvaluationSpec(2, 77, 30)) for spec in specs]


def train(specs, lanes, **kwargs):
    desk = Desk(specs)
    NativeTrainer(lanes, observer=desk, **kwargs).train(desk)
    assert {o.kind for o in desk.outcomes.values()} == {"completed"}, desk.outcomes
    return desk


def assert_same(device, reference, there):
    """Bit for bit on a CPU; elsewhere the numbers of the first training call within rounding, before runs part."""
    for run_id, updates in reference.updates.items():
        np.testing.assert_allclose(there.updates[run_id][0], updates[0], rtol=2e-3, atol=1e-5)
        if device == "cuda":
            continue
        assert there.points[run_id] == reference.points[run_id]
        for name, weights in reference.weights[run_id].items():
            np.testing.assert_array_equal(there.weights[run_id][name], weights)


@pytest.mark.slow
@pytest.mark.parametrize("device", DEVICES)
def test_a_stack_of_every_kind_of_run_trains_as_the_reference(device):
    # A mixed target (tau) is computed in double precision on the CPU alone.
    specs = [make_spec(i, steps=260, evaluations=2, **changes | {"tau": 1.0}) for i, changes in enumerate(MIXED)]
    reference = train(specs, 3, numeric_path="torch")
    assert_same(device, reference, train(on(device, specs), 3))


@pytest.mark.slow
@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("optimizer", ["adam", "rmsprop"])
@pytest.mark.parametrize("variant", [{}, MORE, LATER, {"noisy": True}], ids=str)
def test_images_train_as_on_the_cpu(device, optimizer, variant):
    short = {"steps": 80, "learning_starts": 20, "evaluations": 1}
    specs = images(range(3), optimizer=optimizer, max_grad_norm=0.5, **short, **variant)
    assert_same(device, train(specs, 2, numeric_path="torch"), train(on(device, specs), 2))


@pytest.mark.slow
@pytest.mark.parametrize("device", DEVICES)
def test_a_run_on_frames_trains_as_on_the_cpu(device):
    specs = images([0], learning_starts=20)
    specs = [dataclasses.replace(spec, env=EnvSpec("PongNoFrameskip-v4"), grid=(44,)) for spec in specs]
    assert_same(device, train(specs, 1), train(on(device, specs), 1))


@pytest.mark.learning
@pytest.mark.parametrize("device", DEVICES)
def test_a_device_learns_what_is_to_be_known(device):
    changes = {"learning_rate": 5e-3, "exploration_final_eps": 0.5, "gamma": 0.5}
    specs = [make_spec(i, "tune/ProbeIdentity-v0", 2000, kwargs=(("n", 4), ("start", 3)), **changes) for i in range(4)]
    desk = train(on(device, specs), 4)
    assert all(desk.points[spec.run_id][-1].mean_return >= 90 for spec in specs)


@pytest.mark.slow
@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("make", [lambda: [make_spec(0, tau=0.3)], lambda: images([0])], ids=["vectors", "images"])
def test_a_killed_run_goes_on_from_its_file(device, make, tmp_path):
    class DyingDesk(Desk):
        def report(self, points):
            super().report(points)
            if len(self.points[RunId(0)]) == 2:
                raise DiesError
            return frozenset()

    specs = on(device, make())
    whole = train(specs, 1)
    files = RunCheckpoints(tmp_path, every_s=0, cost_factor=0)
    with pytest.raises(DiesError):
        NativeTrainer(1, checkpoints=files).train(DyingDesk(specs))
    assert len(list(tmp_path.iterdir())) == 1
    again = train(specs, 1, checkpoints=files)
    assert again.updates[RunId(0)][0][0] > specs[0].grid[0], "it started over"
    assert again.points[RunId(0)][:1] == whole.points[RunId(0)][:1]
    if device != "cuda":  # where the order of a sum may differ from one call to the next
        assert again.points == whole.points
        assert again.updates[RunId(0)][-1] == whole.updates[RunId(0)][-1]
