"""A named pipe that nobody writes into is refused wherever a file is read; what a shell opens itself is read."""

import os

import pytest

from tuner import plain_yaml
from tuner.agents.offline_data import OfflineData
from tuner.cli.paired_runs import read_runs
from tuner.envs.nearby import who_registers
from tuner.errors import InputError
from tuner.named_pipes import refuse_named_pipe
from tuner.plan.imported import read_report
from tuner.space.catalog import list_spaces
from tuner.training.run_checkpoint import read_arrays
from tuner.training.saved.model_files import load_model
from tuner.training.sb3.read_zip import read_zip

READERS = {
    "values.yaml": plain_yaml.load,
    "report.json": read_report,
    "runs.jsonl": read_runs,
    "model.zip": read_zip,
    "model.json": lambda path: load_model(path.parent),
    "data.npz": OfflineData.load,
}


@pytest.mark.parametrize("name", READERS)
def test_a_named_pipe_is_refused_where_a_file_is_asked_for(name, tmp_path):
    os.mkfifo(tmp_path / name)
    with pytest.raises(InputError, match="it is a named pipe"):
        READERS[name](tmp_path / name)


def test_a_checkpoint_that_is_a_named_pipe_cannot_be_read(tmp_path):
    os.mkfifo(tmp_path / "checkpoint.npz")
    with pytest.raises(OSError, match="named pipe"):
        read_arrays(tmp_path / "checkpoint.npz")


def test_what_is_looked_through_is_looked_through_without_its_named_pipes(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "search_spaces" / "dqn").mkdir(parents=True)
    os.mkfifo(tmp_path / "search_spaces" / "dqn" / "pipe.yaml")
    os.mkfifo(tmp_path / "environments.py")
    assert "pipe" not in [listing.name for listing in list_spaces("dqn")]
    assert who_registers("Mine-v0", tmp_path) == ""


@pytest.mark.skipif(not os.path.isdir("/dev/fd"), reason="the system does not name what is open")
def test_a_pipe_that_the_shell_has_opened_is_read():
    reader, writer = os.pipe()
    try:
        os.write(writer, b"gamma: 0.9")
        os.close(writer)
        assert plain_yaml.load(f"/dev/fd/{reader}") == {"gamma": 0.9}
    finally:
        os.close(reader)


def test_files_links_to_them_folders_and_devices_are_no_named_pipes(tmp_path):
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to("file")
    for path in (tmp_path / "file", tmp_path / "link", tmp_path, os.devnull):
        refuse_named_pipe(path)
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "to pipe").symlink_to("pipe")
    with pytest.raises(OSError, match="named pipe"):
        refuse_named_pipe(tmp_path / "to pipe")
