"""Handing over: one commons into another, and its tables to people who have no a4nn."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from a4nn_core.commons.archive import Archive
from a4nn_core.commons.compact import PACK_ROWS, Batch, complete, only_one, whole_run
from a4nn_core.commons.layout import RunFolder, check_layout, open_commons, read_json, write_json
from a4nn_core.commons.lock import holder
from a4nn_core.commons.schema import LINEAGE, NETWORK_TABLES, TABLES, Table, front_table
from a4nn_core.commons.snapshot import RunSnapshot, Snapshot, run_names
from a4nn_core.errors import BadInput
from a4nn_core.files import make_folder, user_errors, whole_file, whole_folder

# so that the command line of any DuckDB since 1.0 opens the file, not only the newest
_STORAGE: dict[str, str | bool | int | float | list[str]] = {"storage_compatibility_version": "v1.0.0"}
_LINEAGE_SQL = "select run, network, unnest(parents) as parent, operator, generation from networks"


@dataclass
class Merged:
    """What a merge did.

    Attributes:
        added: run in the source to its id in the target.
        present: runs that were in the target already, the same.
    """

    added: dict[str, str] = field(default_factory=dict)
    present: list[str] = field(default_factory=list)


def chosen_runs(commons: Path, runs: Sequence[str] | None) -> list[str]:
    """The runs asked for, all if none.

    Raises:
        BadInput: it is no commons, or has no such run.
    """
    check_layout(commons)
    known = run_names(commons)
    for run in runs or ():
        if run not in known:
            raise BadInput(f"{commons} has no run {run!r}; runs there: {', '.join(known[:20]) or 'none'}")
    return list(runs) if runs else known


def merge(source: Path, target: Path, runs: Sequence[str] | None = None) -> Merged:
    """Add runs of one commons to another, which is created if missing.

    A run that the target has already is left alone; one whose id another run has taken there gets a new one,
    ``<id>-2``. Checkpoints and the journals of networks in training come along. A run appears in the target
    whole or not at all.

    Args:
        source: commons to read.
        target: commons to write.
        runs: ids; all if None.

    Raises:
        BadInput: no commons, no such run, a run that is being written, or a target that cannot be written.
    """
    names = chosen_runs(source, runs)
    for run in names:
        held = holder(RunFolder(source, run).lock)
        if held is not None:
            raise BadInput(f"run {run!r} in {source} is being written by process {held.get('pid')}")
    if source.resolve() == target.resolve():
        raise BadInput(f"{source} cannot be merged into itself")
    open_commons(target)
    make_folder(target / "runs")
    done = Merged()
    with only_one(target):
        archive = Archive(target)
        batch = Batch()
        packs = list(archive.packs)
        arrivals: list[tuple[Path, Path]] = []
        try:
            for run in names:
                stored = read_json(RunFolder(source, run).run_file)
                new = _free_id(target, run, stored, {there.name for _, there in arrivals})
                if new is None:
                    done.present.append(run)
                    continue
                arriving = target / "runs" / f".{new}.{os.getpid()}.unfinished"
                arrivals.append((arriving, target / "runs" / new))
                with user_errors("write", arriving):
                    _copy_run(source, run, stored, new, arriving, batch)
                done.added[run] = new
                if batch.epochs >= PACK_ROWS:
                    packs.append(batch.write(archive))
                    batch = Batch()
            if batch.started:
                packs.append(batch.write(archive))
            archive.commit(packs)
            for arriving, there in arrivals:
                arriving.rename(there)
        except BaseException:
            for arriving, _ in arrivals:
                shutil.rmtree(arriving, ignore_errors=True)
            raise
    return done


def _free_id(target: Path, run: str, stored: dict[str, Any], arriving: set[str]) -> str | None:
    """The id a run gets in the target; None if it is there already."""
    number = 1
    while True:
        name = run if number == 1 else f"{run[:95]}-{number}"
        folder = RunFolder(target, name)
        if not folder.run_file.exists():
            if name not in arriving:
                return name
        else:
            there = read_json(folder.run_file)
            if there["started"] == stored["started"] and there["header"] == stored["header"]:
                return None
        number += 1


def _copy_run(source: Path, run: str, stored: dict[str, Any], new: str, arriving: Path, batch: Batch) -> None:
    folder = RunFolder(source, run)
    snapshot = Snapshot(source, run)  # holds the readers' lock until all is copied
    alone = RunSnapshot(folder, Archive(source))
    arriving.mkdir()
    if (folder.path / "checkpoints").is_dir():
        shutil.copytree(folder.path / "checkpoints", arriving / "checkpoints")
    for number in alone.training:
        (arriving / "journals").mkdir(exist_ok=True)
        shutil.copy2(folder.journal(number), arriving / "journals")
    if folder.events.exists():
        shutil.copy2(folder.events, arriving)
    write_json(arriving / "run.json", {**stored, "run": new})
    tables = {name: snapshot.table(TABLES[name], final=True) for name in NETWORK_TABLES}
    if complete(alone):
        tables |= whole_run(source, alone)
        state = (arriving / "run.json").stat()
        batch.sealed[new] = [state.st_size, state.st_mtime_ns]
    if new != run:
        tables = {name: _renamed(rows, run, new) for name, rows in tables.items()}
    batch.add(tables, {new: str(stored["started"])})


def _renamed(rows: pa.Table, run: str, new: str) -> pa.Table:
    index = rows.schema.get_field_index("run")
    rows = rows.set_column(index, rows.schema.field(index), pa.array([new] * rows.num_rows, pa.string()))
    for name in ("checkpoint", "best_checkpoint"):
        index = rows.schema.get_field_index(name)
        if index >= 0:
            moved = pc.replace_substring_regex(rows[name], f"^runs/{run}/", f"runs/{new}/")
            rows = rows.set_column(index, rows.schema.field(index), moved)
    return rows


def export_tables(commons: Path, out: str, runs: Sequence[str] | None = None) -> dict[str, int]:
    """Write every table and view as one Parquet file, into a folder or onto an object store.

    Args:
        commons: to read.
        out: a folder that does not exist yet, or a URI of a store pyarrow knows, such as ``s3://bucket/path``.
        runs: ids; all if None.

    Returns:
        rows written, by table.

    Raises:
        BadInput: no commons, no such run, or the place cannot be written or is taken.
    """
    from pyarrow import fs

    names = chosen_runs(commons, runs)
    if "://" not in out:
        with whole_folder(Path(out)) as folder:
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


def _write_tables(commons: Path, runs: Sequence[str], store: Any, folder: str) -> dict[str, int]:
    counts = {}
    for name, table in TABLES.items():
        counts[name] = _write(store, f"{folder}/{name}.parquet", table.schema, batches(commons, table, runs))
    for name, schema, rows in views(commons, runs):
        counts[name] = _write(store, f"{folder}/{name}.parquet", schema, rows.to_batches())
    return counts


def views(commons: Path, runs: Sequence[str]) -> list[tuple[str, pa.Schema, pa.Table]]:
    """The views as tables: name, schema and rows."""
    wanted = pc.field("run").isin(list(runs) or [""])
    front = Snapshot(commons).front().filter(wanted)
    parts = Snapshot(commons).parts(TABLES["networks"])
    columns = ["run", "network", "parents", "operator", "generation"]
    networks = pa.concat_tables([p.to_table(columns=columns, filter=wanted) for p in parts])
    children = pc.list_parent_indices(networks["parents"])
    lineage = pa.table(
        {
            "run": networks["run"].take(children),
            "network": networks["network"].take(children),
            "parent": pc.list_flatten(networks["parents"]),
            "operator": networks["operator"].take(children),
            "generation": networks["generation"].take(children),
        }
    ).cast(LINEAGE.schema)
    return [("front", front_table().schema, front), ("lineage", LINEAGE.schema, lineage)]


def _write(store: Any, path: str, schema: pa.Schema, rows: Iterable[pa.RecordBatch]) -> int:
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


def export_duckdb(commons: Path, out: Path, runs: Sequence[str] | None = None) -> dict[str, int]:
    """Write every table into one DuckDB file, with the views and the description of every column.

    Args:
        commons: to read.
        out: a file that does not exist yet; it opens in the plain DuckDB command line, 1.0 or newer.
        runs: ids; all if None.

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
    with whole_file(out) as temporary:
        try:
            with duckdb.connect(str(temporary), config=_STORAGE) as database:
                return _fill(database, commons, names)
        except (duckdb.IOException, duckdb.TransactionException, duckdb.FatalException) as error:
            raise BadInput(f"cannot write {out}: {' '.join(str(error).split())}") from None
        finally:
            temporary.with_name(f"{temporary.name}.wal").unlink(missing_ok=True)


def _fill(database: Any, commons: Path, names: Sequence[str]) -> dict[str, int]:
    counts = {}
    for name, table in TABLES.items():
        reader = pa.RecordBatchReader.from_batches(
            table.schema, (b.cast(table.schema) for b in batches(commons, table, names))
        )
        counts[name] = _create(database, table, reader)
    [front] = [rows for name, _, rows in views(commons, names) if name == "front"]
    counts["front"] = _create(database, front_table(), front)
    database.execute(f"create view lineage as {_LINEAGE_SQL}")
    counts["lineage"] = int(database.execute("select count(*) from lineage").fetchall()[0][0])
    database.execute("checkpoint")
    return counts


def _create(database: Any, table: Table, rows: Any) -> int:
    database.register("incoming", rows)
    order = ", ".join(table.key)
    database.execute(f"create table {table.name} as select * from incoming order by {order}")
    database.unregister("incoming")
    database.execute(f"comment on table {table.name} is {_quoted('a row is ' + table.row)}")
    for column in table.columns:
        text = f"{column.text} [{column.unit}]" if column.unit else column.text
        database.execute(f"comment on column {table.name}.{column.name} is {_quoted(text)}")
    return int(database.execute(f"select count(*) from {table.name}").fetchall()[0][0])


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
