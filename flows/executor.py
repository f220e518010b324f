"""The executor that makes every segment a Prefect task run of the flow it is used in."""

from __future__ import annotations

import collections
import queue
from typing import Any

from prefect import Task
from prefect.cache_policies import NO_CACHE
from prefect.states import Completed

from a4nn_core.training.segment import Segment, SegmentResult
from a4nn_core.workflow.executor import drain
from a4nn_core.workflow.pool import WorkerPool


class PrefectExecutor:
    """Segments as task runs, trained by warm worker processes of this machine.

    A task run is submitted when a slot is free, so that what Prefect shows as running is running. Results
    come back by a queue of this process: Prefect watches, the records are the commons'.

    Args:
        slots: task runs at the same time.
        threads: CPU threads of each.
    """

    def __init__(self, slots: int, threads: int) -> None:
        self.slots = slots
        self._pool = WorkerPool(slots, threads)
        self._results: queue.Queue[SegmentResult | BaseException] = queue.Queue()
        self._waiting: collections.deque[Segment] = collections.deque()
        self._running: dict[int, Segment] = {}
        self._task: Task[..., Any] = Task(
            fn=self._train,
            name="segment",
            task_run_name="generation {generation} network {network} segment {segment}",
            # the journal and the commons say what is done already; a cache beside them could only disagree
            cache_policy=NO_CACHE,
            persist_result=False,
        )

    def submit(self, segment: Segment) -> None:
        self._waiting.append(segment)
        self._dispatch()

    def _dispatch(self) -> None:
        while self._waiting and len(self._running) < self.slots:
            segment = self._waiting.popleft()
            self._running[segment.network] = segment
            self._task.with_options(tags=[segment.run_id, f"generation-{segment.generation}"]).submit(
                generation=segment.generation, network=segment.network, segment=segment.number
            )

    def _train(self, generation: int, network: int, segment: int) -> Any:
        del generation, segment  # for people, in Prefect's pages
        try:
            result = self._pool.run(self._running[network])
        except BaseException as error:
            self._results.put(error)
            raise
        self._results.put(result)
        # a network that failed is an outcome of the search, not a task that went wrong
        return Completed(message=f"{result.status}: {result.error}" if result.error else result.status)

    def completed(self, timeout: float) -> list[SegmentResult]:
        results = drain(self._results, timeout)
        for result in results:
            del self._running[result.network]
        self._dispatch()
        return results

    def close(self) -> None:
        self._waiting.clear()
        self._pool.close()
