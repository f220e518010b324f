"""The data commons: every network's record, written so that no crash loses or duplicates it, read with SQL.

Names are resolved on first use: training workers import the journal alone, without Arrow or DuckDB.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from a4nn_core.exports import lazy

if TYPE_CHECKING:
    from a4nn_core.commons.epochs import JournalEpoch as JournalEpoch
    from a4nn_core.commons.epochs import predictions_of as predictions_of
    from a4nn_core.commons.epochs import read_epochs as read_epochs
    from a4nn_core.commons.events import EventLog as EventLog
    from a4nn_core.commons.events import read_events as read_events
    from a4nn_core.commons.journal import Journal as Journal
    from a4nn_core.commons.journal import read_journal as read_journal
    from a4nn_core.commons.layout import LAYOUT_VERSION as LAYOUT_VERSION
    from a4nn_core.commons.layout import RunFolder as RunFolder
    from a4nn_core.commons.layout import network_id as network_id
    from a4nn_core.commons.reader import Commons as Commons
    from a4nn_core.commons.writer import RunWriter as RunWriter

_WHERE = {
    "Commons": "reader",
    "EventLog": "events",
    "Journal": "journal",
    "LAYOUT_VERSION": "layout",
    "RunFolder": "layout",
    "RunWriter": "writer",
    "network_id": "layout",
    "JournalEpoch": "epochs",
    "predictions_of": "epochs",
    "read_epochs": "epochs",
    "read_events": "events",
    "read_journal": "journal",
}

__all__ = [
    "LAYOUT_VERSION",
    "Commons",
    "EventLog",
    "Journal",
    "JournalEpoch",
    "RunFolder",
    "RunWriter",
    "network_id",
    "predictions_of",
    "read_epochs",
    "read_events",
    "read_journal",
]


__getattr__ = lazy(__name__, _WHERE)
