"""The executor that trains on the machines of a work pool: a flow run a segment."""

from __future__ import annotations

import itertools
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from uuid import UUID

from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId
from prefect.client.schemas.objects import FlowRun, StateType, WorkPool
from prefect.client.schemas.responses import DeploymentResponse
from prefect.exceptions import ObjectNotFound
from prefect.logging import get_logger
from prefect.states import Cancelling, Crashed

from a4nn_core.commons import RunFolder
from a4nn_core.commons.layout import read_json
from a4nn_core.commons.lock import holder
from a4nn_core.errors import BadInput
from a4nn_core.training.segment import Segment, SegmentResult

from .executor import tags_of
from .locks import network_lock
from .server import ask_server, is_away

ATTEMPTS = 5
POLL_SECONDS = 2.0
# between the start of a flow run and its lock lie milliseconds, but machines are slow at times
STARTED_GRACE = timedelta(seconds=60)


USUAL_SLOTS = 8
"""segments under way at the same time where neither the experiment nor the work pool has a limit"""


@dataclass(frozen=True)
class Deployment:
    """A deployment whose work pool can train.

    Attributes:
        id: of the deployment.
        limit: flow runs that its work pool takes at the same time; None if it has no limit.
    """

    id: UUID
    limit: int | None


def find_deployment(name: str) -> Deployment:
    """A deployment by its name, such as ``a4nn-segment/segment``.

    Raises:
        BadInput: there is none, it is paused or its work pool is, or the pool has no worker.
    """

    def ask(client: SyncPrefectClient) -> tuple[DeploymentResponse, WorkPool | None]:
        found = client.read_deployment_by_name(name)
        return found, client.read_work_pool(found.work_pool_name) if found.work_pool_name else None

    try:
        deployment, pool = ask_server(ask)
    except (ObjectNotFound, ValueError):
        raise BadInput(
            f"segments = {name!r}: there is no such deployment; `prefect deployment ls` lists them"
        ) from None
    trouble = None
    if deployment.paused:
        trouble = "the deployment is paused"
    elif pool is None:
        trouble = "the deployment has no work pool"
    elif pool.is_paused:
        trouble = f"its work pool {pool.name!r} is paused"
    elif pool.concurrency_limit == 0:
        trouble = f"its work pool {pool.name!r} has a concurrency limit of 0"
    elif (
        not pool.is_push_pool and not pool.is_managed_pool and str(pool.status).upper().endswith("NOT_READY")
    ):
        trouble = (
            f"no worker polls its work pool {pool.name!r}; start one: prefect worker start --pool {pool.name}"
        )
    if trouble or pool is None:
        raise BadInput(f"segments = {name!r}: nothing can be trained there: {trouble}")
    return Deployment(deployment.id, pool.concurrency_limit)


@dataclass
class _Sent:
    """A segment under way.

    Attributes:
        segment: as submitted.
        flow_run: that trains it.
        crashes: how many flow runs of it have crashed while this executor waited.
    """

    segment: Segment
    flow_run: UUID
    crashes: int


def _cancel(client: SyncPrefectClient, flow_run: UUID) -> None:
    client.set_flow_run_state(flow_run, Cancelling())


def _is_of_no_use(run: FlowRun) -> bool:
    """Whether a flow run has ended without a result that a search can go on with."""
    if run.state is None or not run.state.is_final():
        return False
    return not run.state.is_completed() or SegmentResult.from_json(str(run.state.message)).fatal


