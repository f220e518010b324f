"""Reading a commons: SQL over all runs, and the records of one run."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import pyarrow as pa

from a4nn_core.commons.columns import Record, from_cells
from a4nn_core.commons.damage import damage_named
from a4nn_core.commons.layout import Damaged, RunFolder, check_layout
from a4nn_core.commons.records import Edge, Epoch, Event, LayerRecord, Network, Prediction, Run
from a4nn_core.commons.rows import python_rows, records
from a4nn_core.commons.schema import FRONT, LINEAGE_SQL, TABLES
from a4nn_core.commons.snapshot import Snapshot, run_folders, run_names
from a4nn_core.errors import BadInput
from a4nn_core.metrics import front_rows

if TYPE_CHECKING:
    import duckdb

# Disabled before a query is parsed: by default DuckDB reads any file that a SELECT names, loads extensions,
# and takes variables of the calling Python program as tables.
_CLOSED: dict[str, str | bool | int | float | list[str]] = {
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "python_enable_replacements": "false",
    "allow_community_extensions": "false",
}


R = TypeVar("R", bound=Record)


class Commons:
    """A commons to read from. Every call reads its state at that moment.

    Args:
        path: folder of the commons.

    Raises:
        BadInput: it is not a commons, or has a layout newer than this version knows.
    """

    def __init__(self, path: Path) -> None:
        self.path = Path(path)
        self.layout = check_layout(self.path)

    def runs(self) -> list[str]:
        """The ids of all runs, sorted."""
        return run_names(self.path)

    def folders(self) -> list[str]:
        """The names of all folders that should hold a run, sorted, whatever they hold."""
        return run_folders(self.path)

    def sql(self, query: str) -> duckdb.DuckDBPyRelation:
        """The answer to one SELECT over the tables runs, networks, epochs, predictions, considered, events,
        layers, edges and the views lineage and front.

        The query has access to nothing else: no file, no network, no variable of the program, no setting.

        Args:
            query: one SELECT statement of DuckDB's SQL.

        Returns:
            a DuckDB relation (``fetchall()``, ``df()``, ``arrow()``), a snapshot of this moment.

        Raises:
            BadInput: it is not one SELECT statement, or names a table or column that does not exist.
        """
        return self._ask(query, Snapshot(self.path))

    def answer(self, query: str, left_out: Callable[[str, Damaged], None] | None = None) -> pa.Table:
        """The whole answer to one SELECT; see ``sql``.

        Args:
            query: as there.
            left_out: called with the name of each run that the answer leaves out, as its records cannot be
                read, and what is wrong with them. None: one such run is an error of the query.

        Raises:
            BadInput: as there, or the query fails.
        """
        import duckdb

        damaged: dict[str, Damaged] | None = None if left_out is None else {}
        while True:
            snapshot = Snapshot(self.path, damaged=damaged)
            try:
                found = self._ask(query, snapshot).to_arrow_table()
            except (BadInput, duckdb.Error, pa.ArrowException, OSError) as error:
                if snapshot.error is None:
                    raise BadInput(query_message(error)) from None
                if damaged is None:
                    raise snapshot.error from None
            if snapshot.error is None:
                for run, trouble in sorted((damaged or {}).items()):
                    if left_out is not None:
                        left_out(run, trouble)
                return found

    def _ask(self, query: str, snapshot: Snapshot) -> duckdb.DuckDBPyRelation:
        import duckdb

        connection = duckdb.connect(":memory:", config=_CLOSED)
        try:
            _one_select(connection, query)
            _register(connection, query, snapshot)
            connection.execute("set enable_external_access = false")
            connection.execute("set lock_configuration = true")
            return connection.sql(query)
        except duckdb.Error as error:
            raise BadInput(query_message(error)) from None

    def networks(self, run: str) -> list[Network]:
        """The final records of a run's networks, sorted by number."""
        return self._records(Network, run)

    def epochs(self, run: str) -> list[Epoch]:
        """All completed epochs of a run, sorted by network and epoch; including networks in training."""
        return self._records(Epoch, run)

    def predictions(self, run: str) -> list[Prediction]:
        """All fits of a run, sorted by network and epoch; including networks in training."""
        return self._records(Prediction, run)

    def events(self, run: str) -> list[Event]:
        """The events of a run in order."""
        return self._records(Event, run)

    def layers(self, run: str) -> list[LayerRecord]:
        """The layers of a run's networks, sorted by network and layer."""
        return self._records(LayerRecord, run)

    def edges(self, run: str) -> list[Edge]:
        """The connections between the layers of a run's networks, sorted by network."""
        return self._records(Edge, run)

    def run(self, run: str) -> Run:
        """The header of one run."""
        return self._records(Run, run)[0]

    def front(self, run: str) -> list[Network]:
        """The networks on a run's Pareto front by its objectives, sorted by the first objective, best first.

        A network that failed, or has the architecture of an earlier one, is not on it.
        """
        self._folder(run)
        with damage_named(self.path, run):
            rows = python_rows(Snapshot(self.path, run).table(FRONT))
        front = front_rows(rows, self.run(run).objectives or {})
        return [from_cells(Network, row) for row in front]

    def _folder(self, run: str) -> RunFolder:
        folder = RunFolder(self.path, run)
        if not os.path.lexists(folder.run_file):  # what is there and cannot be read is said by who reads it
            if folder.path.is_dir():
                raise Damaged(f"{folder.path} is no run: it has no run.json")
            known = self.runs()
            names = ", ".join(known[:20]) + (", ..." if len(known) > 20 else "") or "none"
            raise BadInput(f"{self.path} has no run {run!r}; runs there: {names}")
        return folder

    def _records(self, record: type[R], run: str) -> list[R]:
        table = TABLES[record.definition.name]
        self._folder(run)
        with damage_named(self.path, run):
            data = Snapshot(self.path, run).table(table)
            return records(record, data.sort_by([(key, "ascending") for key in table.key]))


