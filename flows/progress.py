"""Tells Prefect that a search goes on, so that an automation can tell of one that does not.

A search that hangs, or whose process and worker are gone, is ``Running`` to Prefect. So a search emits an
event when it begins and, every few minutes, when epochs have ended since; what is missing then is seen by
the server (``deployments/automations.yaml``).
"""

from __future__ import annotations

import os
import time

from prefect.events import emit_event
from prefect.runtime import flow_run

from a4nn_core.commons import RunFolder
from a4nn_core.workflow.watcher import SearchView

PROGRESS = "a4nn.search.progress"
EVERY_SECONDS = 300.0
"""at most so often: the server keeps each event for a week"""
_LOOK_SECONDS = 30.0


class Progress:
    """Emits the events of one search; create it inside the flow. Outside of a flow it says nothing.

    Args:
        run_id: id of the run.
    """

    def __init__(self, run_id: str) -> None:
        self.run_id = run_id
        self._flow_run = flow_run.get_id()
        self._next = 0.0
        self._seen: dict[str, int] | None = None

    def begin(self) -> None:
        """The search is about to train."""
        self._emit(0)

    def look(self, search: SearchView) -> None:
        """Emit an event if one is due and an epoch has ended since the last."""
        now = time.monotonic()
        if now < self._next:
            return
        self._next = now + _LOOK_SECONDS
        before, self._seen = self._seen, _journals(search.folder)
        if before is None or all(size <= before.get(name, 0) for name, size in self._seen.items()):
            return  # what was trained before this process began is no news
        self._next = now + EVERY_SECONDS
        self._emit(len(search.networks))

    def _emit(self, networks: int) -> None:
        if self._flow_run is None:
            return
        # sent by a thread of Prefect's own: a server that is away delays nothing
        emit_event(
            PROGRESS,
            resource={
                "prefect.resource.id": f"prefect.flow-run.{self._flow_run}",
                "prefect.resource.name": self.run_id,
            },
            payload={"run": self.run_id, "networks": networks},
        )


def _journals(folder: RunFolder) -> dict[str, int]:
    """The size of every journal in bytes, which grows with every epoch."""
    journals = folder.journal(0).parent
    if not journals.is_dir():
        return {}
    return {entry.name: entry.stat().st_size for entry in os.scandir(journals)}
