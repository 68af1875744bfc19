"""A process that is told twice to end, while it waits for something that never answers."""

import contextlib
import os
import signal
import subprocess
import sys
import time

import psutil
import pytest

from tuner.execution import interrupts

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals of other systems end a process themselves")

#: Goes on whatever it hears, as a driver does that cancels a query on a connection that has been cut; with a child.
DEAF = """
import signal, subprocess, sys, time
from tuner.execution import interrupts
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job is started without it
interrupts.AT_ONCE_S = 0.2
if {own}:
    interrupts.own_process(130)
class Search:
    def interrupt(self):
        print("gently", flush=True)
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], stdout=2)
def wait(seconds, word):
    ends, heard = time.monotonic() + seconds, True
    while heard:
        heard = False
        try:
            print(word, flush=True)
            while time.monotonic() < ends:
                time.sleep(0.01)
        except KeyboardInterrupt:
            heard, word = True, "heard"
with interrupts.interruptible(Search()):
    wait({seconds}, child.pid)
if {own}:
    wait(60, "out")
print("done", flush=True)
child.kill()
"""


@contextlib.contextmanager
def started(own: bool, seconds: float):
    """Start such a process; yield it and its child, and leave neither."""
    command = [sys.executable, "-c", DEAF.format(own=own, seconds=seconds)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        child = psutil.Process(int(process.stdout.readline()))
        try:
            yield process, child
        finally:
            process.kill()
            with contextlib.suppress(psutil.NoSuchProcess):
                child.kill()


def gone(process: psutil.Process) -> bool:
    """Return whether a process that has been killed is gone, or waits for nothing but its parent, before long."""
    ends = time.monotonic() + 10
    with contextlib.suppress(psutil.NoSuchProcess):
        while process.status() != psutil.STATUS_ZOMBIE:
            if time.monotonic() > ends:
                return False
            time.sleep(0.01)
    return True


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_command_that_is_told_twice_ends_whatever_it_waits_for(number):
    with started(True, 60) as (process, child):
        process.send_signal(number)
        assert process.stdout.readline() == "gently\n"
        process.send_signal(number)
        assert process.stdout.readline() == "heard\n"
        said = process.communicate(timeout=30)[1]
        assert process.returncode == 130
        assert said == "tune: interrupted\n"
        assert gone(child)


def test_the_second_may_come_after_the_search():
    with started(True, 0.5) as (process, _):
        process.send_signal(signal.SIGINT)
        assert [process.stdout.readline() for _ in range(2)] == ["gently\n", "out\n"]
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)
        assert process.returncode == 130


def test_a_program_that_calls_the_package_is_left_alone():
    with started(False, 1.5) as (process, _):
        process.send_signal(signal.SIGINT)
        assert process.stdout.readline() == "gently\n"
        process.send_signal(signal.SIGINT)
        assert process.communicate(timeout=30)[0] == "heard\ndone\n"
        assert process.returncode == 0


def test_a_handler_of_the_program_that_called_stays(monkeypatch):
    monkeypatch.setattr(interrupts, "INTERRUPTS", interrupts.Interrupts())
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        interrupts.own_process(130)
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_IGN
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(5)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
