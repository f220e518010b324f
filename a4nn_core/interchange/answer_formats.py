"""The formats of an answer, each written batch by batch, so that any number of rows fits into memory."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from a4nn_core.errors import BadInput
from a4nn_core.printable import json_printable, markdown, printable

if TYPE_CHECKING:
    import pyarrow as pa


class Format(StrEnum):
    """The formats of a result."""

    table = "table"
    csv = "csv"
    tsv = "tsv"
    json = "json"
    jsonl = "jsonl"
    parquet = "parquet"
    md = "md"


_SUFFIXES = {
    ".csv": Format.csv,
    ".tsv": Format.tsv,
    ".json": Format.json,
    ".jsonl": Format.jsonl,
    ".ndjson": Format.jsonl,
    ".parquet": Format.parquet,
    ".md": Format.md,
    ".txt": Format.table,
}


def format_of(asked: Format | None, out: Path | None) -> Format:
    """The format that was asked for, or that the suffix of a file says.

    Raises:
        BadInput: the suffix says none.
    """
    if asked is not None or out is None:
        return asked or Format.table
    try:
        return _SUFFIXES[out.suffix.lower()]
    except KeyError:
        raise BadInput(
            f"--out {out}: the suffix does not name a format ({', '.join(_SUFFIXES)}); give --format too"
        ) from None


def batch_rows(format: Format) -> int:
    """Number of rows to have in memory; in Parquet they become a row group, which should not be small."""
    return 122_880 if format is Format.parquet else 8192


def write(
    schema: pa.Schema,
    batches: Iterable[pa.RecordBatch],
    format: Format,
    file: BinaryIO,
    *,
    rows: int | None = None,
    width: int | None = None,
) -> None:
    """Write an answer.

    Args:
        schema: its columns; one of a name that is taken gets a number.
        batches: its rows.
        format: ``json`` is one list of objects; ``csv`` has a header line.
        file: binary, open for writing.
        rows: number of rows to write, 0 for all; None for the default of the format.
        width: characters in a line, if it is a table on a terminal.
    """
    schema = _named(schema)
    if format is Format.table:
        _write_table(schema, batches, file, rows, width)
        return
    wanted = _first(batches, rows) if rows else batches
    match format:
        case Format.parquet:
            _write_parquet(schema, wanted, file)
        case Format.json | Format.jsonl:
            _write_json(schema, wanted, file, one_document=format is Format.json)
        case Format.md:
            _write_markdown(schema, wanted, file)
        case Format.csv | Format.tsv:
            _write_csv(schema, wanted, file, "\t" if format is Format.tsv else ",")


def _named(schema: pa.Schema) -> pa.Schema:
    """The schema with names that differ: a, a_2, a_3."""
    import pyarrow as pa

    fields: dict[str, pa.Field] = {}
    for column in schema:
        name, number = column.name, 1
        while name in fields:
            number += 1
            name = f"{column.name}_{number}"
        fields[name] = column.with_name(name)
    return pa.schema(list(fields.values()))


def _first(batches: Iterable[pa.RecordBatch], rows: int) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        yield batch.slice(0, rows)
        rows -= batch.num_rows
        if rows <= 0:
            return


class _Utf8:
    """A binary file to write text to. It keeps nothing back, so that Ctrl-C need not wait for a full pipe."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def write(self, text: str) -> int:
        return self._file.write(text.encode())


def _write_csv(schema: pa.Schema, batches: Iterable[pa.RecordBatch], file: BinaryIO, delimiter: str) -> None:
    from a4nn_core.interchange.answer_values import data_cell, rows_of, shown_cell

    shown = file.isatty()
    writer = csv.writer(_Utf8(file), delimiter=delimiter, lineterminator="\n")
    writer.writerow(map(printable, schema.names) if shown else schema.names)
    for batch in batches:
        writer.writerows(rows_of(batch, shown_cell if shown else data_cell, plain=not shown))


