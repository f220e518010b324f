"""A cluster on a virtual clock: an executor whose segments take simulated time and no real time."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable

from a4nn_core.training.segment import Segment, SegmentResult


class VirtualExecutor:
    """Runs segments in simulated time.

    Args:
        slots: number of segments trained at the same time.
        train: returns the simulated seconds that a segment takes, and its result.

    Attributes:
        now: simulated seconds since the start.
        busy_seconds: simulated seconds of training over all slots, up to the last returned result.
    """

    def __init__(self, slots: int, train: Callable[[Segment], tuple[float, SegmentResult]]) -> None:
        self.slots = slots
        self.is_local = True
        self.now = 0.0
        self.busy_seconds = 0.0
        self._train = train
        self._running: list[tuple[float, int, SegmentResult]] = []
        self._order = itertools.count()  # of two that end together, the one that started first

    @property
    def busy_share(self) -> float:
        """Fraction of the slots' time in which they trained, between 0 and 1."""
        return self.busy_seconds / (self.slots * self.now) if self.now else 0.0

    def submit(self, segment: Segment) -> None:
        seconds, result = self._train(segment)
        heapq.heappush(self._running, (self.now + seconds, next(self._order), result))

    def completed(self, timeout: float) -> list[SegmentResult]:
        """The segments that end next; moves the clock to that moment."""
        del timeout
        if not self._running:
            return []
        end, _, result = heapq.heappop(self._running)
        self.busy_seconds += (len(self._running) + 1) * (end - self.now)
        self.now = end
        return [result]

    def close(self) -> None:
        self._running.clear()
