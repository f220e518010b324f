"""Records that are in no pack yet, as an Arrow dataset that looks only at the runs a query can need.

DuckDB and Arrow ask a dataset for a scanner and give it the query's conditions. Here these are held against
the ids of the runs first; only then is a run's folder listed and are its files opened, a few hundred at a
time, so that neither a hundred thousand files nor their footers are in memory at once. A file that is named
after its network is opened only if the conditions leave it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
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


def small_files(table: Table, files: Sequence[Path], filter: ds.Expression | None = None) -> ds.Dataset:
    """Some small files as one dataset, which is to be read at once: their footers stay in memory with it.

    Args:
        table: the table.
        files: its files, each of one run; of one network, if the name is a number.
        filter: condition on the rows; files of networks that do not meet it are left out.

    Raises:
        Damaged: a column cannot be read as what the table holds.
        OSError, ArrowException: a file is missing, or not a Parquet file.
    """
    every = [FORMAT.make_fragment(str(file), LOCAL, partition_expression=_holds(file)) for file in files]
    whole = ds.FileSystemDataset(every, table.schema, FORMAT, LOCAL)
    fragments = list(whole.get_fragments(filter=filter))
    for fragment in fragments:
        found = fragment.physical_schema
        if not found.equals(table.schema):
            present = [column for column in table.schema if column.name in found.names]
            if any(found.field(column.name).type != column.type for column in present):
                read_fragment(Path(fragment.path), table)
    return ds.FileSystemDataset(fragments, table.schema, FORMAT, LOCAL)


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
