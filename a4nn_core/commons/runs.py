"""The header of a run as a row of ``runs``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from a4nn_core.commons.rows import Row, table_row
from a4nn_core.commons.schema import TABLES
from a4nn_core.metrics import DEFAULT_OBJECTIVES


def objectives(header: Mapping[str, Any]) -> dict[str, str]:
    """What the run optimises: metric name to ``minimise`` or ``maximise``, from the stored experiment.

    They stand under ``search.objectives``; a run that does not say is taken to minimise error and MFLOPs.
    """
    experiment = header.get("experiment")
    search = experiment.get("search") if isinstance(experiment, Mapping) else None
    found = search.get("objectives") if isinstance(search, Mapping) else None
    if isinstance(found, Mapping) and found:
        return {str(k): str(v) for k, v in found.items()}
    return {name: str(direction) for name, direction in DEFAULT_OBJECTIVES.items()}


def run_row(run: str, stored: Mapping[str, Any]) -> Row:
    """The row of ``runs`` of one ``run.json``."""
    header = stored.get("header", {})
    dataset = header.get("dataset") or {}
    session = (stored.get("sessions") or [{}])[-1]
    return table_row(
        TABLES["runs"],
        run,
        {
            "name": header.get("name"),
            "status": stored.get("status"),
            "experiment": header.get("experiment"),
            "objectives": objectives(header),
            "seed": header.get("seed"),
            "dataset": dataset.get("name") if isinstance(dataset, Mapping) else str(dataset),
            "dataset_fingerprint": header.get("dataset_fingerprint"),
            "dataset_details": dataset,
            "code_version": header.get("code_version"),
            "environment": header.get("environment"),
            "host": session.get("host"),
            "threads": header.get("threads"),
            "device": header.get("device"),
            "started": stored.get("started"),
            "ended": stored.get("ended"),
            "totals": stored.get("totals"),
            "notes": header.get("notes"),
        },
    )
