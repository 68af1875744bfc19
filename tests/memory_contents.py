"""What a lane of a memory holds, in the order in which it came."""

import numpy as np


def places(memory, lane):
    """Return the places ``[size]`` of what a lane holds, the oldest first."""
    size, capacity = int(memory.sizes[lane]), int(memory.capacities[lane])
    oldest = int(memory.positions[lane]) if size == capacity else 0
    return (oldest + np.arange(size)) % capacity


def contents(ring, lane):
    """Return what a lane of a ring holds, the oldest first (copies)."""
    return ring.unpack(ring.region(lane)[places(ring, lane)])
