"""A search tells Prefect that it goes on, seldom, and only if an epoch has ended since."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from commons_data import journal_records

from a4nn_core.commons import Journal, RunFolder
from a4nn_flows import progress
from a4nn_flows.progress import EVERY_SECONDS, PROGRESS, Progress


@pytest.fixture
def emitted(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[dict[str, Any]]]:
    """The payloads of the events that were emitted."""
    found: list[dict[str, Any]] = []

    def emit(event: str, resource: dict[str, str], payload: dict[str, Any]) -> None:
        assert event == PROGRESS
        assert resource == {"prefect.resource.id": "prefect.flow-run.f1", "prefect.resource.name": "r"}
        found.append(payload)

    monkeypatch.setattr(progress, "emit_event", emit)
    monkeypatch.setattr(progress.flow_run, "get_id", lambda: "f1", raising=False)
    return found


def test_an_event_when_it_begins_and_when_epochs_have_ended(
    emitted: list[dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [1000.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: clock[0])
    folder = RunFolder(tmp_path, "r")
    view: Any = SimpleNamespace(folder=folder, networks={0: None})
    lines = list(journal_records(1, 9))

    def later(seconds: float) -> int:
        clock[0] += seconds
        one.look(view)
        return len(emitted)

    with Journal(folder.journal(1)) as journal:
        journal.append(lines[0])
        one = Progress("r")
        one.begin()
        assert emitted == [{"run": "r", "networks": 0}]
        assert later(0) == 1
        assert later(EVERY_SECONDS) == 1, "what was trained before it began is no news"
        journal.append(lines[1])
        assert later(1) == 1, "it does not look all the time"
        assert later(60) == 2
        assert emitted[1] == {"run": "r", "networks": 1}
        journal.append(lines[2])
        assert later(60) == 2, "it tells seldom"
        assert later(EVERY_SECONDS) == 3
        assert later(10 * EVERY_SECONDS) == 3, "nothing has ended since: it may be stuck"
        with Journal(folder.journal(2)) as other:
            other.append(lines[0])
        assert later(60) == 4


def test_outside_of_a_flow_nothing_is_told(
    emitted: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress.flow_run, "get_id", lambda: None, raising=False)
    Progress("r").begin()
    assert emitted == []