class WorkPoolExecutor:
    """Segments as flow runs of a deployment of the flow ``a4nn-segment``.

    A flow run belongs to its segment by an idempotency key. A search that is killed and goes on finds the
    flow runs it made: it takes the result of one that ended meanwhile, and waits for one that still trains.
    One that crashed is replaced, and the network goes on from its last epoch. A server that is away is waited
    for; the machines train on.

    Args:
        deployment: whose flow runs they are.
        max_parallel: segments under way at the same time; None for as many as its work pool takes.
    """

    def __init__(self, deployment: Deployment, max_parallel: int | None = None) -> None:
        self.deployment = deployment.id
        self.slots = max_parallel or deployment.limit or USUAL_SLOTS
        self.is_local = False
        self._sent: dict[int, _Sent] = {}

    def submit(self, segment: Segment) -> None:
        self._sent[segment.network] = ask_server(lambda client: self._send(client, segment, crashes=0))

    def _send(self, client: SyncPrefectClient, segment: Segment, crashes: int) -> _Sent:
        """Make a segment's flow run, or find the one that an earlier process made."""
        folder = RunFolder(Path(segment.commons), segment.run_id)
        # with the time the run was first started, as a run can be deleted and another one take its id
        begun = read_json(folder.run_file)["started"] if folder.run_file.exists() else ""
        for serial in itertools.count():
            run = client.create_flow_run_from_deployment(
                self.deployment,
                parameters={"segment": segment.to_mapping()},
                name=f"{segment.run_id} network {segment.network} segment {segment.number}",
                tags=tags_of(segment),
                idempotency_key=f"{folder.path} {begun} {segment.network} {segment.number} {serial}",
            )
            if not _is_of_no_use(run):
                return _Sent(segment, run.id, crashes)
        raise AssertionError

    def completed(self, timeout: float) -> list[SegmentResult]:
        deadline = time.monotonic() + max(timeout, POLL_SECONDS if self._sent else 0.0)
        try:
            results = ask_server(self._look, seconds=0)
        except Exception as error:
            if not is_away(error):
                raise
            results = []
        if not results and self._sent:
            time.sleep(max(0.0, deadline - time.monotonic()))
        return results

    def _look(self, client: SyncPrefectClient) -> list[SegmentResult]:
        if not self._sent:
            return []
        wanted = FlowRunFilter(id=FlowRunFilterId(any_=[sent.flow_run for sent in self._sent.values()]))
        runs = {run.id: run for run in client.read_flow_runs(flow_run_filter=wanted)}
        results = []
        for sent in list(self._sent.values()):
            result = self._judge(client, sent, runs.get(sent.flow_run))
            if result is not None:
                del self._sent[sent.segment.network]
                results.append(result)
        return results

    def _judge(self, client: SyncPrefectClient, sent: _Sent, run: FlowRun | None) -> SegmentResult | None:
        """The result of a segment that has ended; one whose flow run died is sent again."""
        state = run.state if run else None
        if run is None or state is None:
            return self._again(client, sent, "its flow run was deleted")
        if state.type == StateType.COMPLETED:
            return SegmentResult.from_json(str(state.message))
        if state.type == StateType.CANCELLED:
            return sent.segment.failed(f"its flow run {run.name!r} was cancelled", fatal=True)
        if state.type == StateType.FAILED:
            return sent.segment.failed(f"its flow run {run.name!r} failed: {state.message}", fatal=True)
        if state.type == StateType.CRASHED:
            return self._again(client, sent, str(state.message))
        if state.type == StateType.RUNNING and datetime.now(UTC) - state.timestamp > STARTED_GRACE:
            lock = network_lock(Path(sent.segment.commons), sent.segment.run_id, sent.segment.network)
            if holder(lock) is None:
                # it may have ended in this very moment: only the state that was read is replaced
                now = client.read_flow_run(run.id).state
                if now is not None and now.id == state.id:
                    message = "its process is gone: nobody holds the network's lock"
                    client.set_flow_run_state(run.id, Crashed(message=message), force=True)
                    return self._again(client, sent, message)
        return None

    def _again(self, client: SyncPrefectClient, sent: _Sent, why: str) -> SegmentResult | None:
        crashes = sent.crashes + 1
        get_logger("a4nn").warning("network %d is sent again: %s", sent.segment.network, why)
        if crashes >= ATTEMPTS:
            return sent.segment.failed(f"its flow run crashed {crashes} times: {why}", fatal=True)
        self._sent[sent.segment.network] = self._send(client, sent.segment, crashes)
        return None

    def close(self) -> None:
        """Cancel what is under way, if the server can be asked."""
        for sent in self._sent.values():
            try:
                ask_server(partial(_cancel, flow_run=sent.flow_run), seconds=0)
            except Exception as error:
                get_logger("a4nn").warning("flow run %s may go on: %s", sent.flow_run, error)
        self._sent.clear()
