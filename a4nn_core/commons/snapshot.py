"""The content of a commons at one moment as Arrow data: finished records from Parquet, others from journals.

A network counts as finished once its fragment in ``networks`` exists, or a pack of the archive contains it.
Fragments are listed before journals, and journals stay, so a network that finishes meanwhile appears once, as
still in training. While a snapshot exists, none of its files is deleted.
"""

from __future__ import annotations

import os
from collections.abc import Container, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import cached_property, lru_cache, partial
from pathlib import Path
from typing import Any, TypeAlias

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from a4nn_core.commons.archive import Archive
from a4nn_core.commons.columns import Row
from a4nn_core.commons.damage import UNREADABLE, damage_named
from a4nn_core.commons.fragments import check_fragment, read_fragment
from a4nn_core.commons.layout import Damaged, RunFolder
from a4nn_core.commons.lock import ReaderLock
from a4nn_core.commons.packed import Packed, PackFile
from a4nn_core.commons.packs import Pack
from a4nn_core.commons.rows import arrow, python_rows
from a4nn_core.commons.run_snapshot import RunSnapshot
from a4nn_core.commons.scan import FORMAT
from a4nn_core.commons.schema import FRONT, RUN_TABLES, SEALED_TABLES, SORTED, TABLES, Table
from a4nn_core.commons.unpacked import FILES_AT_ONCE, Unpacked, key_rows, read_files
from a4nn_core.errors import BadInput
from a4nn_core.metrics import DECIDING, front_rows

RunFile: TypeAlias = tuple[str, os.stat_result]
"""id of a run, and the ``stat`` of its ``run.json``"""

RUNS_AT_ONCE = 64


@lru_cache(maxsize=32)
def _pack_files(table: str, files: tuple[PackFile, ...]) -> Packed:
    """Dataset of complete files of packs; cached, so that the same files need not have their footers parsed
    again."""
    return Packed(SORTED[table], files)


