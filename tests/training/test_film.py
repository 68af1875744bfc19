"""Films of trained agents: they show the evaluated episode, and browsers' and chats' formats read back whole."""

import dataclasses
import json
import re
import subprocess
import sys

import gymnasium
import imageio_ffmpeg
import numpy as np
import pytest
from desk import Desk, make_spec
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from tuner.envs.spec import EnvSpec
from tuner.envs.video import Film, finished
from tuner.errors import InputError, MissingExtraError
from tuner.training.saved.agent import load_agent
from tuner.training.saved.film import check_can_be_filmed
from tuner.training.saved.model_files import save_model
from tuner.training.saved.play import median_place, record_agent
from tuner.training.stack.trainer import NativeTrainer


def saved(folder, env="CartPole-v1", pixels=False, **changes):
    run = make_spec(0, env, steps=60, evaluations=1, buffer_size=100, learning_starts=20, **changes)
    run = dataclasses.replace(
        run,
        env=dataclasses.replace(run.env, pixels=pixels),
        evaluation=dataclasses.replace(run.evaluation, max_steps=25),
    )
    desk = Desk([run])
    NativeTrainer(1, observer=desk).train(desk)
    save_model(folder, run, desk.weights[run.run_id])
    return folder


def facts_of(path):
    """Return what ffmpeg says of a film, and its number of frames."""
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-i", str(path), "-f", "null", "-"]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stderr
    return said, int(re.findall(r"frame=\s*(\d+)", said)[-1])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("env", "changes", "fps"),
    [
        ("CartPole-v1", {}, 50),
        ("ALE/Pong-v5", {"net_arch": ()}, 15),
        pytest.param("CartPole-v1", {"pixels": True, "net_arch": ()}, 50, marks=pytest.mark.slow),
        pytest.param("MinAtar/Breakout-v1", {"net_arch": ()}, 30, marks=pytest.mark.slow),
        pytest.param("FlappyBird-v0", {}, 30, marks=pytest.mark.slow),
        pytest.param("LunarLander-v3", {}, 50, marks=pytest.mark.slow),
        pytest.param("FrozenLake-v1", {}, 5, marks=pytest.mark.slow),
    ],
)
def test_the_film_shows_the_evaluated_episode(tmp_path, env, changes, fps):
    folder = saved(tmp_path, env, **changes)
    returns, lengths = load_agent(folder).evaluate(1, 7)
    film = record_agent(load_agent(folder), 1, 7, folder)
    assert (film.returns, film.lengths, film.fps) == (returns, lengths, fps)
    assert json.loads((folder / "video.json").read_text())["returns"] == list(returns)
    said, frames = facts_of(folder / "video.mp4")
    assert frames == lengths[0] + 1  # the first frame, and one after each step
    assert "Video: h264" in said and "yuv420p" in said and f" {fps} fps" in said
    with Image.open(folder / "video.gif") as gif:
        assert gif.info["loop"] == 0 and gif.n_frames >= 1
    assert sorted(p.name for p in folder.iterdir()) == [
        "model.json", "video.gif", "video.json", "video.mp4", "weights.npz",
    ]  # fmt: skip


def test_episodes_follow_each_other_and_the_folder_can_be_chosen(tmp_path):
    folder = saved(tmp_path / "model")
    film = record_agent(load_agent(folder), 2, 7, tmp_path / "new" / "films")
    assert len(film.returns) == 2
    _, frames = facts_of(tmp_path / "new" / "films" / "video.mp4")
    assert frames == sum(film.lengths) + 2
    assert not (folder / "video.mp4").exists()


@given(st.lists(st.sampled_from([0.0, 1.0, 2.5]), min_size=1, max_size=15))
def test_the_median_episode_has_as_many_below_as_above(returns):
    place = median_place(returns)
    median = returns[place]
    assert sum(r < median for r in returns) <= len(returns) / 2 >= sum(r > median for r in returns)
    assert median not in returns[:place]


