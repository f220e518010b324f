"""Check a commons: read every file, compare every checksum, and report problems with their place."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from a4nn_core.commons.archive import SORTED, Archive, fingerprint
from a4nn_core.commons.epochs import read_epochs
from a4nn_core.commons.events import FROM_LOG, read_events
from a4nn_core.commons.fragments import (
    CHECKSUM,
    file_checksum,
    fragment_numbers,
    read_fragment,
    read_notes,
    rows_checksum,
    unknown_columns,
)
from a4nn_core.commons.layout import Damaged, RunFolder, check_layout, read_json
from a4nn_core.commons.lock import ReaderLock, holder
from a4nn_core.commons.schema import NETWORK_TABLES, TABLES
from a4nn_core.commons.snapshot import Snapshot, headless, run_files
from a4nn_core.vocabulary import EventKind, RunStatus


@dataclass
class Checked:
    """What a check found.

    Attributes:
        runs, networks, files: numbers of those that were checked.
        problems: one message per problem, with the name of the file.
        notes: harmless findings, such as what a killed process left.
    """

    runs: int = 0
    networks: int = 0
    files: int = 0
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def check(commons: Path, *, checkpoints: bool = True) -> Checked:
    """Check all of a commons.

    Args:
        commons: folder of the commons.
        checkpoints: whether to compare every recorded checkpoint with its SHA-256, too.

    Raises:
        BadInput: it is not a commons, or has a newer layout.
    """
    check_layout(commons)
    found = Checked()
    lock = ReaderLock(commons)
    try:
        try:
            archive = Archive(commons)
        except Damaged as error:
            found.problems.append(str(error))
            return found
        _check_archive(archive, found)
        for run, state in run_files(commons):
            found.runs += 1
            pack = archive.sealed(run, state)
            _check_run(RunFolder(commons, run), archive, found, writing=pack is None)
        found.problems += [f"{path} is missing" for path in headless(commons)]
        if checkpoints:
            _check_checkpoints(commons, found)
    finally:
        lock.release()
    return found


def _check_archive(archive: Archive, found: Checked) -> None:
    for pack in archive.packs:
        for name, file in pack.files.items():
            path = archive.folder / str(file["file"])
            found.files += 1
            if not path.exists():
                found.problems.append(f"{path} is missing")
            elif fingerprint(path) != {"bytes": file["bytes"], "sha256": file["sha256"]}:
                found.problems.append(f"{path} is damaged: its SHA-256 differs from the manifest's")
            else:
                try:
                    rows = read_fragment(path, SORTED[name]).num_rows
                except Damaged as error:
                    found.problems.append(str(error))
                    continue
                if rows != file["rows"]:
                    found.problems.append(f"{path} is damaged: {rows} rows, {file['rows']} in the manifest")
        found.networks += pack.rows("networks")
    found.notes += [f"{path} belongs to no pack; compaction removes it" for path in archive.unlisted()]


def _check_run(folder: RunFolder, archive: Archive, found: Checked, *, writing: bool) -> None:
    found.files += 1
    try:
        stored = read_json(folder.run_file)
    except Damaged as error:
        found.problems.append(str(error))
        return
    for key in ("header", "status", "started"):
        if key not in stored:
            found.problems.append(f"{folder.run_file} is damaged: it has no {key!r}")
            return
    held = holder(folder.lock)
    if stored["status"] == RunStatus.running and held is None:
        found.notes.append(f"{folder.path}: the run is not finished, and no process is writing it")
    left = list(folder.path.rglob(".*.unfinished")) if held is None else []
    found.notes += [f"{path} was left unfinished; resuming the run removes it" for path in left]
    reported = _check_events(folder, found)  # read first: records are written before the event is
    archived = archive.networks(folder.run_id, str(stored["started"]))
    finals = fragment_numbers(folder.table("networks"))
    for number in finals:
        if not writing or number not in archived:
            found.networks += 1
            found.problems += list(_network_problems(folder, number, found))
    found.problems += [
        f"{folder.fragment('networks', number)} is missing: by the event log network {number} has ended"
        for number in sorted(reported - set(finals) - archived)
    ]
    if (finals or archived or stored["status"] != RunStatus.running) and not folder.events.exists():
        found.problems.append(f"{folder.events} is missing")
    for path in sorted((folder.path / "journals").glob("*.jsonl")):
        found.files += 1
        try:
            epochs = {epoch.epoch for epoch in read_epochs(path)}
        except Damaged as error:
            found.problems.append(str(error))
            continue
        if epochs != set(range(1, len(epochs) + 1)):
            found.problems.append(f"{path} is damaged: an epoch is missing")


def _check_events(folder: RunFolder, found: Checked) -> set[int]:
    """Check the event log and what is derived from it; returns the networks reported to the strategy."""
    found.files += 1
    reported: set[int] = set()
    try:
        reported = _networks_of(EventKind.told, folder)
    except Damaged as error:
        found.problems.append(str(error))
    made = {name: folder.log_table(name) for name in FROM_LOG}
    for name, path in {**made, "runs": folder.table("runs") / "run.parquet"}.items():
        if not path.exists():
            continue
        found.files += 1
        try:
            read_fragment(path, TABLES[name])
            length = int(read_notes(path).get("events_bytes", 0))
        except Damaged as error:
            found.problems.append(str(error))
            continue
        if folder.events.exists() and folder.events.stat().st_size < length:
            found.problems.append(f"{folder.events} is damaged: it is shorter than when the run ended")
    return reported


def _network_problems(folder: RunFolder, number: int, found: Checked) -> Iterator[str]:
    tables: dict[str, pa.Table] = {}
    for name in NETWORK_TABLES:
        path = folder.fragment(name, number)
        found.files += 1
        try:
            tables[name] = read_fragment(path, TABLES[name])
        except FileNotFoundError:
            yield f"{path} is missing"
        except Damaged as error:
            yield str(error)
    sums: dict[str, str] = {}
    if "networks" in tables:
        notes = read_notes(folder.fragment("networks", number))
        sums = {k.removeprefix(CHECKSUM): v for k, v in notes.items() if k.startswith(CHECKSUM)}
    for name, rows in tables.items():
        path = folder.fragment(name, number)
        now = rows_checksum(rows) if name == "networks" else file_checksum(path)
        if name in sums and sums[name] != now:
            yield f"{path} is damaged: its SHA-256 differs from the recorded one"
            continue
        for column in unknown_columns(path, TABLES[name]):
            yield f"{path} has a column {column!r}, which this version does not know"
        wrong = pc.or_(pc.not_equal(rows["run"], folder.run_id), pc.not_equal(rows["network"], number))
        if pc.any(wrong).as_py():
            yield f"{folder.fragment(name, number)} is damaged: it holds rows of another network"
    if "networks" in tables and tables["networks"].num_rows != 1:
        yield f"{folder.fragment('networks', number)} is damaged: {tables['networks'].num_rows} rows, not one"
    elif "networks" in tables and "epochs" in tables:
        trained = tables["networks"]["epochs_trained"][0].as_py()
        numbers = tables["epochs"]["epoch"].to_pylist()
        if (
            trained is not None
            and tables["networks"]["equal_to"][0].as_py() is None
            and len(numbers) != trained
        ):
            yield (
                f"{folder.fragment('epochs', number)} is damaged: {len(numbers)} epochs, not "
                f"{trained} as in networks"
            )


def _check_checkpoints(commons: Path, found: Checked) -> None:
    columns = [("checkpoint", "checkpoint_sha256"), ("best_checkpoint", "best_checkpoint_sha256")]
    seen: set[str] = set()
    left_out: Counter[str] = Counter()
    removed: dict[str, set[int] | None] = {}

    @cache
    def deposited(run: str) -> str | None:
        """Which checkpoints the deposit contained that a run was imported from; None if it was from none."""
        try:
            weights = read_json(RunFolder(commons, run).run_file).get("deposited_weights")
        except Damaged:
            return None  # reported above
        return None if weights is None else str(weights)

    try:
        parts = Snapshot(commons).parts(TABLES["networks"])
    except Damaged:
        return  # reported above; without run.json the records of the run are not read
    for part in parts:
        try:
            names = ["run", "network", "equal_to", *(c for pair in columns for c in pair)]
            rows = part.to_table(columns=names).to_pylist()
        except (OSError, pa.ArrowException):
            continue  # reported above, by name
        for row in rows:
            for name, digest in columns:
                if row[name] is None or row[digest] is None or row[name] in seen:
                    continue
                seen.add(row[name])
                found.files += 1
                path = commons / row[name]
                if path.is_file():
                    if file_checksum(path) != row[digest]:
                        found.problems.append(f"{path} is damaged: its SHA-256 differs from the recorded one")
                    continue
                if deposited(row["run"]) not in (None, "all"):
                    left_out[row["run"]] += 1
                    continue
                if row["run"] not in removed:
                    removed[row["run"]] = _removed(RunFolder(commons, row["run"]))
                gone = removed[row["run"]]
                owner = row["network"] if row["equal_to"] is None else row["equal_to"]
                if gone is not None and owner not in gone:
                    found.problems.append(f"{path} is missing")
    found.notes += [
        f"run {run!r}: {count} checkpoints were not in the deposit it was imported from"
        for run, count in left_out.items()
    ]


def _removed(folder: RunFolder) -> set[int] | None:
    """Networks whose checkpoints were removed on purpose; None if the event log cannot be read."""
    try:
        return _networks_of(EventKind.checkpoints_removed, folder)
    except Damaged:
        return None  # reported above


def _networks_of(kind: EventKind, folder: RunFolder) -> set[int]:
    """Networks that have an event of a kind."""
    events = read_events(folder.events)
    return {event.network for event in events if event.kind == kind and event.network is not None}