def query_message(error: BaseException) -> str:
    """DuckDB's message on a query that failed, on one line."""
    text = str(error).split("\n\nLINE ")[0]
    text = re.sub(r"^(\w+ )+Error: ", "", text)
    return f"the query cannot be answered: {' '.join(text.split())}"


def _register(connection: duckdb.DuckDBPyConnection, query: str, snapshot: Snapshot) -> None:
    """Give a connection the tables and views that a query names."""
    text = query.lower()
    # only tables whose names occur are loaded; query() and query_table() compute names, so load all
    every = "query" in text
    connection.register("commons_lock", _Held(snapshot.lock))
    for name, table in {**TABLES, FRONT.name: FRONT}.items():
        named = every or name in text or (name == "networks" and "lineage" in text)
        parts = snapshot.parts(table) if named else [table.schema.empty_table()]
        if len(parts) == 1:
            connection.register(name, parts[0])
            continue
        for number, part in enumerate(parts):
            connection.register(f"{name}_{number}", part)
        union = " union all ".join(f"from {name}_{number}" for number in range(len(parts)))
        connection.execute(f"create view {name} as {union}")
    connection.execute(f"create view lineage as {LINEAGE_SQL}")


class _Held:
    """Keeps an object alive as long as a connection, and so a relation, lives; an empty table to DuckDB."""

    def __init__(self, held: object) -> None:
        self.held = held

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        return pa.schema([("held", pa.bool_())]).empty_table().__arrow_c_stream__(requested_schema)


def _one_select(connection: duckdb.DuckDBPyConnection, query: str) -> None:
    import duckdb

    statements = connection.extract_statements(query)
    if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
        kinds = ", ".join(str(s.type).rpartition(".")[2] for s in statements) or "nothing"
        raise BadInput(f"only one SELECT statement can be asked of a commons, not {kinds}: {_clip(query)}")


def _clip(query: str) -> str:
    flat = " ".join(query.split())
    return flat if len(flat) <= 100 else f"{flat[:97]}..."
