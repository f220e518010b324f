"""Compaction: moves the final records of many networks from many small files into a few sorted ones.

It runs beside writers and readers. New files are written first; replacing the archive's manifest makes them
visible, all at once; only then, and only while nobody reads, are the old ones deleted. Killed at any moment
it leaves a commons that has every record exactly once; the next compaction removes what it left over.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from a4nn_core.commons.archive import SORTED, Archive, Pack
from a4nn_core.commons.fragments import read_fragment
from a4nn_core.commons.layout import Damaged, RunFolder, check_layout, read_json
from a4nn_core.commons.lock import Held, KernelLock, holder, no_readers
from a4nn_core.commons.run_snapshot import RunSnapshot
from a4nn_core.commons.schema import NETWORK_TABLES, RUN_TABLES, SEALED_TABLES, TABLES
from a4nn_core.commons.snapshot import Snapshot, front_of, headless, run_files
from a4nn_core.errors import BadInput
from a4nn_core.files import make_folder
from a4nn_core.vocabulary import RunStatus

# Approximate maximum of rows of ``epochs`` in a pack, all of which are in memory at once (about 300 MB).
PACK_ROWS = 1_000_000


@dataclass
class Compacted:
    """What a compaction did.

    Attributes:
        networks: number of networks moved into packs.
        runs: number of runs sealed.
        packs: number of packs written.
        removed: number of files deleted.
        left: number of superseded files not deleted because somebody was reading; the next compaction
            deletes them.
    """

    networks: int = 0
    runs: int = 0
    packs: int = 0
    removed: int = 0
    left: int = 0


class Batch:
    """Rows collected for one pack."""

    def __init__(self) -> None:
        self.tables: dict[str, list[pa.Table]] = {name: [] for name in SORTED}
        self.started: dict[str, str] = {}
        self.sealed: dict[str, list[int]] = {}
        self.epochs = 0

    def add(self, tables: dict[str, pa.Table], started: Mapping[str, str]) -> None:
        self.started |= started
        for name, rows in tables.items():
            self.tables[name].append(rows)
        self.epochs += tables["epochs"].num_rows if "epochs" in tables else 0

    def write(self, archive: Archive) -> Pack:
        joined = {
            name: pa.concat_tables(parts) if parts else SORTED[name].schema.empty_table()
            for name, parts in self.tables.items()
        }
        return archive.write_pack(joined, self.started, self.sealed)


def compact(commons: Path) -> Compacted:
    """Move all final records into packs.

    Raises:
        BadInput: it is not a commons, cannot be written, or is being compacted by another process.
        Damaged: a file cannot be read; nothing has been changed then. ``check`` names every such file.
    """
    check_layout(commons)
    done = Compacted()
    with only_one(commons):
        archive = Archive(commons)
        for path in headless(commons):  # without run.json its packs would count as those of a deleted run
            raise Damaged(f"{path} is missing; put it back, or delete the run's folder")
        _sweep(commons, archive, done)
        small = [p for p in archive.packs if p.rows("epochs") < PACK_ROWS // 2]
        snapshots = [
            (RunSnapshot(RunFolder(commons, run), archive), state)
            for run, state in run_files(commons)
            if archive.sealed(run, state) is None
        ]
        now = _started(commons, archive)
        sealed_in = {run: archive.sealed(run, state) for run, state in run_files(commons)}
        fresh = sum(len(run.fragments) for run, _ in snapshots)
        sealable = {run.folder.run_id for run, _ in snapshots if complete(run)}
        if not fresh and not sealable and len(small) < 4:
            return done
        kept = [p for p in archive.packs if p not in small]
        batch = Batch()
        written: list[Pack] = []

        def flush(at: int) -> None:
            nonlocal batch
            if batch.epochs >= at or (at == 0 and (batch.sealed or any(batch.tables.values()))):
                written.append(batch.write(archive))
                batch = Batch()

        for pack in small:
            live = _live(pack, now, sealed_in)
            batch.add(_read_pack(archive, live), live.started)
            batch.sealed |= live.sealed
            flush(PACK_ROWS)
        for run, state in snapshots:
            for start in range(0, len(run.fragments), 2_000):
                numbers = run.fragments[start : start + 2_000]
                tables = {name: _read_fragments(run, name, numbers) for name in NETWORK_TABLES}
                batch.add(tables, {run.folder.run_id: run.started})
                done.networks += len(numbers)
                flush(PACK_ROWS)
            if run.folder.run_id in sealable:
                batch.add(whole_run(commons, run), {run.folder.run_id: run.started})
                batch.sealed[run.folder.run_id] = [state.st_size, state.st_mtime_ns]
                done.runs += 1
        flush(0)
        archive.commit([*kept, *written])
        done.packs = len(written)
        _sweep(commons, archive, done)
    return done


def complete(run: RunSnapshot) -> bool:
    """Whether a run was completed, has no network left in training, and nobody is writing it."""
    return (
        run.stored.get("status") == RunStatus.completed
        and not run.training
        and holder(run.folder.lock) is None
    )


def _read_fragments(run: RunSnapshot, name: str, numbers: list[int]) -> pa.Table:
    table = TABLES[name]
    return pa.concat_tables([read_fragment(run.folder.fragment(name, number), table) for number in numbers])


def _started(commons: Path, archive: Archive) -> dict[str, str]:
    """Run id to the time the run was first started, for every existing run."""
    found = {}
    for run, state in run_files(commons):
        pack = archive.sealed(run, state)
        stored = pack.started if pack else {run: read_json(RunFolder(commons, run).run_file).get("started")}
        found[run] = str(stored[run])
    return found


def _live(pack: Pack, now: Mapping[str, str], sealed_in: Mapping[str, Pack | None]) -> Pack:
    """A pack without the runs that were deleted, and without the seals that are no longer valid."""
    there = {run for run, moment in pack.started.items() if now.get(run) == moment}
    return Pack(
        pack.name,
        pack.files,
        {run: text for run, text in pack.networks.items() if run in there},
        {run: moment for run, moment in pack.started.items() if run in there},
        {run: state for run, state in pack.sealed.items() if run in there and sealed_in.get(run) is pack},
    )


def _read_pack(archive: Archive, pack: Pack) -> dict[str, pa.Table]:
    """The rows of a pack that are still valid."""
    found = {}
    for name, file in pack.files.items():
        rows = read_fragment(archive.folder / str(file["file"]), SORTED[name])
        held = pack.sealed if name in SEALED_TABLES else pack.networks
        if set(pc.unique(rows["run"]).to_pylist()) - set(held):
            rows = rows.filter(pc.is_in(rows["run"], pa.array(held, pa.string())))
        found[name] = rows
    return found


def whole_run(commons: Path, run: RunSnapshot) -> dict[str, pa.Table]:
    """The rows of a run that are sealed with it: those of the run as a whole, and its front."""
    alone = Snapshot(commons, run.folder.run_id)
    front = front_of(alone.table(TABLES["networks"]), run.objectives)
    return {**{name: alone.table(TABLES[name]) for name in RUN_TABLES}, "front": front}


def _sweep(commons: Path, archive: Archive, done: Compacted) -> None:
    """Delete the files that packs have superseded, unless somebody is reading."""
    stale = archive.unlisted()
    for run, started in _started(commons, archive).items():
        numbers = archive.networks(run, started)
        if numbers:
            stale += _superseded(RunFolder(commons, run), numbers)
    if not stale:
        done.left = 0
        return
    with no_readers(commons) as alone:
        if not alone:
            done.left = len(stale)
            return
        for path in stale:
            with suppress(FileNotFoundError):
                path.unlink()
        done.removed += len(stale)
        done.left = 0


def _superseded(folder: RunFolder, numbers: set[int]) -> list[Path]:
    """A run's fragments and journals of archived networks; the fragment in ``networks`` last."""
    found = []
    for name in NETWORK_TABLES:
        table = folder.table(name)
        if table.is_dir():
            found += [p for p in table.glob("*.parquet") if p.stem.isdigit() and int(p.stem) in numbers]
    journals = folder.path / "journals"
    if journals.is_dir():
        found += [p for p in journals.glob("*.jsonl") if p.stem.isdigit() and int(p.stem) in numbers]
    return found


@contextmanager
def only_one(commons: Path) -> Iterator[None]:
    """Hold the lock that allows only one compaction at a time."""
    path = commons / "archive" / "lock"
    make_folder(path.parent)
    try:
        lock = KernelLock(path)
    except Held as error:
        raise BadInput(f"{commons} is being compacted by {error}") from None
    try:
        yield
    finally:
        lock.release()
