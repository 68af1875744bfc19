"""Reads event files back with TensorBoard's own reader."""

from pathlib import Path

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams import metadata


class Events:
    """What TensorBoard shows of one run's folder."""

    def __init__(self, folder):
        assert Path(folder).is_dir(), folder
        self._read = EventAccumulator(str(folder), size_guidance={"scalars": 0, "tensors": 0})
        self._read.Reload()

    @property
    def tags(self):
        return set(self._read.Tags()["scalars"])

    def curve(self, tag):
        """Return (step, value) in the order they are shown."""
        return [(event.step, event.value) for event in self._read.Scalars(tag)]

    def steps(self, tag):
        return [step for step, _ in self.curve(tag)]

    @property
    def hyperparameters(self):
        content = self._read.SummaryMetadata(metadata.SESSION_START_INFO_TAG).plugin_data.content
        info = metadata.parse_session_start_info_plugin_data(content)
        return info.group_name, {name: getattr(v, v.WhichOneof("kind")) for name, v in info.hparams.items()}

    @property
    def status(self):
        content = self._read.SummaryMetadata(metadata.SESSION_END_INFO_TAG).plugin_data.content
        return metadata.parse_session_end_info_plugin_data(content).status
