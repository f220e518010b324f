"""Compaction: moves the final records of many networks from many small files into a few sorted ones.

It runs when a run ends, for that run, and when asked, for all; beside writers and readers. New files are
written first; replacing the archive's manifest makes them visible, all at once; only then, and only while
nobody reads, are the old ones deleted. Killed at any moment it leaves a commons that has every record exactly
once; the next compaction of all runs removes what it left over.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from a4nn_core.commons.archive import Archive
from a4nn_core.commons.fragments import read_fragment
from a4nn_core.commons.layout import Damaged, RunFolder, check_layout, read_json
from a4nn_core.commons.lock import Held, KernelLock, holder, no_readers
from a4nn_core.commons.packs import Pack
from a4nn_core.commons.reader import Commons
from a4nn_core.commons.run_snapshot import RunSnapshot
from a4nn_core.commons.schema import NETWORK_TABLES, SEALED_TABLES, SORTED, TABLES
from a4nn_core.commons.snapshot import RunFile, Snapshot, headless, run_files
from a4nn_core.commons.totals import totals
from a4nn_core.commons.unpacked import read_files
from a4nn_core.errors import A4NNError, BadInput
from a4nn_core.files import make_folder
from a4nn_core.vocabulary import RunStatus

# Approximate maximum of rows of ``epochs`` in a pack, all of which are in memory at once (about 300 MB).
PACK_ROWS = 1_000_000

# how long a run that ends waits for another compaction
PATIENCE_SECONDS = 60.0

_log = logging.getLogger(__name__)


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


def compact(commons: Path, run: str | None = None, patience: float = 1.0) -> Compacted:
    """Move final records into packs, and keep every run's totals.

    Args:
        commons: folder of the commons.
        run: id of the only run whose records to move; those of all runs if None. Packs of about the same size
            are then joined by eights, so that the work per run stays small however many there are.
        patience: seconds to wait for another compaction.

    Raises:
        BadInput: it is not a commons, cannot be written, or is being compacted by another process.
        Damaged: a file cannot be read; nothing has been changed then. ``check`` names every such file.
    """
    check_layout(commons)
    done = Compacted()
    with only_one(commons, patience):
        archive = Archive(commons)
        for path in headless(commons) if run is None else ():
            # without run.json its packs would count as those of a deleted run
            raise Damaged(f"{path} is missing; put it back, or delete the run's folder")
        runs = run_files(commons, run)
        wait = 0.0 if run is None else 2.0  # who reads for longer leaves files to the next compaction of all
        _sweep(commons, archive, runs, done, wait)
        _pack(commons, archive, runs, run is None, done)
        _sweep(commons, archive, runs, done, wait)
    store = Commons(commons)
    for name, _ in runs:
        with suppress(Damaged):  # of a run that has not ended well; whoever asks for its totals is told
            totals(store, name)
    return done


def compact_run(commons: Path, run: str) -> None:
    """Compact a run that has ended. What goes wrong is logged: the run is complete without, and the next
    compaction of the commons does what is left."""
    try:
        compact(commons, run, PATIENCE_SECONDS)
    except (A4NNError, OSError, pa.ArrowException) as error:
        _log.warning("run %r was not compacted: %s", run, error)


def _pack(
    commons: Path, archive: Archive, runs: Sequence[RunFile], everything: bool, done: Compacted
) -> None:
    """Write packs of the runs' final records, and of the packs that are to be joined."""
    small = [p for p in archive.packs if p.rows("epochs") < PACK_ROWS // 2]
    unsealed = [
        (RunSnapshot(RunFolder(commons, name), archive), state)
        for name, state in runs
        if archive.sealed(name, state) is None
    ]
    fresh = sum(len(run.fragments) for run, _ in unsealed)
    sealable = {run.folder.run_id for run, _ in unsealed if complete(run)}
    joined = small if everything else _alike(small)
    if not fresh and not sealable and len(joined) < 4:
        return
    kept = [p for p in archive.packs if p not in joined]
    batch = Batch()
    written: list[Pack] = []

    def flush(at: int) -> None:
        nonlocal batch
        if batch.epochs >= at or (at == 0 and (batch.sealed or any(batch.tables.values()))):
            written.append(batch.write(archive))
            batch = Batch()

    there = run_files(commons) if joined else []
    now = _started(commons, archive, there)
    sealed_in = {name: archive.sealed(name, state) for name, state in there}
    for pack in joined:
        live = _live(pack, now, sealed_in)
        batch.add(_read_pack(archive, live), live.started)
        batch.sealed |= live.sealed
        flush(PACK_ROWS)
    for run, state in unsealed:
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


def _alike(packs: Sequence[Pack]) -> list[Pack]:
    """The packs of each size class, a power of eight, that has eight of them."""
    classes: dict[int, list[Pack]] = {}
    for pack in packs:
        classes.setdefault(pack.rows("epochs").bit_length() // 3, []).append(pack)
    return [pack for alike in classes.values() if len(alike) >= 8 for pack in alike]


def complete(run: RunSnapshot) -> bool:
    """Whether a run was completed, has no network left in training, and nobody is writing it."""
    return (
        run.stored.get("status") == RunStatus.completed
        and not run.training
        and holder(run.folder.lock) is None
    )


def _read_fragments(run: RunSnapshot, name: str, numbers: list[int]) -> pa.Table:
    table = TABLES[name]
    return read_files(table, [run.folder.fragment(name, number) for number in numbers], {}).cast(table.schema)


def _started(commons: Path, archive: Archive, runs: Sequence[RunFile]) -> dict[str, str]:
    """Run id to the time the run was first started."""
    found = {}
    for run, state in runs:
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
        rows = read_fragment(archive.folder / file.file, SORTED[name])
        held = pack.sealed if name in SEALED_TABLES else pack.networks
        if set(pc.unique(rows["run"]).to_pylist()) - set(held):
            rows = rows.filter(pc.is_in(rows["run"], pa.array(held, pa.string())))
        found[name] = rows
    return found


def whole_run(commons: Path, run: RunSnapshot) -> dict[str, pa.Table]:
    """The rows of a run that are sealed with it: those of the run as a whole, and its front."""
    alone = Snapshot(commons, run.folder.run_id)
    return {name: alone.table(SORTED[name]) for name in SEALED_TABLES}


def _sweep(
    commons: Path, archive: Archive, runs: Sequence[RunFile], done: Compacted, wait: float = 0.0
) -> None:
    """Delete the files that packs have superseded, unless somebody is reading."""
    stale = archive.unlisted()
    for run, started in _started(commons, archive, runs).items():
        numbers = archive.networks(run, started)
        if numbers:
            stale += _superseded(RunFolder(commons, run), numbers)
    if not stale:
        done.left = 0
        return
    with no_readers(commons, wait) as alone:
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
def only_one(commons: Path, patience: float = 1.0) -> Iterator[None]:
    """Hold the lock that allows only one compaction at a time; wait some seconds for it."""
    path = commons / "archive" / "lock"
    make_folder(path.parent)
    try:
        lock = KernelLock(path, patience)
    except Held as error:
        raise BadInput(f"{commons} is being compacted by {error}") from None
    try:
        yield
    finally:
        lock.release()
