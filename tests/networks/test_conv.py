import gymnasium
import numpy as np
import pytest
import torch
from stable_baselines3.dqn.policies import CnnPolicy

from tuner.hyperparameters import DQNHyperparameters, field_infos
from tuner.networks.conv import DATA_EFFICIENT, LARGE, NATURE, SMALL, ConvLayout, Torso
from tuner.networks.forward_torch import features, outputs
from tuner.networks.mlp import MLPLayout
from tuner.training.sb3.inputs import SmallCNN


def layout(image=(4, 84, 84), scale=255, net_arch=(), n_actions=6, cnn="nature"):
    torso = Torso.for_image(image, scale, cnn)
    return ConvLayout(torso, MLPLayout((torso.features, *net_arch, n_actions)))


def rows(made, lanes):
    return np.stack([made.initial(np.random.default_rng(k)) for k in range(lanes)]).astype(np.float32)


def images(lanes, batch, image, high=256):
    return torch.from_numpy(np.random.default_rng(9).integers(0, high, (lanes, batch, *image), dtype=np.uint8))


@pytest.mark.parametrize("net_arch", [(), (32,)])
def test_nature_network_is_sb3s(net_arch):
    made = layout(net_arch=net_arch)
    space = gymnasium.spaces.Box(0, 255, (4, 84, 84), np.uint8)
    policy = CnnPolicy(space, gymnasium.spaces.Discrete(6), lambda _: 1e-4, net_arch=list(net_arch))
    (row,) = rows(made, 1)
    policy.q_net.load_state_dict({k: torch.from_numpy(v) for k, v in made.to_state_dict(row).items()})
    x = images(1, 5, (4, 84, 84))
    with torch.no_grad():
        expected = policy.q_net(x[0]).numpy()
        got = outputs(made, made.views(torch.from_numpy(row[None])), x)[0].numpy()
    np.testing.assert_allclose(got, expected, atol=1e-6)


def test_data_efficient_network_is_that_of_its_paper():
    made = layout(cnn="data_efficient")
    (row,) = rows(made, 1)
    named = {name: torch.from_numpy(weight) for name, weight in made.to_state_dict(row).items()}
    twin = torch.nn.Sequential(
        torch.nn.Conv2d(4, 32, 5, 5), torch.nn.ReLU(), torch.nn.Conv2d(32, 64, 5, 5), torch.nn.ReLU(),
        torch.nn.Flatten(), torch.nn.Linear(576, 256), torch.nn.ReLU(), torch.nn.Linear(256, 6),
    )  # fmt: skip
    twin.load_state_dict(dict(zip(twin.state_dict(), named.values(), strict=True)))
    x = images(1, 5, (4, 84, 84))
    with torch.no_grad():
        got = outputs(made, made.views(torch.from_numpy(row[None])), x)[0]
        np.testing.assert_allclose(got.numpy(), twin(x[0] / 255).numpy(), atol=1e-6)


def test_small_network_is_that_of_the_sb3_adapter():
    made = layout((7, 10, 10), 1, n_actions=3)
    extractor = SmallCNN(gymnasium.spaces.Box(0, 1, (7, 10, 10), np.uint8))
    (row,) = rows(made, 1)
    prefix = "features_extractor."
    named = {k.removeprefix(prefix): torch.from_numpy(v) for k, v in made.to_state_dict(row).items() if prefix in k}
    extractor.load_state_dict(named)
    x = images(1, 5, (7, 10, 10), 2)
    with torch.no_grad():
        got = features(made.torso, made.torso.views(torch.from_numpy(row[None])), x)[0]
        np.testing.assert_allclose(got.numpy(), extractor(x[0].float()).numpy(), atol=1e-6)


@pytest.mark.parametrize("cnn", ["nature", "data_efficient"])
@pytest.mark.parametrize(("image", "net_arch"), [((4, 84, 84), ()), ((3, 40, 57), (8,)), ((4, 10, 10), (16, 8))])
def test_state_dict_goes_there_and_back(image, net_arch, cnn):
    made = layout(image, 255, net_arch, cnn=cnn)
    (row,) = rows(made, 1)
    assert row.size == made.n_parameters
    np.testing.assert_array_equal(made.from_state_dict(made.to_state_dict(row)), row)


def test_wrong_or_missing_weights_are_named():
    made = layout((4, 10, 10), 1)
    named = made.to_state_dict(rows(made, 1)[0])
    with pytest.raises(ValueError, match=r"features_extractor.cnn.0.weight must have shape \(16, 4, 3, 3\)"):
        made.from_state_dict({**named, "features_extractor.cnn.0.weight": np.zeros((1, 2))})
    del named["features_extractor.linear.0.bias"]
    with pytest.raises(ValueError, match=r"linear\.0\.bias"):
        made.from_state_dict(named)


def test_fresh_weights_follow_torchs_rule():
    made = layout()
    (row,) = rows(made, 1)
    for (weight, bias), fan_in in zip(made.torso.views(row[None]), (256, 512, 576, 3136), strict=True):
        for part in (weight, bias):
            assert np.abs(part).max() <= 1 / np.sqrt(fan_in)
        assert np.abs(weight).max() > 0.99 / np.sqrt(fan_in)


@pytest.mark.parametrize(
    ("image", "cnn"), [((4, 84, 84), "nature"), ((4, 84, 84), "data_efficient"), ((6, 10, 10), "nature")]
)
def test_a_lanes_features_are_bit_equal_alone_and_among_others(image, cnn):
    made = layout(image, cnn=cnn)
    flat, x = torch.from_numpy(rows(made, 3)), images(3, 4, image)
    together = features(made.torso, made.torso.views(flat), x)
    for lane in range(3):
        only = slice(lane, lane + 1)
        assert torch.equal(features(made.torso, made.torso.views(flat[only]), x[only])[0], together[lane])


def test_grouped_convolutions_agree_with_lane_by_lane(monkeypatch):
    from tuner.networks import forward_torch

    made = layout()
    flat, x = torch.from_numpy(rows(made, 3)), images(3, 2, (4, 84, 84))
    views = made.torso.views(flat)
    expected = features(made.torso, views, x)
    monkeypatch.setattr(forward_torch, "_by_lane", lambda images: False)
    np.testing.assert_allclose(features(made.torso, views, x).numpy(), expected.numpy(), atol=1e-6)


def test_the_torso_follows_the_images_size():
    assert Torso.for_image((1, 36, 50), 1).convolutions == NATURE[0]
    assert Torso.for_image((1, 35, 50), 1).convolutions == SMALL[0]
    assert Torso.for_image((4, 84, 84), 255).seen == (7, 7, 64)


def test_cnn_chooses_for_large_images_only():
    assert field_infos(DQNHyperparameters)["cnn"].choices == tuple(LARGE)
    assert Torso.for_image((1, 36, 36), 1, "data_efficient").convolutions == DATA_EFFICIENT[0]
    assert Torso.for_image((1, 35, 36), 1, "data_efficient").convolutions == SMALL[0]
    assert Torso.for_image((4, 84, 84), 255, "data_efficient").seen == (3, 3, 64)
