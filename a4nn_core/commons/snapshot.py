"""The content of a commons at one moment as Arrow data: finished records from Parquet, others from journals.

A network counts as finished once its fragment in ``networks`` exists, or a pack of the archive contains it.
Fragments are listed before journals, and journals stay, so a network that finishes meanwhile appears once, as
still in training. While a snapshot exists, none of its files is deleted.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cached_property, lru_cache
from pathlib import Path

import pyarrow as pa
import pyarrow.dataset as ds
from pyarrow import fs

from a4nn_core.commons.archive import SORTED, Archive, Pack
from a4nn_core.commons.columns import Row
from a4nn_core.commons.epochs import predictions_of, read_epochs
from a4nn_core.commons.events import FROM_LOG, read_events
from a4nn_core.commons.fragments import fragment_numbers, read_notes
from a4nn_core.commons.layout import RunFolder, read_json
from a4nn_core.commons.lock import ReaderLock
from a4nn_core.commons.records import Event, by_epoch
from a4nn_core.commons.rows import arrow, python_rows, stored_row
from a4nn_core.commons.runs import objectives, run_record
from a4nn_core.commons.schema import FRONT, RUN_TABLES, SEALED_TABLES, TABLES, Table
from a4nn_core.jsonable import Json, members
from a4nn_core.metrics import front_rows

_FORMAT = ds.ParquetFileFormat(
    default_fragment_scan_options=ds.ParquetFragmentScanOptions(page_checksum_verification=True)
)
_LOCAL = fs.LocalFileSystem()


@lru_cache(maxsize=32)
def _pack_files(table: str, files: tuple[tuple[str, str, str, str], ...]) -> ds.Dataset:
    """Dataset of the complete files of packs, each given as (path, SHA-256, first run, last run); a scan
    skips files by their first and last run.

    Cached, so that the same files need not have their footers parsed again.
    """
    run = ds.field("run")
    fragments = [
        _FORMAT.make_fragment(path, _LOCAL, partition_expression=(run >= first) & (run <= last))
        for path, _, first, last in files
    ]
    return ds.FileSystemDataset(fragments, SORTED[table].schema, _FORMAT, _LOCAL)


class RunSnapshot:
    """One run at one moment.

    Attributes:
        archived: numbers of the networks whose final records are in the archive.
        fragments: numbers of the networks whose final records are in the run's folder.
        training: numbers of the networks that have only a journal.
    """

    def __init__(self, folder: RunFolder, archive: Archive) -> None:
        self.folder = folder
        self.archived = archived = archive.networks(folder.run_id, self.started)
        self.fragments = sorted(set(fragment_numbers(folder.table("networks"))) - archived)
        journals = folder.path / "journals"
        found = (
            {int(p.stem) for p in journals.glob("*.jsonl") if p.stem.isdigit()}
            if journals.is_dir()
            else set()
        )
        self.training = sorted(found - set(self.fragments) - archived)

    @cached_property
    def stored(self) -> dict[str, Json]:
        """The content of run.json."""
        return read_json(self.folder.run_file)

    @property
    def started(self) -> str:
        """Time the run was first started, as stored."""
        return str(self.stored.get("started"))

    @property
    def objectives(self) -> dict[str, str]:
        """Metric name to its direction, ``minimise`` or ``maximise``."""
        return objectives(members(self.stored.get("header")))

    @cached_property
    def live(self) -> tuple[list[Row], list[Row]]:
        """Rows of ``epochs`` and ``predictions`` of the networks in training."""
        run = self.folder.run_id
        epochs: list[Row] = []
        predictions: list[Row] = []
        for number in self.training:
            journal = read_epochs(self.folder.journal(number))
            epochs += [stored_row(epoch, run, number) for epoch in by_epoch(journal)]
            predictions += [stored_row(fit, run, number) for fit in predictions_of(journal)]
        return epochs, predictions

    def files(self, table: Table) -> list[Path]:
        """The Parquet files of one table in the run's folder."""
        if table.name in FROM_LOG:
            file = self.folder.log_table(table.name)
            return [file] if self._log_is_stored and file.exists() else []
        if table.name in RUN_TABLES:
            return []
        return [self.folder.fragment(table.name, number) for number in self.fragments]

    def rows(self, table: Table) -> list[Row]:
        """The rows of one table that are not in a Parquet file."""
        match table.name:
            case "runs":
                return [stored_row(run_record(self.folder.run_id, self.stored), self.folder.run_id)]
            case "epochs":
                return self.live[0]
            case "predictions":
                return self.live[1]
            case name if name in FROM_LOG and not self._log_is_stored:
                return [stored_row(record, self.folder.run_id) for record in FROM_LOG[name](self._events)]
        return []

    @cached_property
    def _events(self) -> list[Event]:
        return read_events(self.folder.events)

    @cached_property
    def _log_is_stored(self) -> bool:
        """Whether the log has not grown since the tables that are made from it were written."""
        try:
            noted = read_notes(self.folder.log_table("events")).get("events_bytes")
            return noted == str(self.folder.events.stat().st_size)
        except FileNotFoundError:
            return False


class Snapshot:
    """All runs, or one, at one moment.

    Args:
        commons: folder of the commons.
        run: id of the only run to read; all if None.

    Attributes:
        lock: must be kept for as long as data of this snapshot is read.
        sealed: the runs that are read from the archive alone, and the packs they are sealed in.
        runs: the other runs.
    """

    def __init__(self, commons: Path, run: str | None = None) -> None:
        self.commons = commons
        self.only = run
        self.lock = ReaderLock(commons)
        self.archive = Archive(commons)
        self.runs: list[RunSnapshot] = []
        self.sealed: dict[str, Pack] = {}
        for name, state in run_files(commons, run):
            pack = self.archive.sealed(name, state)
            if pack is not None:
                self.sealed[name] = pack
            else:
                self.runs.append(RunSnapshot(RunFolder(commons, name), self.archive))
        self._started = {name: pack.started[name] for name, pack in self.sealed.items()}
        self._started |= {r.folder.run_id: r.started for r in self.runs}

    def parts(self, table: Table, *, final: bool = False) -> list[ds.Dataset]:
        """One table as Arrow datasets to be read one after the other; a file is opened when it is read.

        Args:
            table: the table.
            final: whether to leave out the rows of networks in training.
        """
        parts = self._packs(table)
        files = [str(file) for run in self.runs for file in run.files(table)]
        if files:
            parts.append(ds.dataset(files, schema=table.schema, format=_FORMAT))
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
                part = ds.dataset(path, schema=table.schema, format=_FORMAT)
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


def run_files(commons: Path, run: str | None = None) -> list[tuple[str, os.stat_result]]:
    """The ids of all runs, or of one, and the ``stat`` of their ``run.json``."""
    folder = commons / "runs"
    if run is not None:
        names = [run]
    else:
        # a folder that is being merged in begins with a dot until it is complete
        names = (
            sorted(e.name for e in os.scandir(folder) if not e.name.startswith("."))
            if folder.is_dir()
            else []
        )
    found = []
    for name in names:
        with suppress(FileNotFoundError, NotADirectoryError):
            # a commons can have thousands of runs, and pathlib takes four times as long
            found.append((name, os.stat(f"{folder}/{name}/run.json")))  # noqa: PTH116
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
    """The ids of all runs, sorted."""
    return [name for name, _ in run_files(commons)]