def _write_json(
    schema: pa.Schema, batches: Iterable[pa.RecordBatch], file: BinaryIO, *, one_document: bool
) -> None:
    from a4nn_core.interchange.answer_values import json_value, rows_of

    before, between = ("[\n", ",\n") if one_document else ("", "\n")
    empty = True
    for batch in batches:
        for row in rows_of(batch, json_value, plain=True):
            text = json.dumps(dict(zip(schema.names, row, strict=True)), ensure_ascii=False)
            file.write(f"{before if empty else between}{json_printable(text)}".encode())
            empty = False
    if one_document:
        file.write(b"[]\n" if empty else b"\n]\n")
    elif not empty:
        file.write(b"\n")


def _write_markdown(schema: pa.Schema, batches: Iterable[pa.RecordBatch], file: BinaryIO) -> None:
    from a4nn_core.interchange.answer_values import people_cell, rows_of

    def line(cells: Iterable[str]) -> bytes:
        return f"| {' | '.join(cells)} |\n".encode()

    def cell(value: object) -> str:
        return markdown(people_cell(value))

    file.write(line(map(cell, schema.names)))
    file.write(line("---:" if number else "---" for number in _numbers(schema)))
    for batch in batches:
        file.writelines(map(line, rows_of(batch, cell, plain=False)))


def _write_table(
    schema: pa.Schema,
    batches: Iterable[pa.RecordBatch],
    file: BinaryIO,
    rows: int | None,
    width: int | None,
) -> None:
    from a4nn_core.interchange.answer_table import lines
    from a4nn_core.interchange.answer_values import people_cell, rows_of

    names = [people_cell(name) for name in schema.names]
    cells = (row for batch in batches for row in rows_of(batch, people_cell, plain=False))
    for line in lines(names, _numbers(schema), cells, most=rows, width=width):
        file.write(f"{line}\n".encode())


def _numbers(schema: pa.Schema) -> list[bool]:
    """Which columns are numbers."""
    from pyarrow import types

    kinds = (types.is_integer, types.is_floating, types.is_decimal)
    return [any(of_kind(column.type) for of_kind in kinds) for column in schema]


def _write_parquet(schema: pa.Schema, batches: Iterable[pa.RecordBatch], file: BinaryIO) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    def storable(kind: pa.DataType) -> pa.DataType:
        # Arrow's Parquet has no intervals of months
        return pa.duration("us") if pa.types.is_interval(kind) else kind

    stored = pa.schema([column.with_type(storable(column.type)) for column in schema])
    try:
        with pq.ParquetWriter(pa.PythonFile(_Counted(file), "w"), stored, compression="zstd") as writer:
            for batch in batches:
                columns = [
                    _lengths(column, name) if pa.types.is_interval(column.type) else column
                    for column, name in zip(batch.columns, schema.names, strict=True)
                ]
                writer.write_batch(pa.RecordBatch.from_arrays(columns, schema=stored))
    except pa.ArrowNotImplementedError as error:
        raise BadInput(f"Parquet cannot hold a column of the answer, cast it to text: {error}") from None


def _lengths(column: pa.Array, name: str) -> pa.Array:
    import pyarrow as pa

    from a4nn_core.interchange.answer_values import microseconds

    found = [None if value is None else microseconds(value) for value in column.to_pylist()]
    if column.null_count < found.count(None):
        raise BadInput(
            f"column {name!r} has an interval with months, which have no fixed length; for Parquet, cast it "
            f"to text: {name}::text"
        )
    return pa.array(found, pa.duration("us"))


class _Counted:
    """A file that knows its place without asking the system, which knows none of a pipe."""

    closed = False

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._at = 0

    def write(self, data: bytes) -> int:
        self._at += len(data)
        return self._file.write(data)

    def tell(self) -> int:
        return self._at

    def flush(self) -> None:
        self._file.flush()

    def close(self) -> None:
        self.flush()
