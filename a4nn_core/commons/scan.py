"""What the datasets of a commons share: the Parquet format, and a scanner over batches made in Python."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import pyarrow as pa
import pyarrow.dataset as ds
from pyarrow import fs

LOCAL = fs.LocalFileSystem()


def parquet(dictionaries: Sequence[str] = ()) -> ds.ParquetFileFormat:
    """Parquet whose page checksums are verified; the columns named are read as dictionaries."""
    return ds.ParquetFileFormat(
        dictionary_columns=list(dictionaries),
        default_fragment_scan_options=ds.ParquetFragmentScanOptions(page_checksum_verification=True),
    )


FORMAT = parquet()


class Scan:
    """What a scanner is to DuckDB and Arrow: batches of the columns and rows that were asked for.

    They are made in the thread that asks, not in one of Arrow's: a few scans would block all of those.

    Attributes:
        projected_schema: schema of the batches.
    """

    def __init__(self, schema: pa.Schema, batches: Callable[[], Iterator[pa.RecordBatch]]) -> None:
        self.projected_schema = schema
        self._batches = batches

    def to_reader(self) -> pa.RecordBatchReader:
        """The batches, as a stream."""
        return pa.RecordBatchReader.from_batches(self.projected_schema, self._batches())

    def to_batches(self) -> Iterator[pa.RecordBatch]:
        """The batches."""
        return self._batches()

    def to_table(self) -> pa.Table:
        """All of them, in memory."""
        return pa.Table.from_batches(self._batches(), self.projected_schema)
