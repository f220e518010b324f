"""What the explorer keeps in memory: a list of runs, and of each recorded network the numbers that it can be
drawn, bounded and sorted by.

A final record of a network does not change, so each is read once; of a search that goes on the new ones are
added. The table is in a DuckDB database in memory, and nothing is written anywhere.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from a4nn_core.commons import Commons
from a4nn_core.commons.ranges import MOST_NETWORKS
from a4nn_core.commons.records import Run
from a4nn_core.commons.rows import records
from a4nn_core.commons.snapshot import headless
from a4nn_core.errors import BadInput
from a4nn_core.explore.measures import Measure, literal, measures
from a4nn_core.metrics import TRAINED
from a4nn_core.monitoring.runs import Runs, RunState
from a4nn_core.precision import Images

if TYPE_CHECKING:
    import duckdb

ROOM = MOST_NETWORKS
"""numbers of networks of one run; a key is the place of the run times this, plus the number"""
_BATCH = 122_880
_OFTEN_SECONDS = 1.0
"""the files of a commons are not looked at more often"""


@dataclass
class Listed:
    """One run as the explorer knows it.

    Attributes:
        place: its number among all runs that were ever seen, which keys of networks begin with.
        state: what it is doing; None if it cannot be read.
        images: numbers of images that its accuracies were measured on.
        dataset: name of its data set, None if it was not recorded.
        fingerprint: SHA-256 of its images, None if it was not recorded: an import that saw none names the
            files that it read.
        objectives: metric name to direction.
        trouble: why it cannot be read; empty if it can.
    """

    place: int
    state: RunState | None = None
    images: Images = field(default_factory=Images)
    dataset: str | None = None
    fingerprint: str | None = None
    objectives: dict[str, str] = field(default_factory=dict)
    trouble: str = ""


class Catalogue:
    """The runs and networks of a commons, looked at again and again; safe to use from many threads.

    Args:
        path: folder of the commons.

    Attributes:
        store: the commons.
        runs: by id.
        measures: by name.
        version: grows whenever anything is not as it was.
        networks_version: grows whenever the table of networks is not as it was.

    Raises:
        BadInput: it is not a commons, or has a layout newer than this version knows.
    """

    def __init__(self, path: Path) -> None:
        import duckdb

        self.store = Commons(path, self._left_out)
        self.runs: dict[str, Listed] = {}
        self.measures: dict[str, Measure] = measures((), {})
        self.version = 0
        self.networks_version = 0
        self._watched = Runs(path)
        self._places = 0
        self._looked = float("-inf")
        self._lock = Lock()
        self._damaged: dict[str, str] = {}
        self._fitness: set[str] = set()
        self._columns: dict[str, str] = {}
        self._database = duckdb.connect(":memory:", config={"python_enable_replacements": "false"})
        self._database.execute("set enable_progress_bar = false")
        self._database.execute(
            "create table networks "
            "(key bigint, place integer, number integer, status varchar, candidate bool)"
        )
        self._add_columns()

    def column(self, measure: str) -> str:
        """The column of a measure in the table ``networks`` of the catalogue.

        Raises:
            BadInput: there is no such measure.
        """
        if measure not in self._columns:
            raise BadInput(f"no network of this commons has a measure {measure!r}")
        return self._columns[measure]

    def cursor(self) -> duckdb.DuckDBPyConnection:
        """A connection of one's own to the table ``networks``: key, place (of the run), number, status,
        candidate (whether it can be on a front), and the columns of measures."""
        return self._database.cursor()

    def key(self, run: str, network: int) -> int | None:
        """The key of a network; None if there is no such run."""
        listed = self.runs.get(run)
        return None if listed is None else listed.place * ROOM + network

    @property
    def by_place(self) -> dict[int, str]:
        """The ids of runs by their places."""
        return {listed.place: run for run, listed in self.runs.items()}

    def refresh(self) -> int:
        """Look at the commons, and read what is new; returns the version.

        Raises:
            BadInput: it cannot be read.
        """
        with self._lock:
            if time.monotonic() - self._looked < _OFTEN_SECONDS:
                return self.version
            try:
                states = {state.run: state for state in self._watched.look()}
            except OSError as error:
                raise BadInput(f"{self.store.path} cannot be read: {error.strerror or error}") from None
            self._take(states)
            self._looked = time.monotonic()
            return self.version

    def _take(self, states: dict[str, RunState]) -> None:
        troubles = {file.parent.name: f"{file} is missing" for file in headless(self.store.path)}
        troubles |= {run: str(error) for run, error in self._watched.troubles.items()}
        gone = [run for run in self.runs if run not in states and run not in troubles]
        for run in gone:
            self._forget(run)
        fresh, grown = [], []
        for run, state in states.items():
            known = self.runs.get(run)
            before = known.state if known else None
            if known is not None and before is not None and before.started == state.started:
                if before != state:
                    self.version += 1
                    # a run that goes on has more networks; one that was started again can have others
                    grown.append(run)
            else:
                fresh.append(run)
                self._damaged.pop(run, None)  # it is looked at again
            self._listed(run).state = state
            self._listed(run).trouble = self._damaged.get(run, "")
        for run, words in troubles.items():
            if self._listed(run).trouble != words:
                self._empty(run)
                self.runs[run].state, self.runs[run].trouble = None, words
                self.version += 1
        if fresh:
            for run in fresh:
                self._empty(run)
            self._headers(fresh, len(fresh) == len(states))
            self._read(None if len(fresh) == len(states) else f"run in ({_list(fresh)})")
            self.version += 1
        for run in grown:
            self._grow(run)
        self.version += bool(gone)

    def _listed(self, run: str) -> Listed:
        if run not in self.runs:
            self.runs[run] = Listed(self._places)
            self._places += 1
        return self.runs[run]

    def _forget(self, run: str) -> None:
        self._empty(run)
        del self.runs[run]

    def _empty(self, run: str) -> None:
        self._database.execute("delete from networks where place = ?", [self._listed(run).place])
        self.networks_version += 1

    def _numbers(self, run: str) -> set[int]:
        """Numbers of the networks of a run that have been read."""
        found = self.cursor().execute("select number from networks where place = ?", [self.runs[run].place])
        return {number for (number,) in found.fetchall()}

    def _left_out(self, run: str, error: BadInput) -> None:
        self._damaged[run] = str(error)
        if run in self.runs:
            self.runs[run].trouble = str(error)

    def _headers(self, runs: Sequence[str], every: bool) -> None:
        names = "" if every else f" where run in ({_list(runs)})"
        wanted = f"select run, dataset, dataset_fingerprint, dataset_details, objectives from runs{names}"
        for header in records(Run, self.store.answer(wanted)):
            listed = self.runs.get(header.run)
            if listed is not None:
                known = header.dataset_fingerprint or ""
                listed.dataset = header.dataset
                listed.fingerprint = None if known.startswith("source:") else known or None
                listed.images = header.images
                listed.objectives = dict(header.objectives or {})

    def _grow(self, run: str) -> None:
        """Read the networks of a run that were recorded since."""
        keys = self.store.answer(f"select network from networks where run = {literal(run)}")
        there = set(keys["network"].to_pylist())
        if not there >= self._numbers(run):
            self._empty(run)
        missing = there - self._numbers(run)
        if missing:
            self._read(f"run = {literal(run)} and network between {min(missing)} and {max(missing)}", missing)

    def _read(self, where: str | None, only: set[int] | None = None) -> None:
        """Add the networks that meet a condition; of some numbers alone, if they are given."""
        condition = f" where {where}" if where else ""
        names = self.store.answer(
            f"select distinct unnest(map_keys(fitness)) as name from networks{condition}"
        )
        self._fitness |= set(names["name"].to_pylist())
        objectives = {name: way for one in self.runs.values() for name, way in one.objectives.items()}
        self.measures = measures(self._fitness, objectives)
        self._add_columns()
        known = list(self.measures.values())
        wanted = ", ".join(f"({one.sql})::double as {self._columns[one.name]}" for one in known)
        trained = ", ".join(literal(str(status)) for status in TRAINED)
        query = (
            f"select run, network as number, status, "
            f"status in ({trained}) and equal_to is null as candidate, {wanted} from networks{condition}"
        )
        with self.store.ask(query, _BATCH) as answer, self._change() as database:
            for batch in answer:
                self._insert(database, pa.Table.from_batches([batch]), only)

    def _insert(self, database: duckdb.DuckDBPyConnection, rows: pa.Table, only: set[int] | None) -> None:
        if only is not None:
            rows = rows.filter(pc.is_in(rows["number"], pa.array(sorted(only), pa.int32())))
        runs = rows["run"].combine_chunks().dictionary_encode()
        known = [self.runs[run].place if run in self.runs else None for run in runs.dictionary.to_pylist()]
        places = pa.array(known, pa.int32()).take(runs.indices)
        rows = rows.drop_columns("run").append_column("place", places).filter(pc.is_valid(places))
        database.register("new_rows", rows)
        columns = ", ".join(rows.schema.names)
        database.execute(
            f"insert into networks (key, {columns}) "
            f"select place::bigint * {ROOM} + number, {columns} from new_rows"
        )
        database.unregister("new_rows")

    @contextmanager
    def _change(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """All of a change is seen, or nothing of it."""
        database = self._database.cursor()
        database.execute("begin")
        try:
            yield database
        except BaseException:
            database.execute("rollback")
            raise
        database.execute("commit")
        self.networks_version += 1

    def _add_columns(self) -> None:
        for name in self.measures:
            if name not in self._columns:
                column = f"m{len(self._columns)}"
                self._database.execute(f"alter table networks add column {column} double")
                self._columns[name] = column


def _list(texts: Sequence[str]) -> str:
    return ", ".join(map(literal, texts))
