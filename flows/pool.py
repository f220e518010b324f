"""The executor that trains on the machines of a work pool: one flow run per segment."""

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
# a flow run takes its lock within milliseconds after its start, but machines are slow at times
STARTED_GRACE = timedelta(seconds=60)


USUAL_SLOTS = 8
"""most segments at the same time if neither the experiment nor the work pool has a limit"""


@dataclass(frozen=True)
class Deployment:
    """A deployment whose work pool can train.

    Attributes:
        id: the deployment's id.
        limit: most flow runs that its work pool runs at the same time; None if it has no limit.
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
    """A segment that was sent and has not ended.

    Attributes:
        segment: the segment as submitted.
        flow_run: id of the flow run that trains it.
        crashes: how many of its flow runs have crashed while this executor waited.
    """

    segment: Segment
    flow_run: UUID
    crashes: int


def _cancel(client: SyncPrefectClient, flow_run: UUID) -> None:
    client.set_flow_run_state(flow_run, Cancelling())


def _is_unusable(run: FlowRun) -> bool:
    """Whether a flow run has ended without a result with which a search can continue."""
    if run.state is None or not run.state.is_final():
        return False
    if not run.state.is_completed():
        return True
    result = SegmentResult.from_json(str(run.state.message))
    return result.fatal or result.cut


class WorkPoolExecutor:
    """Segments as flow runs of a deployment of the flow ``a4nn-segment``.

    A flow run belongs to its segment by an idempotency key. A search that is killed and goes on finds the
    flow runs it made: it takes the result of one that ended meanwhile, and waits for one that still trains.
    One that crashed is replaced, and the network goes on from its last epoch. While the server is
    unreachable, the executor waits and the machines continue to train.

    Args:
        deployment: the deployment whose flow runs train the segments.
        max_parallel: most segments at the same time; None for as many as its work pool takes.
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
        # part of the key, as a run can be deleted and another one take its id
        first_started = read_json(folder.run_file)["started"] if folder.run_file.exists() else ""
        for serial in itertools.count():
            run = client.create_flow_run_from_deployment(
                self.deployment,
                parameters={"segment": segment.to_mapping()},
                name=f"{segment.run_id} network {segment.network} segment {segment.number}",
                tags=tags_of(segment),
                idempotency_key=f"{folder.path} {first_started} {segment.network} {segment.number} {serial}",
            )
            if not _is_unusable(run):
                return _Sent(segment, run.id, crashes)
        raise AssertionError

    def completed(self, timeout: float) -> list[SegmentResult]:
        deadline = time.monotonic() + max(timeout, POLL_SECONDS if self._sent else 0.0)
        try:
            results = ask_server(self._poll, seconds=0)
        except Exception as error:
            if not is_away(error):
                raise
            results = []
        if not results and self._sent:
            time.sleep(max(0.0, deadline - time.monotonic()))
        return results

    def _poll(self, client: SyncPrefectClient) -> list[SegmentResult]:
        if not self._sent:
            return []
        wanted = FlowRunFilter(id=FlowRunFilterId(any_=[sent.flow_run for sent in self._sent.values()]))
        runs = {run.id: run for run in client.read_flow_runs(flow_run_filter=wanted)}
        results = []
        for sent in list(self._sent.values()):
            result = self._result(client, sent, runs.get(sent.flow_run))
            if result is not None:
                del self._sent[sent.segment.network]
                results.append(result)
        return results

    def _result(self, client: SyncPrefectClient, sent: _Sent, run: FlowRun | None) -> SegmentResult | None:
        """The result of a segment that has ended, else None; one whose flow run died is sent again."""
        state = run.state if run else None
        if run is None or state is None:
            return self._resend(client, sent, "its flow run was deleted")
        if state.type == StateType.COMPLETED:
            return SegmentResult.from_json(str(state.message))
        if state.type == StateType.CANCELLED:
            return sent.segment.failed(f"its flow run {run.name!r} was cancelled", fatal=True)
        if state.type == StateType.FAILED:
            return sent.segment.failed(f"its flow run {run.name!r} failed: {state.message}", fatal=True)
        if state.type == StateType.CRASHED:
            return self._resend(client, sent, str(state.message))
        if state.type == StateType.RUNNING and datetime.now(UTC) - state.timestamp > STARTED_GRACE:
            lock = network_lock(Path(sent.segment.commons), sent.segment.run_id, sent.segment.network)
            if holder(lock) is None:
                # it may have ended just now: only the state that was read is replaced
                now = client.read_flow_run(run.id).state
                if now is not None and now.id == state.id:
                    message = "its process is gone: nobody holds the network's lock"
                    client.set_flow_run_state(run.id, Crashed(message=message), force=True)
                    return self._resend(client, sent, message)
        return None

    def _resend(self, client: SyncPrefectClient, sent: _Sent, why: str) -> SegmentResult | None:
        crashes = sent.crashes + 1
        get_logger("a4nn").warning("network %d is sent again: %s", sent.segment.network, why)
        if crashes >= ATTEMPTS:
            return sent.segment.failed(f"its flow run crashed {crashes} times: {why}", fatal=True)
        self._sent[sent.segment.network] = self._send(client, sent.segment, crashes)
        return None

    def close(self) -> None:
        """Cancel the flow runs that have not ended, if the server can be reached."""
        for sent in self._sent.values():
            try:
                ask_server(partial(_cancel, flow_run=sent.flow_run), seconds=0)
            except Exception as error:
                get_logger("a4nn").warning("flow run %s may go on: %s", sent.flow_run, error)
        self._sent.clear()
