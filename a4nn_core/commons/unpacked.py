"""Records that are in no pack yet, as an Arrow dataset that looks only at the runs a query can need.

DuckDB and Arrow ask a dataset for a scanner and give it the query's conditions. Here these are held against
the ids of the runs first; only then is a run's folder listed and are its files opened, a few hundred at a
time, so that neither a hundred thousand files nor their footers are in memory at once.
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


def small_files(table: Table, files: Sequence[Path]) -> ds.Dataset:
    """Some small files as one dataset, which is to be read at once: their footers stay in memory with it.

    Raises:
        Damaged: a column cannot be read as what the table holds.
        OSError, ArrowException: a file is missing, or not a Parquet file.
    """
    fragments = [FORMAT.make_fragment(str(file), LOCAL) for file in files]
    for file, fragment in zip(files, fragments, strict=True):
        found = fragment.physical_schema
        if not found.equals(table.schema):
            present = [column for column in table.schema if column.name in found.names]
            if any(found.field(column.name).type != column.type for column in present):
                read_fragment(file, table)
    return ds.FileSystemDataset(fragments, table.schema, FORMAT, LOCAL)
