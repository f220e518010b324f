"""Check a commons: read every file, compare every checksum, and report problems with their place."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Set
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from a4nn_core.commons.archive import Archive
from a4nn_core.commons.check_checkpoints import check_checkpoints
from a4nn_core.commons.checked import Checked as Checked
from a4nn_core.commons.epochs import read_epochs
from a4nn_core.commons.events import FROM_LOG, read_events
from a4nn_core.commons.fragments import (
    CHECKSUM,
    file_checksum,
    fragment_numbers,
    read_fragment,
    read_notes,
    rows_checksum,
)
from a4nn_core.commons.layout import Damaged, RunFolder, check_layout, read_json
from a4nn_core.commons.lock import ReaderLock, holder
from a4nn_core.commons.packs import Pack, PackedFile
from a4nn_core.commons.ranges import from_ranges
from a4nn_core.commons.records import Event
from a4nn_core.commons.references import descent_problems, ended, log_problems, reference_problems
from a4nn_core.commons.schema import NETWORK_TABLES, SORTED, TABLES
from a4nn_core.commons.snapshot import Snapshot, headless, run_files
from a4nn_core.commons.valid import row_problems, run_problem, schema_problems
from a4nn_core.jsonable import members
from a4nn_core.vocabulary import RunStatus

# networks whose records are looked at together: it takes a tenth of the time, and a few megabytes
_AT_ONCE = 500


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
        known: dict[str, Set[int]] = {}
        for run, state in run_files(commons):
            found.runs += 1
            pack = archive.sealed(run, state)
            numbers = _check_run(RunFolder(commons, run), archive, found, writing=pack is None)
            if numbers is not None:
                known[run] = numbers
        _check_descent(commons, known, found)
        found.problems += [f"{path} is missing" for path in headless(commons)]
        if checkpoints:
            check_checkpoints(commons, found)
    finally:
        lock.release()
    return found


def _check_archive(archive: Archive, found: Checked) -> None:
    held: dict[tuple[str, str], set[int]] = {}
    for pack in archive.packs:
        found.problems += _pack_problems(archive, pack, found)
        found.networks += pack.rows("networks")
        for run, ranges in pack.networks.items():
            before = held.setdefault((run, pack.started[run]), set())
            numbers = from_ranges(ranges)
            if twice := before & numbers:
                found.problems.append(
                    f"{archive.folder} has network {min(twice)} of run {run!r} in pack {pack.name} and before"
                )
            before |= numbers
    found.notes += [f"{path} belongs to no pack; compaction removes it" for path in archive.unlisted()]


def _pack_problems(archive: Archive, pack: Pack, found: Checked) -> list[str]:
    problems: list[str] = []
    paths = {name: archive.folder / file.file for name, file in pack.files.items()}
    tables = {name: SORTED[name].schema.empty_table() for name in NETWORK_TABLES}
    for name, file in pack.files.items():
        path = paths[name]
        found.files += 1
        if not path.exists():
            problems.append(f"{path} is missing")
        elif PackedFile.of(path, file.rows) != file:
            problems.append(f"{path} is damaged: its SHA-256 differs from the manifest's")
        else:
            try:
                rows = tables[name] = read_fragment(path, SORTED[name])
            except Damaged as error:
                problems.append(str(error))
                continue
            if rows.num_rows != file.rows:
                problems.append(f"{path} is damaged: {rows.num_rows} rows, {file.rows} in the manifest")
            problems += [f"{path} {text}" for text in schema_problems(pq.read_schema(path), SORTED[name])]
            problems += [f"{path} {text}" for text in row_problems(SORTED[name], rows)]
    if not problems:
        problems += [f"{paths[name]} {text}" for name, text in reference_problems(tables)]
    return problems


def _check_run(folder: RunFolder, archive: Archive, found: Checked, *, writing: bool) -> set[int] | None:
    """Check a run's files; returns the numbers of its networks, None if they are not known."""
    found.files += 1
    try:
        stored = read_json(folder.run_file)
    except Damaged as error:
        found.problems.append(str(error))
        return None
    problem = run_problem(folder.run_id, stored)
    if problem is not None:
        found.problems.append(f"{folder.run_file} is damaged: {problem}")
        return None
    held = holder(folder.lock)
    if stored["status"] == RunStatus.running and held is None:
        found.notes.append(f"{folder.path}: the run is not finished, and no process is writing it")
    left = list(folder.path.rglob(".*.unfinished")) if held is None else []
    found.notes += [f"{path} was left unfinished; resuming the run removes it" for path in left]
    events = _check_events(folder, found)  # read first: records are written before the event is
    archived = archive.networks(folder.run_id, str(stored["started"]))
    finals = fragment_numbers(folder.table("networks"))
    fresh = [number for number in finals if not writing or number not in archived]
    found.networks += len(fresh)
    for start in range(0, len(fresh), _AT_ONCE):
        found.problems += _fragment_problems(folder, fresh[start : start + _AT_ONCE], found)
    found.problems += [
        f"{folder.fragment('networks', number)} is missing: by the event log network {number} has ended"
        for number in sorted(ended(events) - set(finals) - archived)
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
    if members(stored["header"]).get("shadow_of") is not None:
        return None  # parents are networks of the run that it trains again
    return {*finals, *archived, *(e.network for e in events if e.network is not None)}


def _check_events(folder: RunFolder, found: Checked) -> list[Event]:
    """Check the event log and what is derived from it; returns the events, none if they cannot be read."""
    found.files += 1
    events: list[Event] = []
    try:
        events = read_events(folder.events)
        found.problems += [f"{folder.events} {text}" for text in log_problems(folder.run_id, events)]
    except Damaged as error:
        found.problems.append(str(error))
    made = {name: folder.log_table(name) for name in FROM_LOG}
    for name, path in {**made, "runs": folder.table("runs") / "run.parquet"}.items():
        if not path.exists():
            continue
        found.files += 1
        try:
            rows = read_fragment(path, TABLES[name])
            length = int(read_notes(path).get("events_bytes", 0))
        except Damaged as error:
            found.problems.append(str(error))
            continue
        found.problems += [f"{path} {text}" for text in row_problems(TABLES[name], rows)]
        if folder.events.exists() and folder.events.stat().st_size < length:
            found.problems.append(f"{folder.events} is damaged: it is shorter than when the run ended")
    return events


def _fragment_problems(folder: RunFolder, numbers: list[int], found: Checked) -> Iterator[str]:
    """Problems in the final records of some networks of a run."""
    sound: dict[int, dict[str, pa.Table]] = {}
    for number in numbers:
        tables: dict[str, pa.Table] = {}
        problems = list(_file_problems(folder, number, tables, found))
        yield from problems
        if not problems:
            sound[number] = tables
    if not sound:
        return
    joined = {name: pa.concat_tables([tables[name] for tables in sound.values()]) for name in NETWORK_TABLES}
    if any(_table_problems(joined)):  # only then file by file, which takes longer
        for number, tables in sound.items():
            for name, text in _table_problems(tables):
                yield f"{folder.fragment(name, number)} {text}"


def _table_problems(tables: dict[str, pa.Table]) -> Iterator[tuple[str, str]]:
    for name, rows in tables.items():
        yield from ((name, text) for text in row_problems(TABLES[name], rows))
    yield from reference_problems(tables)


def _file_problems(
    folder: RunFolder, number: int, tables: dict[str, pa.Table], found: Checked
) -> Iterator[str]:
    """Problems with the files of one network's final records, which ``tables`` receives."""
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
        yield from (f"{path} {text}" for text in schema_problems(pq.read_schema(path), TABLES[name]))
        wrong = pc.or_(pc.not_equal(rows["run"], folder.run_id), pc.not_equal(rows["network"], number))
        if pc.any(wrong).as_py():
            yield f"{path} is damaged: it holds rows of another network"
    if "networks" in tables and tables["networks"].num_rows != 1:
        yield f"{folder.fragment('networks', number)} is damaged: {tables['networks'].num_rows} rows, not one"


def _check_descent(commons: Path, known: Mapping[str, Set[int]], found: Checked) -> None:
    try:
        networks = Snapshot(commons).table(
            TABLES["networks"], final=True, columns=["run", "network", "equal_to", "parents"]
        )
    except (Damaged, OSError, pa.ArrowException):
        return  # reported above, by name
    found.problems += [f"{commons}: {text}" for text in descent_problems(networks, known)]
