"""Add the runs of one commons to another."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from a4nn_core.commons.archive import Archive
from a4nn_core.commons.compact import PACK_ROWS, Batch, compact_run, complete, only_one, whole_run
from a4nn_core.commons.layout import Damaged, RunFolder, check_layout, open_commons, read_json, write_json
from a4nn_core.commons.lock import holder
from a4nn_core.commons.reader import Commons
from a4nn_core.commons.run_snapshot import RunSnapshot
from a4nn_core.commons.schema import NETWORK_TABLES, TABLES
from a4nn_core.commons.snapshot import Snapshot, run_names
from a4nn_core.commons.totals import totals
from a4nn_core.commons.valid import run_problem
from a4nn_core.errors import BadInput
from a4nn_core.files import make_folder, user_errors
from a4nn_core.jsonable import Json


@dataclass
class Merged:
    """What a merge did.

    Attributes:
        added: id of each added run in the source to its id in the target.
        present: ids of the runs that the target already had.
    """

    added: dict[str, str] = field(default_factory=dict)
    present: list[str] = field(default_factory=list)


def chosen_runs(commons: Path, runs: Sequence[str] | None) -> list[str]:
    """Check the given run ids; all runs if None.

    Raises:
        BadInput: it is not a commons, or has no such run.
    """
    check_layout(commons)
    known = run_names(commons)
    for run in runs or ():
        if run not in known:
            raise BadInput(f"{commons} has no run {run!r}; runs there: {', '.join(known[:20]) or 'none'}")
    return list(runs) if runs else known


def merge(source: Path, target: Path, runs: Sequence[str] | None = None) -> Merged:
    """Add runs of one commons to another, which is created if missing.

    A run that the target already has is skipped; one whose id belongs to another run there gets a new one,
    ``<id>-2``. Checkpoints and the journals of networks in training are copied, too. A run appears in the
    target completely or not at all.

    Args:
        source: folder of the commons to read.
        target: folder of the commons to write.
        runs: ids of runs; all if None.

    Raises:
        BadInput: the source is not a commons or lacks a run, a run is being written, or the target cannot be
            written.
    """
    names = chosen_runs(source, runs)
    for run in names:
        held = holder(RunFolder(source, run).lock)
        if held is not None:
            raise BadInput(f"run {run!r} in {source} is being written by process {held.get('pid')}")
    if source.resolve() == target.resolve():
        raise BadInput(f"{source} cannot be merged into itself")
    fresh = not target.exists()
    try:
        open_commons(target)
        make_folder(target / "runs")
        return _add(source, target, names)
    except BaseException:
        if fresh:
            shutil.rmtree(target, ignore_errors=True)
        raise


def _add(source: Path, target: Path, names: Sequence[str]) -> Merged:
    done = Merged()
    with only_one(target):
        archive = Archive(target)
        batch = Batch()
        packs = list(archive.packs)
        arrivals: list[tuple[Path, Path]] = []
        try:
            for run in names:
                run_file = RunFolder(source, run).run_file
                stored = read_json(run_file)
                if (problem := run_problem(run, stored)) is not None:
                    raise Damaged(f"{run_file} is damaged: {problem}")
                new = _free_id(target, run, stored, {there.name for _, there in arrivals})
                if new is None:
                    done.present.append(run)
                    continue
                arriving = target / "runs" / f".{new}.{os.getpid()}.unfinished"
                arrivals.append((arriving, target / "runs" / new))
                with user_errors("write", arriving):
                    _copy_run(source, run, stored, new, arriving, batch)
                done.added[run] = new
                if batch.epochs >= PACK_ROWS:
                    packs.append(batch.write(archive))
                    batch = Batch()
            if batch.started:
                packs.append(batch.write(archive))
            archive.commit(packs)
            for arriving, there in arrivals:
                arriving.rename(there)
        except BaseException:
            for arriving, _ in arrivals:
                shutil.rmtree(arriving, ignore_errors=True)
            for pack in packs[len(archive.packs) :]:  # none of them is in the manifest
                for file in pack.files.values():
                    (archive.folder / file.file).unlink(missing_ok=True)
            raise
    for new in done.added.values():
        totals(Commons(target), new)
    for new in list(done.added.values())[:1]:
        compact_run(target, new)  # joins packs, so that they stay few however many commons are merged
    return done


def _free_id(target: Path, run: str, stored: dict[str, Json], arriving: set[str]) -> str | None:
    """The id that a run gets in the target; None if the target already has the run."""
    number = 1
    while True:
        name = run if number == 1 else f"{run[:95]}-{number}"
        folder = RunFolder(target, name)
        if not folder.run_file.exists():
            if name not in arriving:
                return name
        else:
            there = read_json(folder.run_file)
            if all(there.get(name) == stored.get(name) for name in ("started", "header")):
                return None
        number += 1


def _copy_run(
    source: Path, run: str, stored: dict[str, Json], new: str, arriving: Path, batch: Batch
) -> None:
    folder = RunFolder(source, run)
    snapshot = Snapshot(source, run)  # holds the readers' lock until all is copied
    alone = RunSnapshot(folder, Archive(source))
    arriving.mkdir()
    if (folder.path / "checkpoints").is_dir():
        shutil.copytree(folder.path / "checkpoints", arriving / "checkpoints")
    for number in alone.training:
        (arriving / "journals").mkdir(exist_ok=True)
        shutil.copy2(folder.journal(number), arriving / "journals")
    if folder.events.exists():
        shutil.copy2(folder.events, arriving)
    write_json(arriving / "run.json", {**stored, "run": new})
    tables = {name: snapshot.table(TABLES[name], final=True) for name in NETWORK_TABLES}
    if complete(alone):
        tables |= whole_run(source, alone)
        state = (arriving / "run.json").stat()
        batch.sealed[new] = [state.st_size, state.st_mtime_ns]
    if new != run:
        tables = {name: _renamed(rows, run, new) for name, rows in tables.items()}
    batch.add(tables, {new: str(stored["started"])})


def _renamed(rows: pa.Table, run: str, new: str) -> pa.Table:
    index = rows.schema.get_field_index("run")
    rows = rows.set_column(index, rows.schema.field(index), pa.array([new] * rows.num_rows, pa.string()))
    for name in ("checkpoint", "best_checkpoint"):
        index = rows.schema.get_field_index(name)
        if index >= 0:
            moved = pc.replace_substring_regex(rows[name], f"^runs/{run}/", f"runs/{new}/")
            rows = rows.set_column(index, rows.schema.field(index), moved)
    return rows
