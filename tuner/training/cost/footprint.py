"""How much memory runs hold, from the sizes of their arrays, before any is made."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from gymnasium import spaces

from tuner.agents.dqn.layout import network_layout
from tuner.agents.sampled_dqn import layout_of
from tuner.envs.discretiser import discretiser_for
from tuner.envs.make import EnvFacts
from tuner.hyperparameters import (
    DQNHyperparameters,
    FQIHyperparameters,
    Hyperparameters,
    QLearningHyperparameters,
    SampledDQNHyperparameters,
)
from tuner.replay.frames import SPARE

#: A stack's memory never reserves more transitions than this for a lane.
LARGEST_MEMORY = 10_000_000

#: Files in which Linux keeps a container's limit and use, for both versions of control groups.
_CGROUPS = (
    ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"),
    ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "/sys/fs/cgroup/memory/memory.usage_in_bytes"),
)


@dataclass(frozen=True)
class Footprint:
    """What one run holds once its replay memory is full.

    Attributes:
        transitions: Transitions in its replay memory.
        transition_bytes: Bytes of each.
        network_bytes: Network, target network and what the optimizer keeps: what an update goes through, by which
            settings are ordered (:func:`tuner.plan.cost.work`).
        reserved_transitions: Transitions whose addresses a lane reserves; only those written take memory.
        stretch_bytes: The steps between two training calls, whole, until the replay memory takes them over.
        copies_bytes: The network's average over the run, and its noisy copy that acts.
    """

    transitions: int
    transition_bytes: int
    network_bytes: int
    reserved_transitions: int
    stretch_bytes: int = 0
    copies_bytes: int = 0

    @property
    def replay_bytes(self) -> int:
        """Bytes of the replay memory."""
        return self.transitions * self.transition_bytes

    @property
    def reserved_bytes(self) -> int:
        """Bytes of the addresses reserved."""
        return self.reserved_transitions * self.transition_bytes

    @property
    def total_bytes(self) -> int:
        """Bytes in all."""
        return self.replay_bytes + self.network_bytes + self.copies_bytes + self.stretch_bytes


#: Bytes of a Python list, and of a number in it.
LIST_BYTES, ENTRY_BYTES = 64, 8 + 24


def of_data(hyperparameters: FQIHyperparameters, facts: EnvFacts, n_timesteps: int, backend: str) -> Footprint:
    """Return what a run of an offline learner holds: its data, and a regression's copy of them."""
    row = 2 * 4 * facts.encoder.input_size + 4 * 8
    return Footprint(hyperparameters.n_transitions, 2 * row, 0, 0)


def of_table(hyperparameters: QLearningHyperparameters, facts: EnvFacts, n_timesteps: int, backend: str) -> Footprint:
    """Return what a run with a table holds."""
    found = discretiser_for(facts.observation_space, hyperparameters.bins, hyperparameters.bin_limit)
    space: Any = facts.observation_space
    rows = int(space.n) if found is None else found.rows
    return Footprint(0, 1, rows * (LIST_BYTES + facts.n_actions * ENTRY_BYTES), 0)


