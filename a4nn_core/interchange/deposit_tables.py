"""The tables of a deposit: all as Parquet, the small ones as CSV too, which Dataverse ingests."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from a4nn_core.commons.archive import write_sorted
from a4nn_core.commons.columns import Field, Kind
from a4nn_core.commons.schema import FRONT, LINEAGE, TABLES, Table
from a4nn_core.commons.snapshot import Snapshot
from a4nn_core.files import atomic_write_bytes
from a4nn_core.interchange.ingest import csv_unf
from a4nn_core.interchange.parquet import views

DEPOSITED: dict[str, Table] = {**TABLES, "front": FRONT, "lineage": LINEAGE}
AS_CSV = ("runs", "networks", "epochs", "lineage")
# what one cell of a CSV table can hold
_FLAT = (Kind.text, Kind.int32, Kind.int64, Kind.float64, Kind.float32, Kind.time)


@dataclass(frozen=True)
class WrittenTable:
    """One table of a deposit.

    Attributes:
        name: name of the table.
        rows: number of rows.
        csv: path of its CSV file inside the deposit, None if it has none.
        unf: UNF:6 of the CSV file, None if there is none.
    """

    name: str
    rows: int
    csv: str | None
    unf: str | None


def gather(commons: Path, runs: Sequence[str]) -> dict[str, pa.Table]:
    """The final records of some runs, by table, sorted by the tables' keys.

    Records of networks still in training are left out.
    """
    wanted = pc.field("run").isin(list(runs))
    snapshot = Snapshot(commons)
    found = {name: snapshot.table(table, final=True, where=wanted) for name, table in TABLES.items()}
    found |= {name: rows.cast(schema) for name, schema, rows in views(commons, runs)}
    return {
        name: rows.sort_by([(key, "ascending") for key in DEPOSITED[name].key])
        for name, rows in found.items()
    }


def write_tables(tables: Mapping[str, pa.Table], folder: Path, csv_rows: int) -> list[WrittenTable]:
    """Write ``data/<table>.parquet`` and, up to ``csv_rows`` rows, ``tables/<table>.csv``.

    An empty table has no CSV file: Dataverse would not ingest it.
    """
    written = []
    for name, rows in tables.items():
        (folder / "data").mkdir(exist_ok=True)
        write_sorted(folder / "data" / f"{name}.parquet", DEPOSITED[name], rows)
        path, unf = None, None
        if name in AS_CSV and 0 < rows.num_rows <= csv_rows:
            path = f"tables/{name}.csv"
            (folder / "tables").mkdir(exist_ok=True)
            atomic_write_bytes(folder / path, csv_bytes(DEPOSITED[name], rows))
            unf = csv_unf(folder / path)
        written.append(WrittenTable(name, rows.num_rows, path, unf))
    return written


def csv_columns(table: Table) -> list[Field]:
    """The columns that a CSV file has: those with one scalar per cell, and the genome."""
    return [c for c in table.columns if c.kind in _FLAT or c.name == "genome"]


def csv_bytes(table: Table, rows: pa.Table) -> bytes:
    """A table as CSV (UTF-8, LF): a missing value is empty, times are ``yyyy-MM-dd HH:mm:ss`` UTC, numbers
    are as short as they can be without losing a bit."""
    columns = csv_columns(table)
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([c.name for c in columns])
    cells = [[_cell(c.kind, value) for value in rows[c.name].to_pylist()] for c in columns]
    writer.writerows(zip(*cells, strict=True))
    return out.getvalue().encode()


def _cell(kind: Kind, value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, datetime):
        return value.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")
    if (
        isinstance(value, float) and kind is Kind.float32
    ):  # 32 bits: as a double it would have digits that were never measured
        return str(np.float32(value))
    if isinstance(value, (int, float)) and kind is Kind.float64:
        return repr(float(value))
    return str(value)
