"""The event log of a run: what was asked, submitted, started, stopped and told, in order.

It is the only state of a search; a resumed run replays it. Only the search loop writes it.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from a4nn_core.commons.journal import Journal, read_journal, to_jsonable
from a4nn_core.commons.layout import Damaged

# kind of the event that a network has lost its checkpoints on purpose; its row still names them
CHECKPOINTS_REMOVED = "checkpoints_removed"


def now() -> str:
    """This moment, UTC, ISO 8601 with microseconds."""
    return datetime.now(UTC).isoformat(timespec="microseconds")


def _check(path: Path, records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    for expected, record in enumerate(records, start=1):
        if record.get("number") != expected:
            raise Damaged(f"{path} line {expected} is damaged: event number {record.get('number')!r}")
    return records


def read_events(path: Path) -> list[dict[str, Any]]:
    """The events of a log in order; none if it does not exist.

    Raises:
        Damaged: a line is not JSON, or an event is missing or doubled.
    """
    return _check(path, read_journal(path))


class EventLog:
    """Numbered events, each on the disk before ``append`` returns.

    Raises:
        BadInput: the file cannot be written.
        Damaged: see read_events.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._journal = Journal(path)
        self.records: list[dict[str, Any]] = _check(path, self._journal.records_found)

    def append(
        self, kind: str, network: int | None = None, generation: int | None = None, **data: Any
    ) -> dict[str, Any]:
        """Record one event.

        Args:
            kind: what happened, such as ``asked`` or ``told``.
            network, generation: what it happened to, if to one.
            data: whatever else belongs to it, JSON-serialisable.

        Returns:
            the event as stored: number (from 1, without gaps), time, kind, network, generation, data.
        """
        event = {
            "number": len(self.records) + 1,
            "time": now(),
            "kind": kind,
            "network": network,
            "generation": generation,
            "data": to_jsonable(data),
        }
        self._journal.append(event)
        self.records.append(event)
        return event

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return iter(list(self.records))

    def __len__(self) -> int:
        return len(self.records)

    def close(self) -> None:
        """Close the file."""
        self._journal.close()
