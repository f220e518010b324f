"""The header of a run: from the content of ``run.json`` to a record."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from a4nn_core.commons.columns import from_line, moment
from a4nn_core.commons.records import Run
from a4nn_core.jsonable import Json, JsonText, members, to_json
from a4nn_core.metrics import DEFAULT_OBJECTIVES


def objectives(header: Mapping[str, Json]) -> dict[str, str]:
    """The objectives of a run: metric name to ``minimise`` or ``maximise``, from the stored experiment.

    They are recorded under ``search.objectives``; a run without them is assumed to minimise error and MFLOPs.
    """
    found = members(members(members(header.get("experiment")).get("search")).get("objectives"))
    return {name: str(direction) for name, direction in (found or DEFAULT_OBJECTIVES).items()}


def run_record(run: str, stored: Mapping[str, Json]) -> Run:
    """The record of one ``run.json``."""
    header = members(stored.get("header"))
    dataset = header.get("dataset") or {}
    return from_line(
        Run,
        {
            "run": run,
            **{name: header.get(name) for name in _FROM_HEADER},
            **{name: _json(header.get(name)) for name in ("experiment", "environment", "notes", "prior")},
            "status": stored.get("status"),
            "objectives": dict[str, Json](objectives(header)),
            "dataset": dataset.get("name") if isinstance(dataset, dict) else str(dataset),
            "dataset_details": _json(dataset),
            "host": last_session(stored).get("host"),
            "started": stored.get("started"),
            "ended": stored.get("ended"),
            "error": stored.get("error"),
            "stopped": stored.get("stopped"),
            "totals": _json(stored.get("totals")),
        },
    )


_FROM_HEADER = (
    "name",
    "seed",
    "dataset_fingerprint",
    "code_version",
    "threads",
    "device",
    "shadow_of",
    "deployment",
)


def _json(value: Json) -> JsonText | None:
    return None if value is None else JsonText(to_json(value))


def last_session(stored: Mapping[str, Json]) -> dict[str, Json]:
    """Facts in ``run.json`` about the process that last wrote the run; empty if there are none."""
    sessions = stored.get("sessions")
    return members(sessions[-1]) if isinstance(sessions, list) and sessions else {}


def session_started(stored: Mapping[str, Json]) -> datetime | None:
    """Start time of the process that last wrote the run."""
    return moment(last_session(stored).get("started"))
