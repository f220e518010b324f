"""``a4nn sql``: query a commons with one SELECT."""

from __future__ import annotations

import csv
import io
import json
import sys
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO

import typer

from a4nn_core.cli.options import DEFAULT_COMMONS, CommonsOption, JsonOption, say
from a4nn_core.errors import BadInput
from a4nn_core.printable import json_printable, printable

if TYPE_CHECKING:
    import pyarrow as pa


class Format(StrEnum):
    """The formats of a result."""

    table = "table"
    csv = "csv"
    json = "json"
    parquet = "parquet"


def sql(
    query: Annotated[
        str,
        typer.Argument(
            help="One SELECT over runs, networks, epochs, predictions, considered, events, layers, edges, "
            "lineage, front."
        ),
    ],
    commons: CommonsOption = DEFAULT_COMMONS,
    format: Annotated[Format, typer.Option("--format", help="How to write the result.")] = Format.table,
    json_: JsonOption = False,
    out: Annotated[
        Path | None,
        typer.Option("--out", help="File to write to instead of standard output.", show_default=False),
    ] = None,
) -> None:
    """Query a commons with SQL: one SELECT statement, which can read nothing but the commons."""
    from a4nn_core.commons import Commons

    data = Commons(commons).answer(query, lambda run, error: say(f"warning: run {run} is left out: {error}"))
    chosen = Format.json if json_ else format
    if out is not None:
        from a4nn_core.files import atomic_write

        with atomic_write(out) as temporary, temporary.open("wb") as file:
            write(data, chosen, file)
    else:
        if chosen is Format.parquet and sys.stdout.isatty():
            raise BadInput("Parquet is not for a terminal: give --out FILE or pipe the output")
        write(data, chosen, sys.stdout.buffer)
        sys.stdout.flush()


def write(data: pa.Table, format: Format, file: BinaryIO) -> None:
    """Write a result.

    Args:
        data: the result.
        format: ``json`` is one list of objects; ``csv`` has a header line.
        file: binary, open for writing.
    """
    import pyarrow.parquet as pq

    match format:
        case Format.parquet:
            sink = io.BytesIO()  # a pipe is not seekable
            pq.write_table(data, sink, compression="zstd")
            file.write(sink.getvalue())
        case Format.json:
            text = json.dumps(_rows(data), ensure_ascii=False, indent=1, default=str)
            file.write(json_printable(text).encode() + b"\n")
        case Format.csv:
            text_file = io.StringIO(newline="")
            writer = csv.writer(text_file, lineterminator="\n")
            cell = printable if file.isatty() else str
            writer.writerow(map(cell, data.column_names))
            writer.writerows([cell(_text(v, null="")) for v in row.values()] for row in _rows(data))
            file.write(text_file.getvalue().encode())
        case Format.table:
            file.write(_table(data).encode())
    file.flush()


def _rows(data: pa.Table) -> list[dict[str, object]]:
    names = [f"{i}:{name}" for i, name in enumerate(data.column_names)]  # names may repeat
    rows = data.rename_columns(names).to_pylist()
    seen: dict[str, int] = {}
    final = []
    for name in data.column_names:
        seen[name] = seen.get(name, 0) + 1
        final.append(name if seen[name] == 1 else f"{name}_{seen[name]}")
    maps = {i for i, field in enumerate(data.schema) if str(field.type).startswith("map<")}
    return [
        {
            name: _as_json(dict(value) if i in maps and value is not None else value)
            for i, (name, value) in enumerate(zip(final, row.values(), strict=True))
        }
        for row in rows
    ]


def _as_json(value: object) -> object:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, float) and value != value:
        return None
    if isinstance(value, (dict, list)):
        items = value.items() if isinstance(value, dict) else enumerate(value)
        made = {k: _as_json(v) for k, v in items}
        return made if isinstance(value, dict) else list(made.values())
    if isinstance(value, float) and value in (float("inf"), float("-inf")):
        return None
    return value


def _text(value: object, null: str, digits: int | None = None) -> str:
    if value is None:
        return null
    if isinstance(value, float):
        return repr(value) if digits is None else f"{value:.{digits}g}"
    if isinstance(value, (dict, list)):
        return json.dumps(value, ensure_ascii=False, default=str)
    return str(value)


def _table(data: pa.Table) -> str:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    # without a terminal a table keeps its full width: nothing is folded
    console = Console(file=io.StringIO(), width=None if sys.stdout.isatty() else 10_000)
    table = Table(show_edge=False, pad_edge=False)
    for field in data.schema:
        number = str(field.type).startswith(("int", "uint", "float", "double", "decimal", "half"))
        table.add_column(Text(printable(field.name)), justify="right" if number else "left", overflow="fold")
    for row in _rows(data):
        table.add_row(*(Text(printable(_text(value, null="", digits=6))) for value in row.values()))
    console.print(table)
    text: str = console.file.getvalue()  # type: ignore[attr-defined]
    lines = [line.rstrip() for line in text.splitlines()]
    return "\n".join([*lines, f"({data.num_rows} row{'' if data.num_rows == 1 else 's'})", ""])
