"""Records that are in no pack yet, as an Arrow dataset that looks only at the runs a query can need.

DuckDB and Arrow ask a dataset for a scanner and give it the query's conditions. Here these are held against
the ids of the runs first; only then is a run's folder listed and are its files opened, a few hundred at a
time. A file that is named after its network is opened only if the conditions leave it. Such a file is read
as a whole by one call: Arrow's datasets, made for large files, take twice as long.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.dataset as ds

from a4nn_core.commons.fragments import read_fragment
from a4nn_core.commons.scan import FORMAT, LOCAL, Scan
from a4nn_core.commons.schema import Table

FILES_AT_ONCE = 256


class Unpacked(ds.FileSystemDataset):  # type: ignore[misc]
    """One table of some runs. Each run is a fragment of which only the id is known until it is read.

    Args:
        table: the table.
        runs: ids of the runs.
        read: gives parts of the table, given the ids of the runs that are needed and what
            ``pyarrow.dataset.Dataset.to_table`` takes: columns, filter.
    """

    def __init__(
        self,
        table: Table,
        runs: Iterable[str],
        read: Callable[[Sequence[str], Mapping[str, Any]], Iterator[pa.Table]],
    ) -> None:
        run = ds.field("run")
        known = [FORMAT.make_fragment(name, LOCAL, partition_expression=run == name) for name in runs]
        super().__init__(known, table.schema, FORMAT, LOCAL)
        self._read = read

    def scanner(self, columns: Any = None, filter: Any = None, **options: Any) -> Scan:
        """The rows that meet a condition; see ``pyarrow.dataset.Dataset.scanner``."""
        asked = {"columns": columns, "filter": filter, **options}
        schema = ds.dataset(self.schema.empty_table()).scanner(**asked).projected_schema
        needed = [fragment.path for fragment in self.get_fragments(filter=filter)]

        def batches() -> Iterator[pa.RecordBatch]:
            for part in self._read(needed, asked):
                yield from part.cast(schema).combine_chunks().to_batches()

        return Scan(schema, batches)


def read_files(table: Table, files: Sequence[Path], asked: Mapping[str, Any]) -> pa.Table:
    """The rows of some small files that meet a condition.

    Args:
        table: the table.
        files: its files; one whose name is a number holds the network of that number and no other.
        asked: what ``pyarrow.dataset.Dataset.to_table`` takes: columns, filter.

    Raises:
        Damaged: a file is not a Parquet file, or a column cannot be read as what the table holds.
        FileNotFoundError: a file is missing.
    """
    left = _perhaps_asked(table, files, asked.get("filter"))
    needed = _needed(table, asked)
    some = [left[at : at + _FILES_IN_TURN] for at in range(0, len(left), _FILES_IN_TURN)]

    def read(files: Sequence[Path]) -> list[pa.Table]:
        return [read_fragment(file, table, needed) for file in files]

    if len(some) > 1:
        with ThreadPoolExecutor(_THREADS) as pool:
            parts = [part for parts in pool.map(read, some) for part in parts]
    else:
        parts = read(left)
    schema = pa.schema([table.schema.field(name) for name in needed], table.schema.metadata)
    return ds.dataset(pa.concat_tables([schema.empty_table(), *parts])).to_table(**asked)


_FILES_IN_TURN = 32
_THREADS = min(4, os.cpu_count() or 1)


def _perhaps_asked(table: Table, files: Sequence[Path], filter: ds.Expression | None) -> Sequence[Path]:
    """The files whose names a condition leaves."""
    if filter is None or "network" not in str(filter):
        return files
    holds = [_holds(file) for file in files]
    known = [FORMAT.make_fragment(str(file), LOCAL, part) for file, part in zip(files, holds, strict=True)]
    whole = ds.FileSystemDataset(known, table.schema, FORMAT, LOCAL)
    return [Path(fragment.path) for fragment in whole.get_fragments(filter=filter)]


def _needed(table: Table, asked: Mapping[str, Any]) -> list[str]:
    """Columns to read: those that are asked for, and at least those of the condition."""
    columns, condition = asked.get("columns"), str(asked.get("filter"))
    if not isinstance(columns, list):
        return list(table.schema.names)
    found = [name for name in table.schema.names if name in columns or name in condition]
    return found or [table.schema.names[0]]


def _holds(file: Path) -> ds.Expression | None:
    """What is known of the rows of a file from its name."""
    return ds.field("network") == pa.scalar(int(file.stem), pa.int32()) if file.stem.isdigit() else None


def key_rows(
    networks: Table, numbers: Mapping[str, Sequence[int]], asked: Mapping[str, Any]
) -> pa.Table | None:
    """Rows of ``networks`` of which only run and number are asked; their files need not be opened for that.

    Args:
        networks: the table.
        numbers: run id to the numbers of its networks.
        asked: what ``pyarrow.dataset.Dataset.to_table`` takes: columns, filter.

    Returns:
        None if columns, or the conditions, need more.
    """
    columns = asked.get("columns")
    if not isinstance(columns, list) or not set(columns) <= set(networks.key):
        return None
    schema = pa.schema([networks.schema.field(name) for name in networks.key])
    try:
        ds.dataset(schema.empty_table()).scanner(**asked)
    except pa.ArrowInvalid:  # a condition on another column
        return None
    runs = [run for run, of_run in numbers.items() for _ in of_run]
    rows = pa.table([runs, [number for of_run in numbers.values() for number in of_run]], schema=schema)
    return ds.dataset(rows).to_table(**asked)
