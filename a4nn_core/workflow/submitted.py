"""The segments that a search has submitted: in training, or waiting for a free slot of the executor."""

from __future__ import annotations

import collections
from collections.abc import Callable

from a4nn_core.training.segment import Segment, SegmentResult
from a4nn_core.workflow.executor import Executor

POLL_SECONDS = 0.5


class SubmittedSegments:
    """The queue of a search. An executor gets a segment when it has a free slot.

    Args:
        executor: trains the segments.
        may_start: whether a segment may be started now.

    Attributes:
        segments: by number of the network.
    """

    def __init__(self, executor: Executor, may_start: Callable[[], bool]) -> None:
        self.segments: dict[int, Segment] = {}
        self._executor = executor
        self._may_start = may_start
        self._queue: collections.deque[Segment] = collections.deque()

    def submit(self, segment: Segment) -> None:
        """Start a segment when a slot is free."""
        self.segments[segment.network] = segment
        self._queue.append(segment)
        self._start()

    def _start(self) -> None:
        """Give the executor as many segments as it has free slots."""
        while (
            self._queue and len(self.segments) - len(self._queue) < self._executor.slots and self._may_start()
        ):
            self._executor.submit(self._queue.popleft())

    def ended(self, wait: bool = False) -> list[tuple[Segment, SegmentResult]]:
        """The segments that have ended, with their results, after a short while at most.

        Args:
            wait: whether there is something to wait for even if nothing is in training.
        """
        results = self._executor.completed(POLL_SECONDS if self.segments or wait else 0.0)
        found = [(self.segments.pop(result.network), result) for result in results]
        self._start()  # first, so that no slot waits while records are written
        return found

    def withdraw_waiting(self) -> None:
        """Take back what has not been started."""
        for segment in self._queue:
            del self.segments[segment.network]
        self._queue.clear()