def test_small_and_odd_frames_become_large_and_even():
    frame = np.zeros((10, 11, 3))
    frame[:, :5] = 1.0  # floating point, as MinAtar draws
    film = finished(frame, "step 0")
    height, width = film.shape[:2]
    assert height % 2 == width % 2 == 0 and height >= 240 and film.dtype == np.uint8
    assert (film[:240, :120] == 255).all() and (film[:240, 120:] == 0).all()
    assert film[240:].max() > 200  # the line of text


def test_a_long_gif_is_thinned_out_and_keeps_its_pace(tmp_path):
    with Film(tmp_path / "a.mp4", tmp_path / "a.gif", 50) as film:
        for i in range(604):
            film.add(np.full((360, 180, 3), i % 256, np.uint8))
    assert facts_of(tmp_path / "a.mp4")[1] == 604
    with Image.open(tmp_path / "a.gif") as gif:
        assert gif.size == (120, 240)
        assert gif.n_frames == 151  # every fourth
        assert gif.info["duration"] == 80


@pytest.mark.parametrize("late", [False, True], ids=["while playing", "in ffmpeg"])
def test_a_failed_film_leaves_the_old_one(tmp_path, late):
    paths = tmp_path / "a.mp4", tmp_path / "a.gif"
    with Film(*paths, 30) as film:
        film.add(np.zeros((240, 240, 3), np.uint8))
    before = [path.read_bytes() for path in paths]
    with pytest.raises(OSError if late else RuntimeError), Film(*paths, 30) as film:
        film.add(np.ones((241 if late else 240, 240, 3), np.uint8))  # this pixel format has even sides
        if not late:
            raise RuntimeError("the environment broke")
    assert [path.read_bytes() for path in paths] == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.gif", "a.mp4"]


def test_a_full_disk_is_what_is_said_of_ffmpegs_many_lines(tmp_path):
    with Film(tmp_path / "a.mp4", tmp_path / "a.gif", 30) as film:
        film._errors.write(b"av_interleaved_write_frame(): No space left on device\nNothing was written.\n")
        assert str(film._failure()) == "ffmpeg: av_interleaved_write_frame(): No space left on device"


def test_an_environment_that_draws_nothing_is_refused_before_any_work():
    class Blind(gymnasium.Env):
        observation_space = gymnasium.spaces.Discrete(2)
        action_space = gymnasium.spaces.Discrete(2)

        def __init__(self, render_mode=None):
            pass

        def reset(self, seed=None, options=None):
            return 0, {}

    gymnasium.register("test/Blind-v0", Blind)
    try:
        with pytest.raises(InputError, match=r"test/Blind-v0 cannot be filmed: it has no render\(\)\. Give it one"):
            check_can_be_filmed(EnvSpec("test/Blind-v0"))
    finally:
        del gymnasium.registry["test/Blind-v0"]


def test_what_draws_an_environment_is_asked_for_by_the_extra_that_brings_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "pygame", None)
    with pytest.raises(MissingExtraError, match=r"A film of CartPole-v1 needs .*'pygame'.*tune-dqn\[video\]"):
        check_can_be_filmed(EnvSpec("CartPole-v1"))


def test_an_environment_whose_constructor_takes_no_render_mode_is_told_so():
    class Plain(gymnasium.Env):
        observation_space, action_space = gymnasium.spaces.Discrete(2), gymnasium.spaces.Discrete(2)

        def __init__(self):
            pass

    gymnasium.register("test/Plain-v0", Plain)
    try:
        with pytest.raises(InputError, match="test/Plain-v0 cannot be filmed: its constructor takes no render_mode"):
            check_can_be_filmed(EnvSpec("test/Plain-v0"))
    finally:
        del gymnasium.registry["test/Plain-v0"]


def test_missing_extra_is_named(tmp_path, monkeypatch):
    folder = saved(tmp_path)
    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'tune-dqn\[video\]'"):
        record_agent(load_agent(folder), 1, 0, folder)
