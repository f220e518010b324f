"""``a4nn sql``: query a commons with one SELECT."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, BinaryIO

import typer

from a4nn_core.cli.options import DEFAULT_COMMONS, CommonsOption, JsonOption, say
from a4nn_core.errors import BadInput
from a4nn_core.files import atomic_write
from a4nn_core.interchange.answer_formats import Format, batch_rows, format_of, write

_INTERRUPTED = 130


def sql(
    query: Annotated[
        str | None,
        typer.Argument(
            metavar="[QUERY]",
            help="One SELECT over runs, networks, epochs, predictions, considered, rejected, events, layers, "
            "edges, lineage, wiring, front; @FILE reads it from a file, - from standard input.",
        ),
    ] = None,
    file: Annotated[
        Path | None,
        typer.Option(
            "--file", metavar="FILE", help="File with the query.", readable=False, show_default=False
        ),
    ] = None,
    commons: CommonsOption = DEFAULT_COMMONS,
    format: Annotated[
        Format | None,
        typer.Option(
            "--format",
            help="How to write the result; default: as the suffix of --out says, otherwise a table.",
            show_default=False,
        ),
    ] = None,
    json_: JsonOption = False,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            metavar="FILE",
            readable=False,
            help="File to write to: .csv, .tsv, .json, .jsonl, .ndjson, .parquet, .md or .txt.",
            show_default=False,
        ),
    ] = None,
    rows: Annotated[
        int | None,
        typer.Option(
            "--rows",
            min=0,
            metavar="N",
            help="Write the first N rows, 0 for all; default: all, in a terminal's table the first 40.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Query a commons with SQL: one SELECT statement, which can read nothing but the commons."""
    from a4nn_core.commons import Commons

    terminal = out is None and sys.stdout.isatty()
    chosen = format_of(Format.json if json_ else format, out)
    if chosen is Format.parquet and terminal:
        raise BadInput("Parquet is not for a terminal: give --out FILE or pipe the output")
    store = Commons(
        commons,
        lambda run, error: say(f"warning: run {run} is left out: {error}"),
        lambda runs: say(
            f"note: {runs} runs are not compacted, so this takes long; a4nn commons compact, once"
        ),
    )
    answer = store.ask(_query(query, file), batch_rows(chosen))

    width = shutil.get_terminal_size().columns if terminal else None
    try:
        with _sink(out) as sink, answer:
            write(answer.schema, answer, chosen, sink, rows=rows, width=width)
    except KeyboardInterrupt:
        # all is put away, and an orderly end could wait: for a function of DuckDB that does not hear, or for
        # whoever reads the pipe to take what is still in the buffer
        os._exit(_INTERRUPTED)


@contextmanager
def _sink(out: Path | None) -> Iterator[BinaryIO]:
    """Standard output, or a file that gets its name when it is complete."""
    if out is None:
        yield sys.stdout.buffer
        sys.stdout.flush()
        return
    with atomic_write(out) as temporary, temporary.open("wb") as file:
        yield file


def _query(query: str | None, file: Path | None) -> str:
    """The text of the query, wherever it was given."""
    if (query is None) == (file is None):
        raise BadInput("give one query: as text, as @FILE, as --file FILE, or as - to read standard input")
    if query == "-":
        return sys.stdin.read()
    if query is not None and query.startswith("@"):
        file = Path(query[1:])
    if file is None:
        return query or ""
    try:
        return file.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise BadInput(f"query file {file} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise BadInput(f"query file {file} is not text") from None
