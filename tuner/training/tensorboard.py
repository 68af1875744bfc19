"""Event files that TensorBoard reads: one folder for each run, its tags those of Stable-Baselines3's own logs.

Written record by record in the calling thread, so that a full disk is known where it happens, and with no file left
open. The format is that of the package tensorboard, whose messages and writer are used.
"""

from __future__ import annotations

import contextlib
import os
import socket
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tuner.durable import check_writable
from tuner.optional import require

#: What :attr:`~tuner.contract.outcome.EvalPoint.metrics` are called; Stable-Baselines3 has no name for the Q-value.
TAGS = {
    "train_return": "rollout/ep_rew_mean",
    "epsilon": "rollout/exploration_rate",
    "loss": "train/loss",
    "q_value": "train/q_value",
}
EVALUATION, LENGTH, SCORE = "eval/mean_reward", "eval/mean_ep_length", "score"

#: Files that tune has written, and no other program.
FILES = "events.out.tfevents.*.tune"

#: Bytes at a file's end within which a run that has ended says so.
_TAIL = 512


def check_events(folder: Path, asked: Path) -> None:
    """Find out before any work that event files can be written.

    Args:
        folder: Of a study or a training; need not be there yet.
        asked: What ``--tensorboard`` names.

    Raises:
        MissingExtraError: The package is not installed.
        InputError: The folder cannot be made or written.
    """
    require("tensorboard", purpose="--tensorboard", extra="tensorboard")
    check_writable(folder, f"--tensorboard {asked}")


class EventFolder:
    """One run's event files.

    Args:
        folder: The run's own; made with the first record. Event files of other programs in it stay.
        begun: Environment step that it goes on from, keeping what is there up to it; 0: it begins anew, and files that
            tune has written there before are removed.

    Raises:
        OSError: A file cannot be removed.
    """

    def __init__(self, folder: Path, begun: int = 0) -> None:
        self._folder = folder
        if not begun:
            for old in folder.glob(FILES):
                old.unlink()
        self._path = folder / f"events.out.tfevents.{time.time_ns()}.{socket.gethostname()}.{os.getpid()}.tune"
        self._begun = begun

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Write values by tag at an environment step.

        Raises:
            OSError: They cannot be written.
        """
        from tensorboard.compat.proto.summary_pb2 import Summary

        found = [Summary.Value(tag=tag, simple_value=value) for tag, value in values.items()]
        self._write({"step": step, "summary": Summary(value=found)})

    def begin(self, hyperparameters: Mapping[str, Any], group: str) -> None:
        """Write a run's hyperparameters for the tab HPARAMS; runs of one group share a row, at their mean.

        Raises:
            OSError: They cannot be written.
        """
        from tensorboard.plugins.hparams.metadata import SESSION_START_INFO_TAG
        from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData, SessionStartInfo

        info = SessionStartInfo(group_name=group, start_time_secs=time.time())
        for name, value in hyperparameters.items():
            if isinstance(value, bool):
                info.hparams[name].bool_value = value
            elif isinstance(value, int | float):
                info.hparams[name].number_value = value
            elif value is not None:
                info.hparams[name].string_value = str(list(value) if isinstance(value, tuple) else value)
        self._plugin(SESSION_START_INFO_TAG, HParamsPluginData(session_start_info=info))

    def end(self, step: int, score: float | None, *, good: bool) -> None:
        """Write what became of a run.

        Args:
            step: Its last.
            score: Of its trial, or None.
            good: Whether it ended as it should: complete, or stopped by the pruner.

        Raises:
            OSError: It cannot be written.
        """
        from tensorboard.plugins.hparams.api_pb2 import STATUS_FAILURE, STATUS_SUCCESS
        from tensorboard.plugins.hparams.metadata import SESSION_END_INFO_TAG
        from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData, SessionEndInfo

        if score is not None:
            self.scalars(step, {SCORE: score})
        info = SessionEndInfo(status=STATUS_SUCCESS if good else STATUS_FAILURE, end_time_secs=time.time())
        self._plugin(SESSION_END_INFO_TAG, HParamsPluginData(session_end_info=info))

    def _plugin(self, tag: str, data: Any) -> None:
        from tensorboard.compat.proto.summary_pb2 import Summary
        from tensorboard.plugins.hparams.metadata import NULL_TENSOR, create_summary_metadata

        value = Summary.Value(tag=tag, metadata=create_summary_metadata(data), tensor=NULL_TENSOR)
        self._write({"summary": Summary(value=[value])})

    def _write(self, event: Mapping[str, Any]) -> None:
        from tensorboard.compat.proto.event_pb2 import Event, SessionLog
        from tensorboard.summary.writer.record_writer import RecordWriter

        events = [event]
        if not self._path.exists():
            self._folder.mkdir(parents=True, exist_ok=True)
            # A reader drops what it has seen from this step on: points of an attempt that was cut come once.
            start = {"step": self._begun + 1, "session_log": SessionLog(status=SessionLog.START)}
            events = [{"file_version": "brain.Event:2"}, start, event]
        with self._path.open("ab") as file:
            writer = RecordWriter(file)
            for each in events:
                writer.write(Event(wall_time=time.time(), **each).SerializeToString())


def has_ended(folder: Path) -> bool:
    """Whether the run of a folder has been written to its end."""
    for path in folder.glob(FILES):
        with contextlib.suppress(OSError):
            if b"session_end_info" in path.read_bytes()[-_TAIL:]:
                return True
    return False


class GiveUpOnce:
    """Calls what writes event files until the disk refuses: that is said once, and what is trained goes on.

    Args:
        folder: For the message.
        say: Says a line.
    """

    def __init__(self, folder: Path, say: Callable[[str], None]) -> None:
        self._folder, self._say = folder, say
        self._refused = False

    def __call__(self, write: Callable[[], None]) -> None:
        """Write, unless that has failed before."""
        if self._refused:
            return
        try:
            write()
        except OSError as error:
            self._refused = True
            why = error.strerror or str(error)
            self._say(f"--tensorboard {self._folder}: {why}. No more is written there; the training goes on.")
