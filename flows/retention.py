"""Removes from the server what is too old: flow runs of A4NN that have ended, with their logs and artifacts.

Prefect's own vacuum (``prefect.server.services.db_vacuum``) removes old events by default. For flow runs it
is not used: it takes those of all flows of a server, which others may share, needs its restart to be set, and
says what it removed in the server's log alone (Prefect 3.8.8). Logs go with their flow run; no request
removes them alone. All records are in the commons, which this never touches.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Annotated

from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.filters import (
    ArtifactFilter,
    ArtifactFilterFlowRunId,
    FlowFilter,
    FlowFilterName,
    FlowRunFilter,
    FlowRunFilterEndTime,
    FlowRunFilterState,
    FlowRunFilterStateType,
)
from prefect.client.schemas.objects import FlowRun, StateType
from prefect.client.schemas.sorting import FlowRunSort
from prefect.exceptions import ObjectNotFound
from pydantic import Field

from .server import Log, pages

Days = Annotated[float, Field(ge=1)]

SWEEP = "a4nn-sweep"
FLOWS = ("a4nn-search", "a4nn-segment", "a4nn-maintain", "a4nn-publish", "a4nn-search-and-publish")
"""the flows whose runs are removed, beside those of the sweeper"""
CRASHED_DAYS = 7.0
"""a search that crashed is started again for so long (``days`` of the sweeper), so that it has not ended"""
PAGE = 50
_OVER = [StateType.COMPLETED, StateType.FAILED, StateType.CANCELLED]
_ALIVE = [
    *(StateType.SCHEDULED, StateType.PENDING, StateType.RUNNING),
    *(StateType.PAUSED, StateType.CANCELLING),
]


@dataclass(frozen=True)
class Ages:
    """How many days old things may become, counted from the end of their flow run; None: any age.

    Attributes:
        flow_runs: flow runs, with their task runs, logs and artifacts.
        sweeps: those of the sweeper, of which there are 288 a day.
        artifacts: artifacts of flow runs that stay.
    """

    flow_runs: float | None
    sweeps: float | None
    artifacts: float | None


@dataclass
class Removed:
    """What was removed.

    Attributes:
        flow_runs: flow runs, by name of the flow.
        artifacts: number of artifacts.
    """

    flow_runs: dict[str, int] = field(default_factory=dict)
    artifacts: int = 0

    def lines(self) -> list[str]:
        """What was removed, for people."""
        found = [f"{count:,} flow runs of {name}" for name, count in sorted(self.flow_runs.items())]
        return [*found, *([f"{self.artifacts:,} artifacts"] if self.artifacts else [])] or ["nothing"]


class Retention:
    """One clearing of a server.

    Args:
        client: client of the server.
        ages: how old things may become.
        now: the present time.
        log: where to report what was removed.

    Attributes:
        removed: what was removed so far.
    """

    def __init__(self, client: SyncPrefectClient, ages: Ages, now: datetime, log: Log) -> None:
        self.removed = Removed()
        self._client = client
        self._ages = ages
        self._now = now
        self._log = log

    def clear(self) -> Removed:
        """Remove what is too old."""
        alive = {run.name for run in self._runs(["a4nn-search"], _ALIVE, None)}
        for name in FLOWS:
            self._clear(name, self._ages.flow_runs, alive)
        self._clear(SWEEP, self._ages.sweeps, alive)
        if self._ages.artifacts is not None:
            for name in FLOWS:
                for run in self._runs([name], _OVER, self._ages.artifacts):
                    self._remove_artifacts(run)
        self._log.info("removed from the server: %s", ", ".join(self.removed.lines()))
        return self.removed

    def _clear(self, name: str, days: float | None, alive: set[str]) -> None:
        """Remove the old runs of a flow."""
        if days is None:
            return
        crashed = [StateType.CRASHED]
        old = [*self._runs([name], _OVER, days), *self._runs([name], crashed, max(days, CRASHED_DAYS))]
        for run in old:
            if alive.intersection(run.tags):
                continue  # a segment of a search in progress, which asks for it when it is started again
            self._remove_artifacts(run)
            try:
                self._client.delete_flow_run(run.id)
            except ObjectNotFound:
                continue  # somebody else was faster
            self.removed.flow_runs[name] = self.removed.flow_runs.get(name, 0) + 1

    def _remove_artifacts(self, run: FlowRun) -> None:
        mine = ArtifactFilter(flow_run_id=ArtifactFilterFlowRunId(any_=[run.id]))
        # all are removed, so the first page is always the next one
        while found := self._client.read_artifacts(artifact_filter=mine, limit=PAGE):
            for artifact in found:
                try:
                    self._client.delete_artifact(artifact.id)
                except ObjectNotFound:
                    continue
                self.removed.artifacts += 1

    def _runs(self, names: list[str], types: list[StateType], days: float | None) -> list[FlowRun]:
        """The runs of flows in some states; with ``days`` those that ended longer ago."""
        wanted = FlowRunFilter(state=FlowRunFilterState(type=FlowRunFilterStateType(any_=types)))
        if days is not None:
            wanted.end_time = FlowRunFilterEndTime(before_=self._now - timedelta(days=days))

        def page(offset: int) -> list[FlowRun]:
            return self._client.read_flow_runs(
                flow_filter=FlowFilter(name=FlowFilterName(any_=names)),
                flow_run_filter=wanted,
                sort=FlowRunSort.ID_DESC,
                limit=PAGE,
                offset=offset,
            )

        return list(pages(page))


def clear_server(client: SyncPrefectClient, ages: Ages, log: Log) -> Removed:
    """Remove what is too old; see ``Retention``."""
    return Retention(client, ages, datetime.now(UTC), log).clear()
