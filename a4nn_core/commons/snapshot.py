"""The content of a commons at one moment as Arrow data: finished records from Parquet, others from journals.

A network counts as finished once its fragment in ``networks`` exists, or a pack of the archive contains it.
Fragments are listed before journals, and journals stay, so a network that finishes meanwhile appears once, as
still in training. While a snapshot exists, none of its files is deleted.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from functools import lru_cache
from pathlib import Path

import pyarrow as pa
import pyarrow.dataset as ds

from a4nn_core.commons.archive import SORTED, Archive, Pack
from a4nn_core.commons.damage import damage_named
from a4nn_core.commons.layout import Damaged, RunFolder
from a4nn_core.commons.lock import ReaderLock
from a4nn_core.commons.rows import arrow, python_rows
from a4nn_core.commons.run_snapshot import FORMAT, LOCAL, RunSnapshot, checked_file
from a4nn_core.commons.schema import FRONT, RUN_TABLES, SEALED_TABLES, TABLES, Table
from a4nn_core.errors import BadInput
from a4nn_core.metrics import front_rows


@lru_cache(maxsize=32)
def _pack_files(table: str, files: tuple[tuple[str, str, str, str], ...]) -> ds.Dataset:
    """Dataset of the complete files of packs, each given as (path, SHA-256, first run, last run); a scan
    skips files by their first and last run.

    Cached, so that the same files need not have their footers parsed again.
    """
    run = ds.field("run")
    fragments = [
        FORMAT.make_fragment(path, LOCAL, partition_expression=(run >= first) & (run <= last))
        for path, _, first, last in files
    ]
    return ds.FileSystemDataset(fragments, SORTED[table].schema, FORMAT, LOCAL)


class Snapshot:
    """All runs, or one, at one moment.

    Args:
        commons: folder of the commons.
        run: id of the only run to read; all if None.
        forgiving: whether a run whose records cannot be read is left out; if not, it is an error.

    Attributes:
        damaged: the runs that were left out by name, and what is wrong with them.
        lock: must be kept for as long as data of this snapshot is read.
        sealed: the runs that are read from the archive alone, and the packs they are sealed in.
        runs: the other runs.
    """

    def __init__(self, commons: Path, run: str | None = None, *, forgiving: bool = False) -> None:
        self.commons = commons
        self.only = run
        self.damaged: dict[str, BadInput] = {}
        self._opened: dict[Path, ds.ParquetFileFragment] = {}
        self.lock = ReaderLock(commons)
        self.archive = Archive(commons)
        self.runs: list[RunSnapshot] = []
        self.sealed: dict[str, Pack] = {}
        for name, state in run_files(commons, run, self.damaged if forgiving else None):
            pack = self.archive.sealed(name, state)
            if pack is not None:
                self.sealed[name] = pack
                continue
            with self._left_out(name) if forgiving else nullcontext():
                self.runs.append(RunSnapshot(RunFolder(commons, name), self.archive))
        if forgiving and run is None:
            missing = {path.parent.name: Damaged(f"{path} is missing") for path in headless(commons)}
            self.damaged = {**missing, **self.damaged}
        self._started = {name: pack.started[name] for name, pack in self.sealed.items()}
        self._started |= {r.folder.run_id: r.started for r in self.runs}

    @contextmanager
    def _left_out(self, run: str) -> Iterator[None]:
        """Leave out a run if its records turn out to be unreadable."""
        try:
            with damage_named(self.commons, run):
                yield
        except BadInput as error:
            self.damaged[run] = error
            self.runs = [one for one in self.runs if one.folder.run_id != run]

    def leave_out_damaged(self, tables: Iterable[Table]) -> None:
        """Leave out the runs in which a file of some tables is not one, or a cell not of its column's type.

        Of a Parquet file its footer is read, and kept for when its rows are.
        """
        chosen = [TABLES["runs"], *tables]
        for run in list(self.runs):
            with self._left_out(run.folder.run_id):
                for table in chosen:
                    arrow(table, run.rows(table))
                    for path in run.files(table):
                        self._opened[path] = checked_file(path, table)
        for run_id in self.damaged:
            self._started.pop(run_id, None)

    def parts(self, table: Table, *, final: bool = False) -> list[ds.Dataset]:
        """One table as Arrow datasets to be read one after the other; a file is opened when it is read.

        Args:
            table: the table.
            final: whether to leave out the rows of networks in training.
        """
        parts = self._packs(table)
        files = [file for run in self.runs for file in run.files(table)]
        if files:
            opened = [self._opened.get(file) or FORMAT.make_fragment(str(file), LOCAL) for file in files]
            parts.append(ds.FileSystemDataset(opened, table.schema, FORMAT, LOCAL))
        live = not final or table.name in RUN_TABLES
        rows = [row for run in self.runs for row in run.rows(table)] if live else []
        if rows or not parts:
            parts.append(ds.dataset(arrow(table, rows)))
        return parts

    def _packs(self, table: Table) -> list[ds.Dataset]:
        """The rows of one table that packs contain of the existing runs.

        A pack can contain more: rows of runs that were deleted, or resumed after they were sealed.
        """
        whole: list[tuple[str, str, str, str]] = []
        parts: list[ds.Dataset] = []
        for pack in self.archive.packs:
            if table.name not in pack.files:
                continue
            if table.name in SEALED_TABLES:
                held = list(pack.sealed)
                good = [run for run in held if self.sealed.get(run) is pack]
            else:
                held = list(pack.networks)
                good = [run for run in held if self._started.get(run) == pack.started[run]]
            path = str(self.archive.folder / str(pack.files[table.name]["file"]))
            if len(good) == len(held):
                digest = str(pack.files[table.name]["sha256"])
                whole.append((path, digest, min(held, default=""), max(held, default="")))
            elif good:
                part = ds.dataset(path, schema=table.schema, format=FORMAT)
                parts.append(part.filter(ds.field("run").isin(good)))
        if whole:
            parts.insert(0, _pack_files(table.name, tuple(whole)))
        return parts

    def table(self, table: Table, *, final: bool = False, columns: Sequence[str] | None = None) -> pa.Table:
        """All rows of one table, in memory; see ``parts``.

        Args:
            table, final: as there.
            columns: names of the columns to read; all if None.
        """
        wanted = ds.field("run") == self.only if self.only is not None else None
        names = table.schema.names if columns is None else list(columns)
        schema = pa.schema([table.schema.field(name) for name in names], table.schema.metadata)
        parts = self.parts(table, final=final)
        return pa.concat_tables([part.to_table(columns=names, filter=wanted).cast(schema) for part in parts])

    def front(self) -> pa.Table:
        """The networks on each run's front: from the archive for sealed runs, computed for others."""
        wanted = ds.field("run") == self.only if self.only is not None else None
        noted = [part.to_table(filter=wanted).cast(FRONT.schema) for part in self._packs(FRONT)]
        found = [
            front_of(Snapshot(self.commons, run.folder.run_id).table(TABLES["networks"]), run.objectives)
            for run in self.runs
        ]
        return pa.concat_tables([FRONT.schema.empty_table(), *noted, *found])


