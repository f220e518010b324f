"""Parquet files of a commons: written atomically with checksums; damage is reported with the file's name."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from a4nn_core.commons.layout import Damaged
from a4nn_core.commons.schema import Table
from a4nn_core.files import atomic_write, make_folder

# in the metadata of a fragment of ``networks``: checksums of the network's other files, and of its own row
CHECKSUM = "sha256 of "


def file_checksum(path: Path) -> str:
    """SHA-256 of a file, hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def rows_checksum(rows: pa.Table) -> str:
    """SHA-256 of the values of rows, independent of their file; nulls are left out, so that columns can be
    added."""
    held = [{k: v for k, v in row.items() if v is not None} for row in rows.to_pylist()]
    return hashlib.sha256(repr(held).encode()).hexdigest()


def write_fragment(path: Path, data: pa.Table, notes: Mapping[str, str] | None = None) -> None:
    """Write one Parquet file, zstd-compressed, with a checksum on every page.

    Args:
        path: path of the file; its folder is created if missing.
        data: the rows.
        notes: entries for the file's metadata.

    Raises:
        BadInput: the disk is full or the folder cannot be written; no partial file stays.
    """
    make_folder(path.parent)
    if notes:
        data = data.replace_schema_metadata({**(data.schema.metadata or {}), **notes})
    with parquet_sink(path) as sink:
        pq.write_table(data, sink, compression="zstd", write_page_checksum=True)


@contextmanager
def parquet_sink(path: Path) -> Iterator[pa.NativeFile]:
    """A file to write Parquet into, which takes its name when all is written; see ``atomic_write``. Given a
    path instead, Arrow's writer leaves the file open when the disk is full."""
    with atomic_write(path) as temporary, pa.OSFile(str(temporary), "wb") as sink:
        yield sink


def read_fragment(path: Path, table: Table, columns: Sequence[str] | None = None) -> pa.Table:
    """The rows of one Parquet file, with the present columns of the table.

    Columns that an older version of the table did not have are null.

    Args:
        path: path of the file.
        table: the table.
        columns: names of the columns to read, in the order of the table; all if None. The others must have
            the right type, too.

    Raises:
        Damaged: the file is truncated, a page does not match its checksum, or a column has another type.
    """
    names = table.schema.names if columns is None else columns
    schema = table.schema if columns is None else pa.schema([table.schema.field(name) for name in names])
    with _damage_of(path):
        file = _opened(path)
        if file.schema_arrow.equals(table.schema):
            return file.read(columns=columns, use_threads=False).cast(schema)
        found = file.read(use_threads=False)
        present = {
            field.name: found.column(field.name).cast(field.type)
            for field in table.schema
            if field.name in found.column_names
        }
        rows = found.num_rows
        return pa.table(
            [present.get(field.name, pa.nulls(rows, field.type)) for field in schema], schema=schema
        )


def check_fragment(path: Path, table: Table) -> None:
    """Look at the footer of a Parquet file; read it, if its columns are not those of the table.

    Raises:
        Damaged: it has no readable footer, or a column has another type.
    """
    with _damage_of(path):
        alike = _opened(path).schema_arrow.equals(table.schema)
    if not alike:
        read_fragment(path, table)


def _opened(path: Path) -> pq.ParquetFile:
    """A small file in memory: reading it piece by piece takes longer."""
    return pq.ParquetFile(pa.BufferReader(path.read_bytes()), page_checksum_verification=True)


@contextmanager
def _damage_of(path: Path) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        raise
    except (OSError, ValueError, KeyError, pa.ArrowException) as error:
        raise Damaged(f"{path} is damaged: {' '.join(str(error).split())}") from None


def fragment_numbers(folder: Path) -> dict[int, Path]:
    """The fragments in a table's folder, by number of the network."""
    if not folder.is_dir():
        return {}
    return {
        int(path.stem): path
        for path in sorted(folder.iterdir())
        if path.suffix == ".parquet" and path.stem.isdigit()
    }


def read_notes(path: Path) -> dict[str, str]:
    """The ``notes`` that a Parquet file was written with.

    Raises:
        Damaged: it has no readable footer.
    """
    with _damage_of(path):
        metadata = pq.read_schema(path).metadata or {}
    return {key.decode(errors="replace"): value.decode(errors="replace") for key, value in metadata.items()}
