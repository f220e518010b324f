"""Conversion of records to Arrow and back, in this one place."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TypeVar

import pyarrow as pa

from a4nn_core.commons.columns import Field, Kind, Record, Row, from_cells, moment
from a4nn_core.commons.schema import TABLES, Table
from a4nn_core.jsonable import JsonText, to_jsonable

R = TypeVar("R", bound=Record)


def table_row(table: Table, run: str, row: Mapping[str, object]) -> Row:
    """One row with every column of the table, in storable form.

    Raises:
        ValueError: a key is not a column of the table; it would otherwise be dropped silently.
    """
    unknown = [key for key in row if key not in table.by_name]
    if unknown:
        raise ValueError(f"table {table.name} has no column {unknown[0]!r}")
    full = {**row, "run": run}
    return {column.name: _stored(column, full.get(column.name)) for column in table.columns}


def _stored(column: Field, value: object) -> object:
    if value is None:
        return None
    match column.kind:
        case Kind.time:
            return moment(value)
        case Kind.json:
            return str(JsonText.of(value))
        case Kind.metrics | Kind.words:
            assert isinstance(value, Mapping)
            return [(str(key), to_jsonable(inner)) for key, inner in value.items()]
        case Kind.text:
            return str(value)
        case _:
            return to_jsonable(value)


def stored_row(record: Record, run: str, network: int | None = None) -> Row:
    """The row of a record in storable form.

    Args:
        record: the record to store.
        run: id of its run.
        network: number of its network; None if the record has it, or does not belong to a network.
    """
    row = record.row()
    if network is not None:
        row["network"] = network
    return table_row(TABLES[record.definition.name], run, row)


def arrow(table: Table, rows: Iterable[Row]) -> pa.Table:
    """An Arrow table of rows made by ``stored_row``."""
    return pa.Table.from_pylist(list(rows), schema=table.schema)


def python_rows(data: pa.Table) -> list[Row]:
    """Rows as mappings of column name to value; maps as dicts, times as datetime."""
    maps = [field.name for field in data.schema if pa.types.is_map(field.type)]
    rows: list[Row] = data.to_pylist(maps_as_pydicts="strict") if maps else data.to_pylist()
    return rows


def records(record: type[R], data: pa.Table) -> list[R]:
    """The records of a table, or of a view with its columns.

    Raises:
        UnknownWord: a cell has a value that is not a member of its column's enum in this version.
    """
    return [from_cells(record, row) for row in python_rows(data)]


def without_timing(table: Table, rows: Sequence[Row]) -> list[Row]:
    """Rows without the columns that differ between two runs of the same experiment."""
    kept = [c.name for c in table.columns if not c.timing]
    return [{name: _comparable(row.get(name)) for name in kept} for row in rows]


def _comparable(value: object) -> object:
    """A value in a normal form, so that equal values compare equal."""
    if isinstance(value, Mapping):
        return sorted(value.items())
    if isinstance(value, (list, tuple)):
        return [tuple(v) if isinstance(v, (list, tuple)) else v for v in value]
    return value
