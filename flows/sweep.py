"""The sweeper: ends what a crash left in the state running, and starts the run again under the same id.

If a flow run's process and worker die together, Prefect shows the flow run as running for ever, and also the
task runs of any flow run that died. Here a process counts as alive as long as the kernel says that it holds
its lock in the commons, however busy, slow or cut off it is.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from prefect import flow
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.filters import (
    FlowFilter,
    FlowFilterName,
    FlowRunFilter,
    FlowRunFilterEndTime,
    FlowRunFilterId,
    FlowRunFilterState,
    FlowRunFilterStateType,
    TaskRunFilter,
    TaskRunFilterState,
    TaskRunFilterStateType,
)
from prefect.client.schemas.objects import FlowRun, State, StateType, TaskRun
from prefect.client.schemas.sorting import FlowRunSort
from prefect.logging import get_run_logger
from prefect.states import AwaitingRetry, Cancelled, Crashed

from a4nn_core.commons.layout import check_layout
from a4nn_core.commons.lock import holder
from a4nn_core.errors import BadInput

from .locks import network_lock, run_lock
from .parameters import DEFAULT
from .server import Log, ask_server, pages, run_id_of

PAGE = 200
_ALIVE = [StateType.RUNNING, StateType.PENDING, StateType.CANCELLING]
_ENDED = [StateType.CRASHED, StateType.FAILED, StateType.CANCELLED, StateType.COMPLETED]


@flow(name="a4nn-sweep", validate_parameters=True)
def sweep(
    restart: bool = True,
    restarts: int = 20,
    grace_seconds: float = 60,
    pending_seconds: float = 900,
    days: float = 7,
) -> dict[str, list[str]]:
    """End flow and task runs that a crash left in the state running, and start crashed searches again.

    The commons of the searches must have the same path here as on their machines.

    Args:
        restart: start crashed searches again; they continue under the same run id.
        restarts: a flow run that was started more often than this is not started again.
        grace_seconds: how long a flow run may be running before it must hold its lock.
        pending_seconds: how long it may take a worker to start a process.
        days: searches that crashed longer ago are not started again.

    Returns:
        the names of flow runs that were ended and started again, and of task runs that were ended.
    """
    log = get_run_logger()

    def act(client: SyncPrefectClient) -> dict[str, list[str]]:
        sweeper = Sweep(client, timedelta(seconds=grace_seconds), timedelta(seconds=pending_seconds), log)
        sweeper.end_dead("a4nn-search", search_lock)
        sweeper.end_dead("a4nn-segment", segment_lock)
        if restart:
            sweeper.restart_crashed(restarts, timedelta(days=days))
        sweeper.end_left_task_runs()
        return sweeper.done

    return ask_server(act)


class Sweep:
    """One sweep.

    Args:
        client: client of the server.
        grace: how long a flow run may be running without its lock.
        pending: how long a flow run may be pending.
        log: where to report what was done.

    Attributes:
        done: what was done, as ``sweep`` returns it.
    """

    def __init__(self, client: SyncPrefectClient, grace: timedelta, pending: timedelta, log: Log) -> None:
        self.client = client
        self.grace = grace
        self.pending = pending
        self.log = log
        self.done: dict[str, list[str]] = {"ended": [], "restarted": [], "task_runs": []}

    def end_dead(self, flow_name: str, lock_of: Callable[[FlowRun], Path | None]) -> None:
        """End flow runs that should be alive and whose lock nobody holds."""
        for run in self._flow_runs(flow_name, _ALIVE):
            lock = lock_of(run)
            if run.state is None or lock is None:
                continue
            patience = self.pending if run.state.type == StateType.PENDING else self.grace
            if datetime.now(UTC) - run.state.timestamp <= patience or holder(lock) is not None:
                continue
            if run.state.type == StateType.CANCELLING:
                ended: State[None] = Cancelled(message="its process is gone")
            else:
                ended = Crashed(message=f"its process is gone: nobody holds {lock}")
            # forced: the process is dead whatever Prefect's rules say, and its slots are freed all the same
            if self._replace(run, ended, force=True):
                self.done["ended"].append(run.name)
                self.log.warning("%s: ended, as nobody holds %s", run.name, lock)

    def restart_crashed(self, restarts: int, age: timedelta) -> None:
        """Start crashed searches again, in the same flow run."""
        for run in self._flow_runs("a4nn-search", [StateType.CRASHED]):
            if run.state is None or datetime.now(UTC) - run.state.timestamp > age:
                continue
            trouble = not_to_restart(run, restarts)
            if trouble:
                self.log.warning("%s crashed and is not started again: %s", run.name, trouble)
                continue
            self._end_task_runs(FlowRunFilter(id=FlowRunFilterId(any_=[run.id])))
            if self._replace(run, AwaitingRetry(message="started again by a4nn-sweep")):
                self.done["restarted"].append(run.name)
                self.log.warning("%s: started again", run.name)

    def end_left_task_runs(self) -> None:
        """End task runs that are shown as alive although their flow run has ended; not at once, as the server
        learns of the end of a task run with a delay."""
        before = datetime.now(UTC) - max(self.grace, timedelta(seconds=300))
        self._end_task_runs(
            FlowRunFilter(
                state=FlowRunFilterState(type=FlowRunFilterStateType(any_=_ENDED)),
                end_time=FlowRunFilterEndTime(before_=before),
            )
        )

    def _replace(self, run: FlowRun, state: State[None], force: bool = False) -> bool:
        """Set the state of a flow run, if it still has the one that was read."""
        now = self.client.read_flow_run(run.id).state
        if now is None or run.state is None or now.id != run.state.id:
            return False
        self.client.set_flow_run_state(run.id, state, force=force)
        return True

    def _flow_runs(self, flow_name: str, types: list[StateType]) -> list[FlowRun]:
        def page(offset: int) -> list[FlowRun]:
            return self.client.read_flow_runs(
                flow_filter=FlowFilter(name=FlowFilterName(any_=[flow_name])),
                flow_run_filter=FlowRunFilter(
                    state=FlowRunFilterState(type=FlowRunFilterStateType(any_=types))
                ),
                sort=FlowRunSort.EXPECTED_START_TIME_DESC,
                limit=PAGE,
                offset=offset,
            )

        return list(pages(page))

    def _end_task_runs(self, of: FlowRunFilter) -> None:
        """End the task runs of dead flow runs that are shown as alive."""
        alive = TaskRunFilterStateType(any_=[StateType.RUNNING, StateType.PENDING])

        def page(offset: int) -> list[TaskRun]:
            return self.client.read_task_runs(
                flow_filter=FlowFilter(name=FlowFilterName(any_=["a4nn-search"])),
                flow_run_filter=of,
                task_run_filter=TaskRunFilter(state=TaskRunFilterState(type=alive)),
                limit=PAGE,
                offset=offset,
            )

        for task in list(pages(page)):
            self.client.set_task_run_state(task.id, Crashed(message="its flow run has ended"), force=True)
            self.done["task_runs"].append(task.name)


def search_lock(run: FlowRun) -> Path | None:
    """The lock that the process of a search holds; None if its commons is not accessible from here."""
    commons = Path(str(run.parameters.get("commons", "commons")))
    return run_lock(commons, search_run_id(run)) if _is_commons(commons) else None


def search_run_id(run: FlowRun) -> str:
    """The run that a flow run of a search works on."""
    if run.parameters.get("run_id"):
        return str(run.parameters["run_id"])
    due = run.expected_start_time or datetime.now(UTC)
    return run_id_of(str(run.id), due, run.parameters.get("experiment", DEFAULT))


def segment_lock(run: FlowRun) -> Path | None:
    """The lock that the process of a segment holds; None if its commons is not accessible from here."""
    segment = run.parameters["segment"]
    commons = Path(segment["commons"])
    return network_lock(commons, segment["run_id"], segment["network"]) if _is_commons(commons) else None


def _is_commons(path: Path) -> bool:
    try:
        check_layout(path)
    except BadInput:
        return False
    return True


def not_to_restart(run: FlowRun, restarts: int) -> str | None:
    """Why a crashed search is not started again; None if it is."""
    if run.deployment_id is None:
        run_id = search_run_id(run)
        return f"no deployment created it; to resume it: a4nn run --run-id {run_id} with its experiment"
    if run.run_count > restarts:
        return f"it was started {run.run_count} times"
    lock = search_lock(run)
    if lock is None:
        return f"no commons at {run.parameters.get('commons')} on this machine"
    if holder(lock) is not None:
        return f"another process holds {lock}"
    return None
