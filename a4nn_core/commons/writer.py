"""Write one run: its header, its events, and the final records of every network exactly once."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType

from a4nn_core.commons.archive import Archive, archived_rows
from a4nn_core.commons.columns import Row, from_cells
from a4nn_core.commons.events import FROM_LOG, EventLog, now
from a4nn_core.commons.fragments import (
    CHECKSUM,
    file_checksum,
    fragment_numbers,
    read_fragment,
    rows_checksum,
    write_fragment,
)
from a4nn_core.commons.layout import LAYOUT_VERSION, RunFolder, open_commons, read_json, write_json
from a4nn_core.commons.lock import PATIENCE_SECONDS, ReaderLock, RunLock
from a4nn_core.commons.records import Edge, Epoch, LayerRecord, Network, Prediction, by_epoch
from a4nn_core.commons.rows import arrow, python_rows, stored_row, without_timing
from a4nn_core.commons.runs import last_session, run_record
from a4nn_core.commons.schema import NETWORK_TABLES, TABLES
from a4nn_core.errors import A4NNError, BadInput
from a4nn_core.files import make_folder, remove_unfinished
from a4nn_core.jsonable import Json, members, to_json, to_jsonable
from a4nn_core.vocabulary import RunStatus


class AlreadyRecorded(A4NNError):
    """A network was recorded a second time with other results."""


class RunWriter:
    """The one writer of a run; made by ``open``, used as a context manager.

    Attributes:
        folder: folder of the run.
        header: header the run was first started with.
        events: event log.
        resumed: whether the run existed before.
    """

    folder: RunFolder
    header: dict[str, Json]
    events: EventLog
    resumed: bool

    def __init__(self, folder: RunFolder, lock: RunLock, header: Mapping[str, object]) -> None:
        self.folder = folder
        self._lock = lock
        self._run = self._start(members(to_jsonable(header)))
        self.header = members(self._run["header"])
        self.events = EventLog(folder.events)

    @classmethod
    def open(
        cls,
        commons: Path,
        run_id: str,
        header: Mapping[str, object],
        patience: float = PATIENCE_SECONDS,
        **about: Json,
    ) -> RunWriter:
        """Start a run, or resume it.

        Args:
            commons: folder of the commons, created if missing.
            run_id: id of the run.
            header: name, experiment, seed, dataset_fingerprint, dataset, code_version, environment, threads,
                device; JSON-serialisable.
            patience: seconds to wait for another process that writes the run.
            about: further facts about this process for those who wait.

        Raises:
            BadInput: the commons cannot be written, the run is being written by another process, or it was
                started with another experiment or data set.
        """
        folder = RunFolder(Path(commons), run_id)
        open_commons(folder.commons)
        make_folder(folder.path)
        lock = RunLock(folder.lock, run_id, patience, **about)
        try:
            return cls(folder, lock, header)
        except BaseException:
            lock.release()
            raise

    def _start(self, header: dict[str, Json]) -> dict[str, Json]:
        file = self.folder.run_file
        remove_unfinished(self.folder.path)
        session = {
            "started": now(),
            "host": socket.gethostname(),
            "pid": os.getpid(),
            **{k: header.get(k) for k in ("code_version", "environment", "threads", "device")},
        }
        self.resumed = file.exists()
        if self.resumed:
            run = read_json(file)
            same = {key: header.get(key) for key in ("experiment", "dataset_fingerprint")}
            recorded = members(run["header"])
            require_same(self.folder, recorded, same)
            experiment, given = members(recorded.get("experiment")), members(header.get("experiment"))
            if experiment:
                now_given = {name: given[name] for name in _MAY_CHANGE if name in given}
                run["header"] = {**recorded, "experiment": {**_identity(experiment), **now_given}}
            run |= {"status": RunStatus.running, "ended": None, "error": None, "stopped": None}
        else:
            run = {
                "layout": LAYOUT_VERSION,
                "run": self.folder.run_id,
                "status": RunStatus.running,
                "started": session["started"],
                "ended": None,
                "header": header,
                "totals": {},
                "sessions": [],
            }
        sessions = run["sessions"]
        run["sessions"] = [*(sessions if isinstance(sessions, list) else []), session]
        write_json(file, run)
        return run

    @property
    def totals(self) -> dict[str, Json]:
        """The totals that ``finish`` recorded; empty before."""
        return members(self._run["totals"])

    def recorded(self) -> dict[int, Network]:
        """The final records of networks, by number."""
        run, started = self.folder.run_id, self._started
        lock = ReaderLock(self.folder.commons)  # so that compaction deletes no file meanwhile
        try:
            found = archived_rows(Archive(self.folder.commons), TABLES["networks"], run, started)
            found += [
                python_rows(read_fragment(path, TABLES["networks"]))[0]
                for path in fragment_numbers(self.folder.table("networks")).values()
            ]
        finally:
            lock.release()
        networks = {network.network: network for network in (from_cells(Network, row) for row in found)}
        return dict(sorted(networks.items()))

    def recorded_epochs(self, number: int) -> list[Epoch]:
        """The epochs of a network's final records, in order; none if it has no such records."""
        rows = (self._recorded(number) or {}).get("epochs", [])
        return by_epoch(from_cells(Epoch, row) for row in rows)

    @property
    def _started(self) -> str:
        """Time the run was first started, as stored."""
        return str(self._run["started"])

    def _recorded(self, number: int) -> dict[str, list[Row]] | None:
        """The final records of one network by name of the table; None if it has none."""
        run, started = self.folder.run_id, self._started
        lock = ReaderLock(self.folder.commons)
        try:
            if self.folder.fragment("networks", number).exists():
                return {
                    name: python_rows(read_fragment(self.folder.fragment(name, number), TABLES[name]))
                    for name in NETWORK_TABLES
                }
            archive = Archive(self.folder.commons)
            if number not in archive.networks(run, started):
                return None
            return {
                name: archived_rows(archive, TABLES[name], run, started, number) for name in NETWORK_TABLES
            }
        finally:
            lock.release()

    def record(
        self,
        network: Network,
        *,
        epochs: Sequence[Epoch] = (),
        predictions: Sequence[Prediction] = (),
        layers: Sequence[LayerRecord] = (),
        edges: Sequence[Edge] = (),
    ) -> None:
        """Write the final records of one network. When this returns, all of them are on the disk.

        Args:
            network: its record in ``networks``.
            epochs: its epochs; for an epoch trained twice the later record counts.
            predictions: fits made after its epochs.
            layers, edges: those of its architecture. ``run`` and ``network`` are filled in everywhere.

        Raises:
            AlreadyRecorded: the network has final records that differ in more than timings.
            BadInput: the disk is full or the folder cannot be written.
        """
        run, number = self.folder.run_id, network.network
        data: dict[str, list[Row]] = {name: [] for name in NETWORK_TABLES}
        for record in (*by_epoch(epochs), *predictions, *layers, *edges, network):
            data[record.definition.name].append(stored_row(record, run, number))
        if self._compare(number, data):
            return
        sums: dict[str, str] = {}
        for name in NETWORK_TABLES:  # networks comes last, and holds the checksums of the others
            rows = arrow(TABLES[name], data[name])
            path = self.folder.fragment(name, number)
            if name == "networks":
                sums[CHECKSUM + name] = rows_checksum(rows)
            write_fragment(path, rows, sums if name == "networks" else None)
            sums[CHECKSUM + name] = file_checksum(path)

    def _compare(self, number: int, data: Mapping[str, list[Row]]) -> bool:
        """Whether the network has been recorded with the same results."""
        before = self._recorded(number)
        if before is None:
            return False
        for name in NETWORK_TABLES:
            table = TABLES[name]
            old = without_timing(table, before[name])
            new = without_timing(table, python_rows(arrow(table, data[name])))
            if old != new:
                raise AlreadyRecorded(
                    f"network {number} of run {self.folder.run_id!r} is already recorded, and its rows in "
                    f"{name} differ from those given now"
                )
        return True

    def finish(
        self, status: RunStatus, error: str | None = None, *, stopped: str | None = None, **totals: Json
    ) -> None:
        """Write the run's event log and its row of ``runs`` as Parquet, and record how it ended: last, so
        that a run whose end is recorded has all its files.

        Args:
            status: completed, interrupted or failed.
            error: what went wrong; None if nothing did.
            stopped: why the search ended before its number of networks though nothing went wrong.
            totals: numbers to record with the run.
        """
        self._run |= {
            "status": status,
            "ended": now(),
            "error": error,
            "stopped": stopped,
            "totals": {**self.totals, **members(to_jsonable(totals))},
        }
        last_session(self._run)["ended"] = self._run["ended"]
        run = self.folder.run_id
        events = list(self.events)
        # readers use the Parquet files as long as the log has not grown since
        length = str(self.folder.events.stat().st_size)
        for name, made in FROM_LOG.items():
            rows = arrow(TABLES[name], [stored_row(record, run) for record in made(events)])
            if rows.num_rows or name == "events":
                write_fragment(self.folder.log_table(name), rows, {"events_bytes": length})
        write_fragment(
            self.folder.table("runs") / "run.parquet",
            arrow(TABLES["runs"], [stored_row(run_record(run, self._run), run)]),
        )
        write_json(self.folder.run_file, self._run)

    def close(self) -> None:
        """Close the log and release the run's lock; a second call does nothing."""
        self.events.close()
        self._lock.release()

    def __enter__(self) -> RunWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def require_same(folder: RunFolder, stored: Mapping[str, Json], given: Mapping[str, object]) -> None:
    """Refuse to go on with a run as another one.

    Args:
        folder: folder of the run.
        stored: header that the run recorded.
        given: the members of it that must be the same; JSON-serialisable.

    Raises:
        BadInput: one of them differs; the message names the first place where it does.
    """
    for key, value in members(to_jsonable(given)).items():
        before = stored.get(key)
        if key == "experiment":
            before, value = _identity(before), _identity(value)
        difference = _difference(key, before, value)
        if difference:
            place, before, now_given = difference
            raise BadInput(
                f"run {folder.run_id!r} in {folder.commons} was started with {place} = {_short(before)}, not "
                f"{_short(now_given)}; give another run id, or no experiment to continue as it began"
            )


_MAY_CHANGE = ("budget",)
"""tables of an experiment that a resumed run may have otherwise: they change none of its results"""


def _identity(experiment: Json) -> dict[str, Json]:
    """What makes an experiment this one."""
    return {name: table for name, table in members(experiment).items() if name not in _MAY_CHANGE}


def _difference(place: str, stored: Json, given: Json) -> tuple[str, Json, Json] | None:
    """The first place where two JSON values differ, with both values; None if they are equal."""
    if isinstance(stored, dict) and isinstance(given, dict):
        for key in [*stored, *(k for k in given if k not in stored)]:
            found = _difference(f"{place}.{key}", stored.get(key), given.get(key))
            if found:
                return found
        return None
    return None if stored == given else (place, stored, given)


def _short(value: Json) -> str:
    text = to_json(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
