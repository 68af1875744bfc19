"""The live view fits its terminal, and the plain one does not talk too much."""

import dataclasses
import io
import re
import subprocess
import sys

import pytest
from rich.console import Console

from tuner.cli.console import console
from tuner.cli.progress import LiveProgress, PlainProgress, live_view, plain_line, progress_view, time_left
from tuner.study.search.progress import BestTrial, NoProgress, RunningTrial, Snapshot

PARAMS = {"learning_rate": 0.00123, "buffer_size": 50_000, "target_update_interval": 1510, "exploration_fraction": 0.3}


def snapshot(done=4, running=3, elapsed=10.0, best=True):
    trials = tuple(RunningTrial(10 + i, 500 * i, 2000, None if i == 0 else 20.0 * i, PARAMS) for i in range(running))
    return Snapshot(
        name="a-study",
        trials=8,
        counts={"completed": done - 1, "pruned": 1},
        resumed=0,
        running=trials,
        best=BestTrial(2, 123.4, PARAMS) if best else None,
        steps=12_000,
        elapsed_s=elapsed,
        eta_s=65.0,
    )


def drawn(view, width):
    out = io.StringIO()
    Console(file=out, width=width, force_terminal=False).print(view)
    return out.getvalue().splitlines()


@pytest.mark.parametrize("width", [40, 80, 200])
@pytest.mark.parametrize("running", [0, 1, 40])
def test_the_live_view_fits_its_terminal(width, running):
    lines = drawn(live_view(snapshot(running=running), width, 5), width)
    assert max(map(len, lines)) <= width
    assert len(lines) <= 5 + 9


def test_the_live_view_says_what_matters():
    text = "\n".join(drawn(live_view(snapshot(), 120, 5), 120))
    for words in ("a-study", "4/8 trials", "3 completed", "1 pruned", "best 123.4 (trial 2)", "learning_rate"):
        assert words in text
    for words in ("1,200 steps/s", "about 1m05s left", "1,000/2,000", "40.0"):
        assert words in text


def test_what_was_drawn_on_a_scale_is_shown_as_its_hyperparameter():
    params = {"one_minus_gamma": 0.02, "batch_size_pow": 7}
    view = live_view(
        dataclasses.replace(
            snapshot(), best=BestTrial(2, 123.4, params), running=(RunningTrial(3, 500, 2000, 20.0, params),)
        ),
        120,
        5,
    )
    text = "\n".join(drawn(view, 120))
    assert "gamma 0.98  batch_size 128" in text and "one_minus" not in text and "_pow" not in text
    assert text.splitlines()[-1].split()[-2:] == ["0.98", "128"]


@pytest.mark.parametrize(
    ("within", "words"),
    [
        (None, "about 1m40s left"),
        ((71, 129), "about 1m40s left"),
        ((69, 110), "1m09s to 1m50s left"),
        ((90, 131), "1m30s to 2m11s left"),
        ((30.2, 30.4), "about 30s left"),  # the whole ends then whatever happens
    ],
)
def test_a_time_left_that_may_be_off_by_more_than_thirty_percent_is_a_range(within, words):
    assert time_left(100.0, within) == words


def test_trials_beyond_the_terminal_are_counted():
    text = "\n".join(drawn(live_view(snapshot(running=9), 120, 4), 120))
    assert "and 5 more in training" in text


def test_names_that_look_like_markup_are_shown_as_they_are():
    odd = RunningTrial(1, 0, 10, None, {"[red]x": "[/]"})
    view = live_view(Snapshot("[bold]s", 1, {}, 0, (odd,), None, 0, 0.0), 120, 5)
    text = "\n".join(drawn(view, 120))
    assert "[bold]s" in text
    assert "[red]x" in text


def test_the_plain_view_waits_between_lines():
    now, said = [0.0], []
    plain = PlainProgress(said.append, clock=lambda: now[0], every_s=10.0)
    plain.start(snapshot(done=1))
    for second in range(1, 31):
        now[0] = float(second)
        plain.update(snapshot(done=1 + second // 2))
    plain.finish(snapshot(done=16))
    assert len(said) == 1 + 3  # the start, and seconds 10, 20 and 30, the last of which says what the end would


def test_the_plain_view_gives_a_sign_of_life_when_nothing_finishes():
    now, said = [0.0], []
    plain = PlainProgress(said.append, clock=lambda: now[0])
    plain.start(snapshot())
    for second in range(130):
        now[0] = float(second)
        plain.update(snapshot())
    assert len(said) == 1 + 2


def test_the_plain_line_is_one_line():
    assert plain_line(snapshot(elapsed=70)) == (
        "4/8 trials (3 completed, 1 pruned), best 123.4 (trial 2), 171 steps/s, 1m10s, about 1m05s left"
    )


def test_an_algorithm_that_counts_iterations_says_so():
    assert " 171 iterations/s, " in plain_line(dataclasses.replace(snapshot(elapsed=70), clock="iterations"))


def test_quiet_shows_nothing():
    assert isinstance(progress_view(quiet=True), NoProgress)


@pytest.mark.parametrize("wanted", [True, False])
def test_no_color_is_heeded(wanted, monkeypatch):
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.delenv("NO_COLOR", raising=False)
    if not wanted:
        monkeypatch.setenv("NO_COLOR", "1")
    on = console(stderr=True)
    on.file = out = io.StringIO()
    on.print(live_view(snapshot(), 100, 5))
    colours = re.findall(r"\x1b\[[0-9;]*3[0-9][0-9;]*m", out.getvalue())
    assert bool(colours) == wanted and "4/8 trials" in out.getvalue()


def test_a_warning_is_seen_even_when_quiet_and_once():
    """By the handler that logging itself has where a program sets up none."""
    code = "from tuner.cli.progress import progress_view\nfrom tuner.study.search.progress import warn\n"
    code += "view = progress_view(quiet={quiet})\nview.note('a note')\nwarn(view, 'lost')"
    for quiet, said in ((True, "lost\n"), (False, "a note\nlost\n")):
        command = [sys.executable, "-c", code.format(quiet=quiet)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        assert (done.stdout, done.stderr) == ("", said)


def test_the_live_view_leaves_its_end_on_the_screen():
    out = io.StringIO()
    live = LiveProgress(Console(file=out, width=100, force_terminal=True, color_system=None))
    live.note("one thing to know")
    live.start(snapshot(done=1, running=1))
    live.update(snapshot(done=2, running=1))
    live.finish(snapshot(done=8, running=0))
    text = out.getvalue()
    assert "one thing to know" in text
    assert "8/8 trials" in text.rpartition("1/8 trials")[2]
