"""The files of packs as an Arrow dataset that reads few files and row groups, and repeated texts once.

Arrow skips files and row groups by their least and greatest run and network, but only of columns that it
reads as plain text. Where nothing can be skipped, as in a join of whole tables, columns of few different
texts are read as dictionaries instead: as they are stored, in a fifth of the time.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.dataset as ds

from a4nn_core.commons.scan import FORMAT, LOCAL, Scan, parquet
from a4nn_core.commons.schema import Table

# what Arrow reads before it is asked for; its defaults, 16 batches of each of 4 files, take 500 MB more
_AHEAD = {"batch_readahead": 4, "fragment_readahead": 2}


@dataclass(frozen=True)
class PackFile:
    """One file of a pack.

    Attributes:
        path: path of the file.
        sha256: its SHA-256.
        first, last: least and greatest id of the runs in it.
    """

    path: str
    sha256: str
    first: str
    last: str


class Packed(ds.FileSystemDataset):  # type: ignore[misc]
    """One table as the files of packs hold it.

    Args:
        table: the table.
        files: the files.
    """

    def __init__(self, table: Table, files: Sequence[PackFile]) -> None:
        self._texts = [c.name for c in table.columns if c.name in _REPEATED or c.words is not None]
        encoded = parquet(self._texts)
        run = ds.field("run")
        spans = [(file.path, (run >= file.first) & (run <= file.last)) for file in files]
        self._plain = [FORMAT.make_fragment(path, LOCAL, partition_expression=span) for path, span in spans]
        self._plain_schema = table.schema
        schema = pa.schema(
            [f.with_type(_TEXTS) if f.name in self._texts else f for f in table.schema], table.schema.metadata
        )
        fragments = [encoded.make_fragment(path, LOCAL, partition_expression=span) for path, span in spans]
        super().__init__(fragments, schema, encoded, LOCAL)

    def scanner(self, columns: Any = None, filter: Any = None, **options: Any) -> ds.Scanner | Scan:
        """The rows that meet a condition; see ``pyarrow.dataset.Dataset.scanner``."""
        asked = {"columns": columns, "filter": filter, **_AHEAD, **options}
        if filter is None:
            return super().scanner(**asked)
        plain = ds.FileSystemDataset(self._plain, self._plain_schema, FORMAT, LOCAL)
        left = [part.subset(filter, self._plain_schema) for part in plain.get_fragments(filter=filter)]
        if sum(part.num_row_groups for part in left) == sum(part.num_row_groups for part in self._plain):
            return super().scanner(**asked)
        found = ds.FileSystemDataset(left, self._plain_schema, FORMAT, LOCAL).scanner(**asked)
        schema = ds.dataset(self.schema.empty_table()).scanner(**asked).projected_schema

        def batches() -> Iterator[pa.RecordBatch]:
            for batch in found.to_batches():
                yield batch.cast(schema)

        return Scan(schema, batches)


_TEXTS = pa.dictionary(pa.int32(), pa.string())
_REPEATED = {"run", "function", "expression"}