class Snapshot:
    """All runs, or one, at one moment. A run that is not sealed is looked at when its records are first read.

    Args:
        commons: folder of the commons.
        run: id of the only run to read; all if None.
        forgiving: whether a run whose records cannot be read is left out; if not, it is an error.

    Attributes:
        damaged: the runs that were left out by name, and what is wrong with them.
        lock: must be kept for as long as data of this snapshot is read.
        sealed: the runs that are read from the archive alone, and the packs they are sealed in.
        unsealed: the ids of the other runs.
    """

    def __init__(self, commons: Path, run: str | None = None, *, forgiving: bool = False) -> None:
        self.commons = commons
        self.only = run
        self.damaged: dict[str, BadInput] = {}
        self._runs: dict[str, RunSnapshot] = {}
        self.lock = ReaderLock(commons)
        self.archive = Archive(commons)
        self.sealed: dict[str, Pack] = {}
        self.unsealed: list[str] = []
        there = run_files(commons, run, self.damaged if forgiving else None)
        for name, state in there:
            pack = self.archive.sealed(name, state)
            if pack is not None:
                self.sealed[name] = pack
            else:
                self.unsealed.append(name)
        if forgiving and run is None:
            self.damaged |= _without_header(commons, {name for name, _ in there} | set(self.damaged))

    def run(self, name: str) -> RunSnapshot:
        """One unsealed run, as it was when it was first looked at."""
        if name not in self._runs:
            self._runs[name] = RunSnapshot(RunFolder(self.commons, name), self.archive)
        return self._runs[name]

    def scattered(self) -> int:
        """Number of runs whose final records are in files of their own."""
        return sum(map(self._has_fragments, self.unsealed))

    def _has_fragments(self, run: str) -> bool:
        # a folder whose name is no run id is told of by whoever reads it
        with (
            suppress(OSError, BadInput),
            os.scandir(RunFolder(self.commons, run).table("networks")) as found,
        ):
            return any(entry.name.endswith(".parquet") for entry in found)
        return False

    def leave_out_damaged(self, tables: Sequence[Table], runs: Sequence[str] | None = None) -> None:
        """Leave out the runs in which a file of some tables is not one, or a cell not of its column's type.

        Of a Parquet file its footer is read.

        Args:
            tables: the tables that are going to be read.
            runs: ids of the unsealed runs to look at; None for all.
        """
        for name in self.unsealed if runs is None else runs:
            try:
                with damage_named(self.commons, name):
                    run = self.run(name)
                    for table in (TABLES["runs"], *tables):
                        arrow(table, run.rows(table))
                        for file in run.files(table):
                            check_fragment(file, table)
            except BadInput as error:
                self.damaged[name] = error
        self.unsealed = [name for name in self.unsealed if name not in self.damaged]

    def parts(self, table: Table, *, final: bool = False) -> list[ds.Dataset]:
        """One table as Arrow datasets to be read one after the other; a file is opened when it is read.

        Args:
            table: the table, or the view ``front``.
            final: whether to leave out the rows of networks in training.
        """
        parts = self._packs(table)
        if self.unsealed and table is FRONT:
            parts.append(Unpacked(table, self.unsealed, self._fronts))
        elif self.unsealed:
            parts.append(Unpacked(table, self.unsealed, partial(self._unpacked, table, final)))
        return parts or [ds.dataset(table.schema.empty_table())]

    def _unpacked(
        self, table: Table, final: bool, names: Sequence[str], asked: Mapping[str, Any]
    ) -> Iterator[pa.Table]:
        """The records of some unsealed runs that are in no pack, some hundred files at a time."""
        if table.name == "networks" and (keys := self._keys(names, asked)) is not None:
            yield keys
            return
        live = not final or table.name in RUN_TABLES
        held: list[tuple[str, list[Path], list[Row]]] = []
        for name in names:
            with damage_named(self.commons, name):
                files = self.run(name).files(table)
                held.append((name, [], self.run(name).rows(table) if live else []))
            for start in range(0, len(files), FILES_AT_ONCE):
                held.append((name, files[start : start + FILES_AT_ONCE], []))
                if sum(len(some) for _, some, _ in held) >= FILES_AT_ONCE:
                    yield self._read(table, held, asked)
                    held = []
        yield self._read(table, held, asked)

    def _keys(self, names: Sequence[str], asked: Mapping[str, Any]) -> pa.Table | None:
        """Run and number of the unpacked networks of some runs, if nothing else is asked."""
        numbers = {}
        for name in names:
            with damage_named(self.commons, name):
                numbers[name] = self.run(name).fragments
        return key_rows(TABLES["networks"], numbers, asked)

    def _read(
        self, table: Table, held: Sequence[tuple[str, list[Path], list[Row]]], asked: Mapping[str, Any]
    ) -> pa.Table:
        """Files and other rows of some runs: each its id, files and rows."""
        try:
            rows = ds.dataset(arrow(table, [row for _, _, some in held for row in some]))
            files = read_files(table, [file for _, some, _ in held for file in some], asked)
            return pa.concat_tables([files, rows.to_table(**asked)])
        except (BadInput, *UNREADABLE):
            for name, some, of_run in held:
                with damage_named(self.commons, name):
                    arrow(table, of_run)
                    for file in some:
                        read_fragment(file, table)
            raise

    def _fronts(self, names: Sequence[str], asked: Mapping[str, Any]) -> Iterator[pa.Table]:
        """The fronts of some unsealed runs. Of most networks only what decides it is read."""
        for start in range(0, len(names), RUNS_AT_ONCE):
            some = names[start : start + RUNS_AT_ONCE]
            objectives: dict[str, dict[str, str]] = {}
            for name in some:
                with damage_named(self.commons, name):
                    objectives[name] = self.run(name).objectives
            columns = {"run", *DECIDING, *(metric for of_run in objectives.values() for metric in of_run)}
            rows = self.table(
                TABLES["networks"],
                columns=[name for name in TABLES["networks"].schema.names if name in columns],
                where=ds.field("run").isin(some),
            )
            fronts: dict[str, list[int]] = {}
            for name in some:
                with damage_named(self.commons, name):
                    of_run: Sequence[Mapping[str, Any]] = python_rows(
                        rows.filter(pc.equal(rows["run"], name))
                    )
                    fronts[name] = [row["network"] for row in front_rows(of_run, objectives[name])]
            members = self._whole(fronts)
            for name, front in fronts.items():
                of_run = members.filter(pc.equal(members["run"], name))
                yield ds.dataset(_in_order(of_run, front)).to_table(**asked)

    def _whole(self, wanted: Mapping[str, Sequence[int]]) -> pa.Table:
        """The rows of at least some networks of unsealed runs, by run id; one can be there twice."""
        networks = TABLES["networks"]
        packed = [name for name, numbers in wanted.items() if self.run(name).archived & set(numbers)]
        files = [
            (name, [self.run(name).folder.fragment("networks", number)], list[Row]())
            for name, numbers in wanted.items()
            if name not in packed
            for number in numbers
        ]
        some = [files[at : at + FILES_AT_ONCE] for at in range(0, len(files), FILES_AT_ONCE)]
        parts = [networks.schema.empty_table(), *(self._read(networks, held, {}) for held in some)]
        if packed:
            parts.append(self.table(networks, where=ds.field("run").isin(packed)).cast(networks.schema))
        return pa.concat_tables(parts)

    def _packs(self, table: Table) -> list[ds.Dataset]:
        """The rows of one table that packs contain of the existing runs.

        A pack can contain more: rows of runs that were deleted, or resumed after they were sealed.
        """
        whole: list[PackFile] = []
        parts: list[ds.Dataset] = []
        for pack in self.archive.packs:
            if table.name not in pack.files:
                continue
            if table.name in SEALED_TABLES:
                held = list(pack.sealed)
                good = [run for run in held if self.sealed.get(run) is pack]
            else:
                held = list(pack.networks)
                good = [run for run in held if self._started(run) == pack.started[run]]
            path = str(self.archive.folder / pack.files[table.name].file)
            if len(good) == len(held):
                digest = pack.files[table.name].sha256
                whole.append(PackFile(path, digest, min(held, default=""), max(held, default="")))
            elif good:
                part = ds.dataset(path, schema=table.schema, format=FORMAT)
                parts.append(part.filter(ds.field("run").isin(good)))
        if whole:
            parts.insert(0, _pack_files(table.name, tuple(whole)))
        return parts

    def _started(self, run: str) -> str | None:
        """Time a run of a pack was first started; None if it is not there any more, or left out."""
        if run in self.sealed:
            return self.sealed[run].started[run]
        if run not in self._known:
            return None
        with damage_named(self.commons, run):
            return self.run(run).started

    @cached_property
    def _known(self) -> set[str]:
        return set(self.unsealed)

    def table(
        self,
        table: Table,
        *,
        final: bool = False,
        columns: Sequence[str] | None = None,
        where: ds.Expression | None = None,
    ) -> pa.Table:
        """All rows of one table, in memory; see ``parts``.

        Args:
            table, final: as there.
            columns: names of the columns to read; all if None.
            where: condition on the rows; by default those of the only run.
        """
        if where is None and self.only is not None:
            where = ds.field("run") == self.only
        names = table.schema.names if columns is None else list(columns)
        schema = pa.schema([table.schema.field(name) for name in names], table.schema.metadata)
        parts = self.parts(table, final=final)
        return pa.concat_tables([part.to_table(columns=names, filter=where).cast(schema) for part in parts])


