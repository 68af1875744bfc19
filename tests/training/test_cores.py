"""As many workers as there are cores to use: a container's share of the processor's time counts."""

import os

import pytest

from tuner.training.cost import cores


@pytest.mark.parametrize(
    ("files", "found"),
    [
        ({"max": "max 100000\n"}, 64),
        ({"max": "200000 100000\n"}, 2),
        ({"max": "150000 100000\n"}, 2),  # a core and a half
        ({"max": "10000 100000\n"}, 1),
        ({"max": "9000000 100000\n"}, 64),  # more than there are
        ({"quota": "-1\n", "period": "100000\n"}, 64),
        ({"quota": "400000\n", "period": "100000\n"}, 4),
        ({"quota": "400000\n"}, 64),
        ({"max": "0 0\n"}, 64),
        ({"max": "\n"}, 64),
        ({}, 64),
    ],
)
def test_cores_are_no_more_than_a_container_has_the_time_of(files, found, tmp_path, monkeypatch):
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    names = (("max",), ("quota", "period"))
    monkeypatch.setattr(cores, "_QUOTAS", tuple(tuple(str(tmp_path / name) for name in group) for group in names))
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(64)), raising=False)
    assert cores.available_cores() == found
