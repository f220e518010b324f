"""The executor that shows every segment as a task run of the Prefect flow in which it is used."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from typing import ParamSpec, TypeVar

from prefect import State, Task
from prefect.cache_policies import NO_CACHE
from prefect.futures import PrefectFuture, wait
from prefect.logging import get_logger
from prefect.states import Cancelled, Completed

from a4nn_core.errors import A4NNError
from a4nn_core.training.segment import Segment, SegmentResult
from a4nn_core.workflow.executor import LocalExecutor

_SHOW_SECONDS = 60.0


P = ParamSpec("P")
R = TypeVar("R")


def segment_task(train: Callable[P, R], run_name: str) -> Task[P, R]:
    """The task whose runs are the segments.

    Args:
        train: what a task run does.
        run_name: name of the task runs, with parameters in braces.
    """
    return Task(
        fn=train,
        name="segment",
        task_run_name=run_name,
        # the journal and the commons record what is done already; a cache beside them could only disagree
        cache_policy=NO_CACHE,
        persist_result=False,
    )


def tags_of(segment: Segment) -> list[str]:
    """Tags by which to find a segment's task run or flow run in Prefect's pages."""
    return [segment.run_id, f"generation-{segment.generation}"]


class PrefectExecutor:
    """Segments trained by the local executor, each with a task run beside it that ends when it does.

    The task run only watches: an unreachable server can neither prevent a segment from being trained nor end
    it. It has no tags, as before a task run begins Prefect asks the server for the limit of every tag, and
    waits for the answer.

    Args:
        slots: number of segments trained at the same time.
        threads: number of CPU threads per segment.
    """

    def __init__(self, slots: int, threads: int) -> None:
        self._local = LocalExecutor(slots, threads)
        self.slots = slots
        self.is_local = True
        self._running: dict[tuple[int, int], Future[SegmentResult]] = {}
        self._shown: set[PrefectFuture[State[None]]] = set()
        self._task = segment_task(self._watch, "generation {generation} network {network} segment {segment}")

    def submit(self, segment: Segment) -> None:
        self._running[segment.network, segment.number] = Future()
        self._local.submit(segment)
        try:
            shown = self._task.submit(
                generation=segment.generation, network=segment.network, segment=segment.number
            )
            self._shown.add(shown)
            shown.add_done_callback(self._shown.discard)
        except Exception as error:
            get_logger("a4nn").warning("no task run shows network %d: %s", segment.network, error)

    def _watch(self, generation: int, network: int, segment: int) -> State[None]:
        del generation  # only shown in Prefect's pages
        ended = self._running.get((network, segment))
        if ended is None:
            return Completed(message="ended before its task run began")
        try:
            result = ended.result()
        except A4NNError as error:  # an exception would be logged as an error, with a traceback
            return Cancelled(message=str(error))
        # a network that failed is an outcome of the search, not a failed task
        return Completed(message=f"{result.status}: {result.error}" if result.error else result.status)

    def completed(self, timeout: float) -> list[SegmentResult]:
        results = self._local.completed(timeout)
        for result in results:
            self._running.pop((result.network, result.number)).set_result(result)
        return results

    def close(self) -> None:
        self._local.close()
        for left in self._running.values():
            left.set_exception(A4NNError("the run was closed; the network goes on when it is resumed"))
        self._running.clear()
        # Prefect marks a task run as crashed if it has not begun when the flow ends, as on a busy machine;
        # but what is only for show must not delay a search for long.
        wait(list(self._shown), timeout=_SHOW_SECONDS)
