"""Reading a commons: SQL over all runs, and the records of one run."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import pyarrow as pa

from a4nn_core.commons.columns import Record, from_cells
from a4nn_core.commons.damage import damage_named
from a4nn_core.commons.layout import Damaged, RunFolder, check_layout
from a4nn_core.commons.likeness import kept_pairs
from a4nn_core.commons.query import Answer, check_select, connect, failures_named, seal
from a4nn_core.commons.records import (
    Edge,
    Epoch,
    Event,
    LayerRecord,
    Network,
    Prediction,
    RejectedRecord,
    Run,
)
from a4nn_core.commons.rows import python_rows, records
from a4nn_core.commons.schema import FRONT, LIKENESS, TABLES, VIEWS, Table
from a4nn_core.commons.snapshot import Snapshot, run_folders, run_names
from a4nn_core.errors import BadInput
from a4nn_core.files import denied
from a4nn_core.metrics import front_rows

if TYPE_CHECKING:
    import duckdb

R = TypeVar("R", bound=Record)

_MANY = 100
"""runs of which it is said that they are not compacted: some seconds for a question"""


class Commons:
    """A commons to read from. Every call reads its state at that moment.

    Args:
        path: folder of the commons.
        left_out: called with the name of each run that SQL leaves out, as its records cannot be read, and
            what is wrong with them. None: one such run is an error of every query.
        scattered: called with the number of runs that are not compacted, if they are many and a question is
            about all runs: it opens their files one by one.

    Raises:
        BadInput: it is not a commons, or has a layout newer than this version knows.
    """

    def __init__(
        self,
        path: Path,
        left_out: Callable[[str, BadInput], None] | None = None,
        scattered: Callable[[int], None] | None = None,
    ) -> None:
        self.path = Path(path)
        self._left_out = left_out
        self._scattered = scattered
        self.layout = check_layout(self.path)

    def runs(self) -> list[str]:
        """The ids of all runs, sorted."""
        return run_names(self.path)

    def folders(self) -> list[str]:
        """The names of all folders that should hold a run, sorted, whatever they hold."""
        return run_folders(self.path)

    def shadows(self, run: str) -> list[str]:
        """The ids of the runs that trained the networks of a run to the end, sorted; those that cannot be
        read are left out."""
        # a query that names a run would look at no other one for what is damaged
        sound = Commons(self.path, lambda *_: None)
        found = sound.sql("select run, shadow_of from runs where shadow_of is not null").fetchall()
        return sorted(shadow for shadow, of in found if of == run)

    def sql(self, query: str) -> duckdb.DuckDBPyRelation:
        """The answer to one SELECT over the tables runs, networks, epochs, predictions, considered, rejected,
        events, layers, edges, likeness and the views lineage, wiring and front.

        The query has access to nothing else: no file, no network, no variable of the program, no setting.

        Args:
            query: one SELECT statement of DuckDB's SQL.

        Returns:
            a DuckDB relation (``fetchall()``, ``df()``, ``arrow()``), a snapshot of this moment.

        Raises:
            BadInput: it is not one SELECT statement, or names a table or column that does not exist.
        """
        connection = self._tables(query)
        with failures_named():
            return connection.sql(query)

    def ask(self, query: str, rows: int = 8192) -> Answer:
        """The answer to one SELECT as it is computed, in constant memory; see ``sql``.

        Args:
            query: as there.
            rows: number of rows of a batch, about.

        Raises:
            BadInput: as there; inside the block also that the query fails.
        """
        return Answer(self._tables(query), query, rows)

    def answer(self, query: str) -> pa.Table:
        """The whole answer to one SELECT; see ``sql``.

        Raises:
            BadInput: as there, or the query fails.
        """
        with self.ask(query) as answer:
            return pa.Table.from_batches(answer, answer.schema)

    def _tables(self, query: str) -> duckdb.DuckDBPyConnection:
        """A sealed connection with the tables that a query names."""
        with failures_named():
            connection = connect()
            check_select(connection, query)
            self._register(connection, query)
            seal(connection)
        return connection

    def _register(self, connection: duckdb.DuckDBPyConnection, query: str) -> None:
        text = query.lower()
        # only tables whose names occur are loaded; query() and query_table() compute names, so load all
        every = "query" in text
        asked = {name for name in (*TABLES, FRONT.name) if every or name in text}
        asked |= {source for view in VIEWS if view.name in text for source in view.sources}
        sources = asked | ({"networks"} if FRONT.name in asked else set())
        snapshot = self._snapshot([TABLES[name] for name in sources if name in TABLES], query)
        connection.register("commons_lock", _Held(snapshot.lock))
        for name, table in {**TABLES, FRONT.name: FRONT}.items():
            parts = snapshot.parts(table) if name in asked else [table.schema.empty_table()]
            if len(parts) == 1:
                connection.register(name, parts[0])
                continue
            for number, part in enumerate(parts):
                connection.register(f"{name}_{number}", part)
            union = " union all ".join(f"from {name}_{number}" for number in range(len(parts)))
            connection.execute(f"create view {name} as {union}")
        pairs = LIKENESS.schema.empty_table()
        if every or LIKENESS.name in text:
            pairs = kept_pairs(self.path, _named(query, (*snapshot.sealed, *snapshot.unsealed)))
        connection.register(LIKENESS.name, pairs)
        for view in VIEWS:
            connection.execute(f"create view {view.name} as {view.sql}")

    def _snapshot(self, tables: Sequence[Table], query: str) -> Snapshot:
        """The commons now; if it may be, without runs in which one of some tables cannot be read.

        If a query names runs, the others are not looked at: it may have nothing to do with them.
        """
        named = set(re.findall(r"'([^']+)'", query))
        snapshot = Snapshot(self.path, forgiving=self._left_out is not None)
        if self._scattered is not None and not named & {*snapshot.sealed, *snapshot.unsealed}:
            count = snapshot.scattered()
            if count >= _MANY:
                self._scattered(count)
        if self._left_out is None:
            return snapshot
        snapshot.leave_out_damaged(tables, [run for run in snapshot.unsealed if run in named] or None)
        for run, error in sorted(snapshot.damaged.items()):
            if not named & {*snapshot.sealed, *snapshot.unsealed, *snapshot.damaged} or run in named:
                self._left_out(run, error)
        return snapshot

    def networks(self, run: str, columns: Sequence[str] | None = None) -> list[Network]:
        """The final records of a run's networks, sorted by number.

        Args:
            run: id of the run.
            columns: names of the columns to read, the key among them; the others are None. All by default.
        """
        return self._records(Network, run, columns)

    def epochs(self, run: str) -> list[Epoch]:
        """All completed epochs of a run, sorted by network and epoch; including networks in training."""
        return self._records(Epoch, run)

    def predictions(self, run: str) -> list[Prediction]:
        """All fits of a run, sorted by network and epoch; including networks in training."""
        return self._records(Prediction, run)

    def events(self, run: str) -> list[Event]:
        """The events of a run in order."""
        return self._records(Event, run)

    def rejected(self, run: str) -> list[RejectedRecord]:
        """The genomes that were proposed for a run and were not valid, in order."""
        return self._records(RejectedRecord, run)

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
        try:
            folder.run_file.lstat()  # what is there and cannot be read is said by who reads it
        except PermissionError as error:
            raise BadInput(denied(error)) from None
        except OSError:
            if folder.path.is_dir():
                raise Damaged(f"{folder.path} is no run: it has no run.json") from None
            known = self.runs()
            names = ", ".join(known[:20]) + (", ..." if len(known) > 20 else "") or "none"
            raise BadInput(f"{self.path} has no run {run!r}; runs there: {names}") from None
        return folder

    def _records(self, record: type[R], run: str, columns: Sequence[str] | None = None) -> list[R]:
        table = TABLES[record.definition.name]
        self._folder(run)
        with damage_named(self.path, run):
            data = Snapshot(self.path, run).table(table, columns=columns)
            return records(record, data.sort_by([(key, "ascending") for key in table.key]))


def _named(query: str, runs: Sequence[str]) -> list[str]:
    """The runs that a query names; all if it names none."""
    named = set(re.findall(r"'([^']+)'", query))
    return [run for run in runs if run in named] or list(runs)


class _Held:
    """Keeps an object alive as long as a connection, and so a relation, lives; an empty table to DuckDB."""

    def __init__(self, held: object) -> None:
        self.held = held

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        return pa.schema([("held", pa.bool_())]).empty_table().__arrow_c_stream__(requested_schema)
