"""Drawing progress takes a small part of the time however many trials are in flight."""

from tuner.study.search.progress import DRAWING_SHARE, PacedDrawing


class Clock:
    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


def drawn(cost: float, ticks: int, every: float) -> tuple[int, float]:
    """Return how often a snapshot that takes ``cost`` seconds is drawn, and its share of the time."""
    clock, seen = Clock(), []

    class Listener:
        def update(self, snapshot):
            seen.append(snapshot)

    def look():
        clock.now += cost
        return clock.now

    drawing = PacedDrawing(Listener(), clock)
    for tick in range(ticks):
        clock.now = max(clock.now, every * tick)
        drawing.draw(look)
    return len(seen), cost * len(seen) / clock.now


def test_a_cheap_snapshot_is_drawn_at_every_tick():
    assert drawn(cost=0.001, ticks=100, every=0.1)[0] == 100


def test_a_dear_one_takes_no_more_than_its_share():
    count, share = drawn(cost=0.05, ticks=1000, every=0.1)
    assert 90 < count <= 100
    assert share <= DRAWING_SHARE