def _in_order(networks: pa.Table, numbers: Sequence[int]) -> pa.Table:
    """The rows of some of one run's networks, in the order of their numbers here."""
    place = {number: index for index, number in enumerate(networks["network"].to_pylist())}
    return networks.take(pa.array([place[number] for number in numbers], pa.int64())).cast(FRONT.schema)


def run_folders(commons: Path) -> list[str]:
    """The names of all folders that should hold a run, sorted."""
    folder = commons / "runs"
    if not folder.is_dir():
        return []
    # a folder that is being merged in begins with a dot until it is complete
    return sorted(e.name for e in os.scandir(folder) if e.is_dir() and not e.name.startswith("."))


def run_files(
    commons: Path, run: str | None = None, damaged: dict[str, BadInput] | None = None
) -> list[RunFile]:
    """The ids of all runs, or of one, and the ``stat`` of their ``run.json``.

    Args:
        commons: folder of the commons.
        run: id of the only run; all if None.
        damaged: if given, it receives the runs whose ``run.json`` cannot be reached.

    Raises:
        Damaged: the ``run.json`` of a run cannot be reached, and ``damaged`` is not given.
    """
    folder = commons / "runs"
    found = []
    for name in run_folders(commons) if run is None else [run]:
        try:
            # a commons can have thousands of runs, and pathlib takes four times as long
            found.append((name, os.stat(f"{folder}/{name}/run.json")))  # noqa: PTH116
        except (FileNotFoundError, NotADirectoryError):
            pass
        except OSError as error:
            trouble = Damaged(f"{folder / name / 'run.json'} cannot be read: {error.strerror}")
            if damaged is None:
                raise trouble from None
            damaged[name] = trouble
    return found


def headless(commons: Path) -> list[Path]:
    """The paths of ``run.json`` that are missing in folders with records of a run; without them the records
    are not read."""
    unreached: dict[str, BadInput] = {}
    there = {name for name, _ in run_files(commons, damaged=unreached)} | set(unreached)
    return [commons / "runs" / name / "run.json" for name in _without_header(commons, there)]


def _without_header(commons: Path, there: Container[str]) -> dict[str, Damaged]:
    """The folders with records of a run that are not among the runs there, and what is wrong with them."""
    folders = {name: commons / "runs" / name for name in run_folders(commons) if name not in there}
    return {
        name: Damaged(f"{path / 'run.json'} is missing")
        for name, path in folders.items()
        if any((path / part).exists() for part in ("events.jsonl", "tables", "journals"))
    }


def run_names(commons: Path) -> list[str]:
    """The ids of all runs, sorted; also of those whose ``run.json`` cannot be reached."""
    unreached: dict[str, BadInput] = {}
    return sorted([*(name for name, _ in run_files(commons, damaged=unreached)), *unreached])
