"""Rows of the tables from what the search loop and the workers have: to_jsonable mappings."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa

from a4nn_core.commons.journal import LAG, UNUSUAL_PLAN, to_json, to_jsonable
from a4nn_core.commons.schema import TABLES, Table

Row = dict[str, Any]


def moment(value: Any) -> datetime | None:
    """A time, from a datetime or ISO 8601 text; without a zone it is taken as UTC."""
    if value is None:
        return None
    if isinstance(value, str):
        value = datetime.fromisoformat(value)
    assert isinstance(value, datetime)
    return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def _cell(kind: str, value: Any) -> Any:
    if value is None:
        return None
    match kind:
        case "time":
            return moment(value)
        case "json":
            return value if isinstance(value, str) else to_json(value)
        case "metrics" | "words":
            pairs = value.items() if isinstance(value, Mapping) else value
            return [(str(key), to_jsonable(inner)) for key, inner in pairs]
        case _:
            return to_jsonable(value)


def table_row(table: Table, run: str, row: Mapping[str, Any]) -> Row:
    """One row with every column of the table, in storable form.

    Raises:
        ValueError: a key that is not a column of the table, so that nothing is dropped in silence.
    """
    unknown = [key for key in row if key not in table.by_name]
    if unknown:
        raise ValueError(f"table {table.name} has no column {unknown[0]!r}")
    full = {**row, "run": run}
    return {c.name: _cell(c.kind, full.get(c.name)) for c in table.columns}


def arrow(table: Table, rows: Iterable[Row]) -> pa.Table:
    """An Arrow table of rows made by ``table_row``."""
    return pa.Table.from_pylist(list(rows), schema=table.schema)


def python_rows(data: pa.Table) -> list[Row]:
    """Rows as to_jsonable dicts; maps as dicts, times as datetime."""
    maps = [field.name for field in data.schema if pa.types.is_map(field.type)]
    rows: list[Row] = data.to_pylist()
    for row in rows:
        for name in maps:
            if row[name] is not None:
                row[name] = dict(row[name])
    return rows


def network_row(run: str, row: Mapping[str, Any]) -> Row:
    """A row of ``networks``; the key ``index`` is taken for the column ``position``."""
    row = {("position" if key == "index" else key): value for key, value in row.items()}
    return table_row(TABLES["networks"], run, row)


def epoch_row(run: str, network: int, record: Mapping[str, Any]) -> Row:
    """A row of ``epochs`` from a journal record (or from a row already flat).

    The fits are rows of ``predictions``, an unusual compute plan is in the events, and a lagging
    measurement is warned of. Of the evidence, that of verdicts to pause or stop is kept.
    """
    row = {key: value for key, value in record.items() if key not in ("fits", "verdict", UNUSUAL_PLAN, LAG)}
    verdict = record.get("verdict")
    if isinstance(verdict, Mapping):
        low, high = verdict.get("interval") or (None, None)
        row |= {
            "verdict": verdict.get("action"),
            "reason": verdict.get("reason"),
            "predicted": verdict.get("predicted"),
            "predicted_low": low,
            "predicted_high": high,
            "evidence": verdict.get("evidence") if verdict.get("action") != "continue" else None,
        }
    else:
        row["verdict"] = verdict
    return table_row(TABLES["epochs"], run, {**row, "network": network})


def prediction_rows(journal: Sequence[Mapping[str, Any]]) -> list[Row]:
    """Rows for ``predictions`` (without run and network): one for each fit in journal records."""
    rows = []
    for record in by_epoch(journal):
        verdict = record.get("verdict")
        said = verdict if isinstance(verdict, Mapping) else {}
        rows += [
            {
                **fit,
                "epoch": record["epoch"],
                "verdict": said.get("action"),
                "reason": said.get("reason"),
            }
            for fit in record.get("fits") or ()
        ]
    return rows


def by_epoch(journal: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Journal records in the order of their epochs; of an epoch trained twice, the later record."""
    last = {record["epoch"]: record for record in journal}
    return [last[epoch] for epoch in sorted(last)]


def without_timing(table: Table, rows: Iterable[Mapping[str, Any]]) -> list[Row]:
    """Rows without what differs between two runs of the same thing."""
    kept = [c.name for c in table.columns if not c.timing]
    return [{name: plain_cell(row.get(name)) for name in kept} for row in rows]


def plain_cell(value: Any) -> Any:
    """A value in a form that compares equal however it was made."""
    if isinstance(value, Mapping):
        return sorted(value.items())
    if isinstance(value, list):
        return [tuple(v) if isinstance(v, (list, tuple)) else v for v in value]
    return value