def of_dqn(hyperparameters: DQNHyperparameters, facts: EnvFacts, n_timesteps: int, backend: str) -> Footprint:
    """Return what a run of a deep Q-network holds."""
    if backend == "sb3":
        return of_sb3(hyperparameters, facts, n_timesteps)
    encoder = facts.encoder
    transitions = hyperparameters.stored_transitions(n_timesteps)
    row = (2 * math.prod(encoder.storage_shape) + 5) * 4
    stretch = min(hyperparameters.train_freq, n_timesteps) * row  # of images, too, each observation with all its frames
    if encoder.image is not None:
        # Each frame once, a sixteenth more for the first of each episode, a count each; a row of numbers says
        # which are where.
        frames = max(encoder.frames, 1)
        row = math.ceil((encoder.input_size // frames + 4) * (1 + SPARE)) + (2 * frames + 5) * 4
    if hyperparameters.prioritized:
        row += 2 * 8  # a sum tree has about two float64 nodes for each leaf
    # A frame memory is made for the run's own buffer_size, not for any lane's.
    reserved = transitions if encoder.image is not None else min(n_timesteps, LARGEST_MEMORY)
    lane = 5 * 8  # two powers of Adam's betas, learning rate, bound on the norm, tau
    network = 4 * _parameters(hyperparameters, facts)
    copies = network * ((hyperparameters.weight_averaging > 0) + hyperparameters.noisy)
    return Footprint(transitions, row, 4 * network + lane, reserved, stretch, copies)


def of_pairs(hyperparameters: SampledDQNHyperparameters, facts: EnvFacts, n_timesteps: int, backend: str) -> Footprint:
    """Return what a run of a network of state and action holds."""
    observation, action = facts.encoder.input_size, facts.n_actions
    transitions = hyperparameters.stored_transitions(n_timesteps)
    # Online and target network, two moments, a gradient and room to compute in.
    network = 6 * 4 * layout_of(hyperparameters, observation, action).n_parameters
    return Footprint(transitions, (2 * (observation + action) + 5) * 4, network, transitions)


def of_sb3(hyperparameters: Hyperparameters, facts: EnvFacts, n_timesteps: int, backend: str = "sb3") -> Footprint:
    """Return what a run of Stable-Baselines3 holds: two networks, online and target or actor and critic."""
    # Adam's two moments and a gradient beside the two networks; two observations, the action (int64, or float32
    # numbers) and three float32 numbers (reward, done, timeout) for each transition.
    transitions = hyperparameters.stored_transitions(n_timesteps)
    action = 8 if isinstance(facts.action_space, spaces.Discrete) else 4 * facts.n_actions
    row = 2 * _stored_by_sb3(facts) + action + 3 * 4
    return Footprint(transitions, row, 5 * 4 * _parameters(hyperparameters, facts), transitions)


def _parameters(hyperparameters: Hyperparameters, facts: EnvFacts) -> int:
    """Return the numbers of a Q-network, or of one as wide where only Stable-Baselines3 has the algorithm."""
    if not isinstance(hyperparameters, DQNHyperparameters):
        hyperparameters = DQNHyperparameters(net_arch=getattr(hyperparameters, "net_arch", (64, 64)))
    return network_layout(facts.encoder, hyperparameters, facts.n_actions).n_parameters


def available_bytes() -> int:
    """Return the bytes that new processes may take without swapping: the machine's, or the container's where less."""
    limits = [left for files in _CGROUPS if (left := _left(files)) is not None]
    return min([int(psutil.virtual_memory().available), *limits])


def can_reserve(n_bytes: int) -> bool:
    """Return whether the system gives out that many bytes of addresses in one piece; nothing is written to them."""
    try:
        np.empty(n_bytes, np.uint8)
    except (MemoryError, ValueError):
        return False
    return True


def _stored_by_sb3(facts: EnvFacts) -> int:
    """Return the bytes of one observation in Stable-Baselines3's replay memory: a number's or a vector's own type."""
    space, encoder = facts.observation_space, facts.encoder
    if isinstance(space, spaces.Discrete) or (isinstance(space, spaces.Box) and len(space.shape) == 1):
        assert space.dtype is not None
        return math.prod(space.shape or (1,)) * int(np.dtype(space.dtype).itemsize)
    return encoder.input_size * (1 if encoder.image is not None and encoder.scale in (1, 255) else 4)


def _left(files: tuple[str, str]) -> int | None:
    """Return what a container may still take; None without a limit."""
    try:
        limit, used = (Path(name).read_text(encoding="ascii").strip() for name in files)
        return max(int(limit) - int(used), 0) if limit != "max" else None
    except (OSError, ValueError):
        return None
