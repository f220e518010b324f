"""The tables of a commons as one DuckDB file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa

from a4nn_core.commons.merge import chosen_runs
from a4nn_core.commons.schema import FRONT, LINEAGE, TABLES, VIEWS, Table
from a4nn_core.errors import BadInput
from a4nn_core.files import atomic_write, make_folder
from a4nn_core.interchange.parquet import batches, views

if TYPE_CHECKING:
    import duckdb

# so that the command line of any DuckDB since 1.0 opens the file, not only the newest
_STORAGE: dict[str, str | bool | int | float | list[str]] = {"storage_compatibility_version": "v1.0.0"}


def export_duckdb(commons: Path, out: Path, runs: Sequence[str] | None = None) -> dict[str, int]:
    """Write every table into one DuckDB file, with the views and the description of every column.

    Args:
        commons: folder of the commons to read.
        out: a file that does not exist yet; the DuckDB command line, 1.0 or newer, opens it.
        runs: ids of the runs; all if None.

    Returns:
        rows written, by table.

    Raises:
        BadInput: as ``export_tables``.
    """
    import duckdb

    names = chosen_runs(commons, runs)
    if out.exists():
        raise BadInput(f"cannot export to {out}: it exists already")
    make_folder(out.parent)
    with atomic_write(out) as temporary:
        try:
            with duckdb.connect(str(temporary), config=_STORAGE) as database:
                return _fill(database, commons, names)
        except (duckdb.IOException, duckdb.TransactionException, duckdb.FatalException) as error:
            raise BadInput(f"cannot write {out}: {' '.join(str(error).split())}") from None
        finally:
            temporary.with_name(f"{temporary.name}.wal").unlink(missing_ok=True)


def _fill(database: duckdb.DuckDBPyConnection, commons: Path, names: Sequence[str]) -> dict[str, int]:
    counts = {}
    for name, table in TABLES.items():
        reader = pa.RecordBatchReader.from_batches(
            table.schema, (b.cast(table.schema) for b in batches(commons, table, names))
        )
        counts[name] = _create(database, table, reader)
    [front] = [rows for name, _, rows in views(commons, names) if name == "front"]
    counts["front"] = _create(database, FRONT, front)
    for view in VIEWS:
        database.execute(f"create view {view.name} as {view.sql}")
    counts[LINEAGE.name] = int(database.execute("select count(*) from lineage").fetchall()[0][0])
    database.execute("checkpoint")
    return counts


def _create(database: duckdb.DuckDBPyConnection, table: Table, rows: object) -> int:
    database.register("incoming", rows)
    order = ", ".join(table.key)
    database.execute(f"create table {table.name} as select * from incoming order by {order}")
    database.unregister("incoming")
    database.execute(f"comment on table {table.name} is {_quoted('a row is ' + table.row)}")
    for column in table.columns:
        text = f"{column.meaning} [{column.unit}]" if column.unit else column.meaning
        database.execute(f"comment on column {table.name}.{column.name} is {_quoted(text)}")
    return int(database.execute(f"select count(*) from {table.name}").fetchall()[0][0])


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
