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
import pyarrow.parquet as pq

from a4nn_core.commons.archive import write_sorted
from a4nn_core.commons.columns import Field, Kind
from a4nn_core.commons.layout import Damaged
from a4nn_core.commons.schema import FRONT, LINEAGE, TABLES, Table
from a4nn_core.commons.snapshot import Snapshot
from a4nn_core.commons.valid import schema_problems
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


# What a table of a deposit may take in memory: more than any search needs and, beyond what is little, a
# multiple of its file that real tables stay below (the layers of equal networks take a hundred times as much)
_MOST_BYTES = 4 << 30
_LITTLE = 256 << 20
_MOST_TIMES = 200


def read_table(path: Path, table: Table) -> pa.Table:
    """One table of a deposit that may come from strangers; columns that older versions lack are null.

    Raises:
        Damaged: it cannot be read, has not the columns of the table, or would take too much memory, which is
            known before it is taken.
    """
    most = min(_MOST_BYTES, _LITTLE + _MOST_TIMES * path.stat().st_size)
    try:
        for problem in schema_problems(pq.read_schema(path), table):
            raise Damaged(f"{path} {problem}")
        # a text that is there many times is read once, so that its length is known before it is repeated
        texts = [column.name for column in table.columns if column.kind in (Kind.text, Kind.json)]
        file = pq.ParquetFile(path, page_checksum_verification=True, read_dictionary=texts)
        size, batches = _claimed(file.metadata), []
        if size <= most:
            size = 0
            for batch in file.iter_batches(8192):
                size += sum(map(_unfolded, batch.columns))
                if size > most:
                    break
                batches.append(batch)
        if size > most:
            raise Damaged(
                f"{path} has {path.stat().st_size} bytes and {file.metadata.num_rows} rows, which would take "
                f"more than the {most >> 20} MiB of memory that such a file may take"
            )
        found = pa.Table.from_batches(batches, file.schema_arrow)
        columns = [
            found[field.name].cast(field.type)
            if field.name in found.column_names
            else pa.nulls(found.num_rows, field.type)
            for field in table.schema
        ]
    except (OSError, ValueError, KeyError, pa.ArrowException) as error:
        raise Damaged(f"{path} is damaged: {' '.join(str(error).split())}") from None
    return pa.table(columns, schema=table.schema)


def _claimed(metadata: pq.FileMetaData) -> int:
    """Bytes that a file says its values take, at least."""
    size = 0
    for group in range(metadata.num_row_groups):
        for index in range(metadata.num_columns):
            column = metadata.row_group(group).column(index)
            width = 8 if column.physical_type in ("INT64", "DOUBLE") else 4
            size += max(column.num_values * width, column.total_uncompressed_size)
    return size


def _unfolded(values: pa.Array) -> int:
    """Bytes that values take with every text as often as it is there."""
    if not pa.types.is_dictionary(values.type):
        return int(values.nbytes)
    lengths = pc.binary_length(values.dictionary).take(values.indices)
    return 4 * len(values) + (pc.sum(lengths).as_py() or 0)


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