def front_of(networks: pa.Table, objectives: Mapping[str, str]) -> pa.Table:
    """The rows of one run's networks that are on its front, sorted by the first objective, best first."""
    place = {number: index for index, number in enumerate(networks["network"].to_pylist())}
    front = [place[row["network"]] for row in front_rows(python_rows(networks), objectives)]
    return networks.take(pa.array(front, pa.int64())).cast(FRONT.schema)


def run_folders(commons: Path) -> list[str]:
    """The names of all folders that should hold a run, sorted."""
    folder = commons / "runs"
    if not folder.is_dir():
        return []
    # a folder that is being merged in begins with a dot until it is complete
    return sorted(e.name for e in os.scandir(folder) if e.is_dir() and not e.name.startswith("."))


def run_files(
    commons: Path, run: str | None = None, damaged: dict[str, BadInput] | None = None
) -> list[tuple[str, os.stat_result]]:
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
    folder = commons / "runs"
    return sorted(
        path / "run.json"
        for path in (folder.iterdir() if folder.is_dir() else ())
        if not path.name.startswith(".")
        and not (path / "run.json").exists()
        and any((path / name).exists() for name in ("events.jsonl", "tables", "journals"))
    )


def run_names(commons: Path) -> list[str]:
    """The ids of all runs, sorted; also of those whose ``run.json`` cannot be reached."""
    unreached: dict[str, BadInput] = {}
    return sorted([*(name for name, _ in run_files(commons, damaged=unreached)), *unreached])
