"""The tables of a commons as Parquet files, for people who have no a4nn."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from a4nn_core.commons.merge import chosen_runs
from a4nn_core.commons.schema import FRONT, LINEAGE, TABLES, Table
from a4nn_core.commons.snapshot import Snapshot
from a4nn_core.errors import BadInput
from a4nn_core.files import atomic_folder

if TYPE_CHECKING:
    from pyarrow import fs


def export_tables(commons: Path, out: str, runs: Sequence[str] | None = None) -> dict[str, int]:
    """Write every table and view as one Parquet file, into a folder or onto an object store.

    Args:
        commons: folder of the commons to read.
        out: a folder that does not exist yet, or a URI of a store pyarrow knows, such as ``s3://bucket/path``.
        runs: ids of the runs; all if None.

    Returns:
        rows written, by table.

    Raises:
        BadInput: no commons, no such run, or the destination cannot be written or exists already.
    """
    from pyarrow import fs

    names = chosen_runs(commons, runs)
    if "://" not in out:
        with atomic_folder(Path(out)) as folder:
            return _write_tables(commons, names, fs.LocalFileSystem(), str(folder))
    try:
        store, path = fs.FileSystem.from_uri(out)
        return _write_tables(commons, names, store, path.rstrip("/"))
    except (OSError, pa.ArrowException) as error:
        text = " ".join(str(error).split())
        raise BadInput(f"cannot export to {without_secrets(out)}: {text}") from None


def without_secrets(place: str) -> str:
    """A path, or a URI without user, password and query."""
    scheme, sign, rest = place.partition("://")
    return f"{scheme}://{rest.partition('?')[0].rpartition('@')[2]}" if sign else place


def batches(commons: Path, table: Table, runs: Sequence[str]) -> Iterable[pa.RecordBatch]:
    """One table of some runs, a batch at a time, so that any size fits into memory."""
    wanted = pc.field("run").isin(list(runs) or [""])
    snapshot = Snapshot(commons)
    for part in snapshot.parts(table):
        yield from part.to_batches(filter=wanted, batch_size=65_536)


def _write_tables(commons: Path, runs: Sequence[str], store: fs.FileSystem, folder: str) -> dict[str, int]:
    counts = {}
    for name, table in TABLES.items():
        counts[name] = _write(store, f"{folder}/{name}.parquet", table.schema, batches(commons, table, runs))
    for name, schema, rows in views(commons, runs):
        counts[name] = _write(store, f"{folder}/{name}.parquet", schema, rows.to_batches())
    return counts


def views(commons: Path, runs: Sequence[str]) -> list[tuple[str, pa.Schema, pa.Table]]:
    """The views as tables: name, schema and rows."""
    import duckdb

    wanted = pc.field("run").isin(list(runs) or [""])
    snapshot = Snapshot(commons)
    front = snapshot.table(FRONT, where=wanted)
    columns = ["run", "network", "parents", "operator", "generation"]
    networks = snapshot.table(TABLES["networks"], columns=columns, where=wanted)
    with duckdb.connect(":memory:") as database:
        database.register("networks", networks)
        lineage = database.sql(LINEAGE.sql).to_arrow_table().cast(LINEAGE.schema)
    return [("front", FRONT.schema, front), ("lineage", LINEAGE.schema, lineage)]


def _write(store: fs.FileSystem, path: str, schema: pa.Schema, rows: Iterable[pa.RecordBatch]) -> int:
    count = 0
    with (
        store.open_output_stream(path) as sink,
        pq.ParquetWriter(sink, schema, compression="zstd", write_page_checksum=True) as writer,
    ):
        for batch in rows:
            if batch.num_rows:
                writer.write_batch(batch.cast(schema))
                count += batch.num_rows
    return count
