"""One SELECT, answered by a DuckDB that reaches nothing but the tables it is given."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from threading import Event, Thread
from types import TracebackType
from typing import TYPE_CHECKING, TypeVar

import pyarrow as pa

from a4nn_core.errors import BadInput
from a4nn_core.files import denied

if TYPE_CHECKING:
    import duckdb

T = TypeVar("T")

# Disabled before a query is parsed: by default DuckDB reads any file that a SELECT names, loads extensions,
# and takes variables of the calling Python program as tables.
_CLOSED: dict[str, str | bool | int | float | list[str]] = {
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "python_enable_replacements": "false",
    "allow_community_extensions": "false",
}
_END = re.compile(r";\s*(--[^\n]*\s*|/\*.*?\*/\s*)*$", re.DOTALL)
"""the semicolon of a statement, and the comments after it"""
_PATIENCE_SECONDS = 0.5
"""DuckDB ends most queries within a few milliseconds of being told to; some functions do not hear"""


def connect() -> duckdb.DuckDBPyConnection:
    """A connection to an empty database in memory; ``seal`` it before it is asked anything."""
    import duckdb

    return duckdb.connect(":memory:", config=_CLOSED)


def seal(connection: duckdb.DuckDBPyConnection) -> None:
    """Take away files, network and settings, for good. Times are in UTC, whatever the machine's zone is, and
    nothing is printed."""
    connection.execute("set TimeZone = 'UTC'")
    connection.execute("set enable_progress_bar = false")
    connection.execute("set enable_external_access = false")
    connection.execute("set lock_configuration = true")


def check_select(connection: duckdb.DuckDBPyConnection, query: str) -> None:
    """Refuse what is not one SELECT statement.

    Raises:
        BadInput: it is none, or more than one.
    """
    import duckdb

    statements = connection.extract_statements(query)
    if len(statements) == 1 and statements[0].type == duckdb.StatementType.SELECT:
        return
    if len(statements) == 1 and _is_pivot(connection, statements[0]):
        return
    kinds = ", ".join(str(s.type).rpartition(".")[2] for s in statements) or "nothing"
    raise BadInput(f"only one SELECT statement can be asked of a commons, not {kinds}: {_clip(query)}")


def _is_pivot(connection: duckdb.DuckDBPyConnection, statement: duckdb.Statement) -> bool:
    """Whether a statement is a query with a PIVOT that takes its columns from the data.

    DuckDB makes several statements of one, as of CREATE TABLE or COPY with such a PIVOT; only a query can
    stand where a table does.
    """
    import duckdb

    if statement.type != duckdb.StatementType.MULTI:
        return False
    try:
        again = connection.extract_statements(f"from (\n{_END.sub('', statement.query)}\n)")
    except duckdb.Error:
        return False
    return len(again) == 1 and again[0].type == duckdb.StatementType.MULTI


def _clip(query: str) -> str:
    flat = " ".join(query.split())
    return flat if len(flat) <= 100 else f"{flat[:97]}..."


@contextmanager
def failures_named() -> Iterator[None]:
    """Turn the errors of a query that fails into one sentence."""
    import duckdb

    try:
        yield
    except PermissionError as error:
        raise BadInput(denied(error)) from None
    except (duckdb.Error, pa.ArrowException, OSError) as error:
        text = str(error).split("\n\nLINE ")[0]
        text = re.sub(r"^(\w+ )+Error: ", "", text)
        raise BadInput(f"the query cannot be answered: {' '.join(text.split())}") from None


class Answer:
    """The answer to one SELECT, batch by batch as DuckDB computes it; to be used as a context manager.

    DuckDB works in a thread of its own: while the main thread is in a library, Python hears no Ctrl-C.
    Leaving the block ends the query.

    Args:
        connection: sealed, with the tables.
        query: one SELECT.
        rows: number of rows of a batch, about.
    """

    schema: pa.Schema
    """columns of the answer, known inside the block"""

    def __init__(self, connection: duckdb.DuckDBPyConnection, query: str, rows: int) -> None:
        self._connection = connection
        self._query = query
        self._rows = rows
        self._idle = Event()
        self._idle.set()

    def __enter__(self) -> Answer:
        try:
            self._reader = self._aside(self._start)
        except BaseException:
            self._end()
            raise
        self.schema = self._reader.schema
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        """The batches.

        Raises:
            BadInput: the query fails.
        """
        while (batch := self._aside(self._next)) is not None:
            yield batch

    def stop(self) -> None:
        """End the query from another thread; who waits for it hears that it failed."""
        self._connection.interrupt()

    def _start(self) -> pa.RecordBatchReader:
        return self._connection.sql(self._query).to_arrow_reader(self._rows)

    def _next(self) -> pa.RecordBatch | None:
        return next(self._reader, None)

    def _aside(self, work: Callable[[], T]) -> T:
        done: Future[T] = Future()
        idle = Event()

        def run() -> None:
            try:
                done.set_result(work())
            except BaseException as error:
                done.set_exception(error)
            finally:
                idle.set()

        self._idle = idle
        Thread(target=run, daemon=True).start()
        with failures_named():
            return done.result()

    def _end(self) -> None:
        self._connection.interrupt()
        self._idle.wait(_PATIENCE_SECONDS)
