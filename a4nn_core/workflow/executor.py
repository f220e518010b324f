"""The interface of an executor: what the search loop needs from whatever runs segments."""

from __future__ import annotations

import queue
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

from a4nn_core.training.segment import Segment, SegmentResult
from a4nn_core.workflow.pool import WorkerPool


class Executor(Protocol):
    """Trains segments. The search loop keeps the queue: it submits a segment only while fewer than ``slots``
    are in training, and gets exactly one result for each."""

    @property
    def slots(self) -> int:
        """Number of segments it trains at the same time."""

    @property
    def is_local(self) -> bool:
        """Whether segments train on this machine."""

    def submit(self, segment: Segment) -> None:
        """Start training a segment; returns at once.

        Raises:
            BadInput: it cannot be trained where it was sent; the run ends, and can be resumed later.
        """

    def completed(self, timeout: float) -> list[SegmentResult]:
        """The results that arrived since the last call, in order of arrival.

        Args:
            timeout: seconds to wait for the first result.

        Raises:
            BadInput: as ``submit``.
        """

    def close(self) -> None:
        """End workers and threads. Segments in training lose the epoch they are in. A second call does
        nothing."""


class LocalExecutor:
    """Warm worker processes on this machine: the embedded default, no server needed.

    Args:
        slots: number of segments trained at the same time.
        threads: CPU threads per segment.
        warm: whether to start the workers at once; see ``WorkerPool.warm``.
    """

    def __init__(self, slots: int, threads: int, warm: bool = False) -> None:
        self.slots = slots
        self.is_local = True
        self._pool = WorkerPool(slots, threads)
        if warm:
            self._pool.warm()
        self._threads = ThreadPoolExecutor(slots, thread_name_prefix="slot")
        self._results: queue.Queue[SegmentResult | BaseException] = queue.Queue()

    def submit(self, segment: Segment) -> None:
        self._threads.submit(self._run, segment)

    def _run(self, segment: Segment) -> None:
        try:
            self._results.put(self._pool.run(segment))
        except BaseException as error:
            # an exception in a thread must reach the loop, which would otherwise wait for ever
            self._results.put(error)

    def completed(self, timeout: float) -> list[SegmentResult]:
        return drain(self._results, timeout)

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._pool.close()


def drain(results: queue.Queue[SegmentResult | BaseException], timeout: float) -> list[SegmentResult]:
    """All results in a queue, waiting up to ``timeout`` seconds for the first. An exception in the queue, put
    there by a thread, is raised."""
    found: list[SegmentResult] = []
    wait: Callable[[], SegmentResult | BaseException] = lambda: results.get(timeout=timeout)  # noqa: E731
    while True:
        try:
            result = wait()
        except queue.Empty:
            return found
        if isinstance(result, BaseException):
            raise result
        found.append(result)
        wait = results.get_nowait
