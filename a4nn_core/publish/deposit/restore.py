"""From a deposit back to a commons: the same runs, tables and weights."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from a4nn_core.commons.archive import Archive
from a4nn_core.commons.events import event_line
from a4nn_core.commons.fragments import read_fragment
from a4nn_core.commons.layout import Damaged, RunFolder, open_commons, read_json, write_json
from a4nn_core.commons.merge import Merged, merge
from a4nn_core.commons.records import Event
from a4nn_core.commons.rows import records
from a4nn_core.commons.schema import NETWORK_TABLES, TABLES
from a4nn_core.errors import BadInput
from a4nn_core.files import atomic_write_bytes, make_folder, user_errors
from a4nn_core.jsonable import Json, members, to_json, whole
from a4nn_core.publish.deposit.build import FORMAT, RECORD
from a4nn_core.publish.deposit.files import verify
from a4nn_core.publish.deposit.weights import unpack


def restore(deposit: Path, commons: Path) -> Merged:
    """Add the runs of a deposit to a commons, which is created if missing.

    Every file is compared with the manifest first. A run that the commons has already is left alone; one
    whose id another run has taken gets a new one.

    Args:
        deposit: folder of the deposit.
        commons: folder of the commons.

    Raises:
        BadInput: it is not a deposit, of a newer format, or was altered (the files are named), or the commons
            cannot be written. The commons is then unchanged.
    """
    if not deposit.is_dir():
        raise BadInput(f"there is no folder {deposit}")
    manifest = verify(deposit)
    if RECORD not in manifest:
        raise BadInput(f"{deposit} is not an A4NN deposit: it has no {RECORD}")
    record = read_json(deposit / RECORD)
    version = whole(record.get("format"))
    if version is None or version > FORMAT:
        raise BadInput(
            f"{deposit / RECORD} has format {record.get('format')!r}; this a4nn knows formats up to {FORMAT}"
        )
    make_folder(commons.absolute().parent)
    with (
        user_errors("write", commons),
        tempfile.TemporaryDirectory(dir=commons.absolute().parent, prefix=".a4nn-import-") as folder,
    ):
        staged = Path(folder) / "commons"
        _stage(deposit, manifest, record, staged)
        return merge(staged, commons, sorted(members(record["runs"])))


def _stage(deposit: Path, manifest: Mapping[str, str], record: Mapping[str, Json], staged: Path) -> None:
    """Lay the runs of a deposit out as a commons."""
    open_commons(staged)
    tables = {name: _table(deposit, name) for name in (*NETWORK_TABLES, "events")}
    started = {}
    runs = {run: members(stored) for run, stored in members(record["runs"]).items()}
    for run, stored in runs.items():
        folder = RunFolder(staged, run)
        make_folder(folder.path)
        # so that a check knows why checkpoints are missing
        write_json(folder.run_file, {**stored, "deposited_weights": record.get("weights")})
        started[run] = str(stored["started"])
        events = tables["events"].filter(pc.equal(tables["events"]["run"], run))
        lines = [to_json(event_line(event)) + "\n" for event in records(Event, events)]
        atomic_write_bytes(folder.events, "".join(lines).encode())
    archive = Archive(staged)
    archive.commit([archive.write_pack({n: tables[n] for n in NETWORK_TABLES}, started, {})])
    for path in manifest:
        if path.startswith("weights/"):
            for name, content in unpack(deposit / path):
                if name.split("/")[1] not in runs:
                    raise BadInput(
                        f"{deposit / path} holds {name!r}, which belongs to no run of this deposit"
                    )
                make_folder((staged / name).parent)
                with (staged / name).open("xb") as file:
                    shutil.copyfileobj(content, file, 1 << 20)


def _table(deposit: Path, name: str) -> pa.Table:
    path = deposit / "data" / f"{name}.parquet"
    try:
        return read_fragment(path, TABLES[name])
    except FileNotFoundError:
        raise Damaged(f"{path} is missing") from None
