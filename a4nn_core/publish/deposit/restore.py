"""From a deposit back to a commons: the same runs, tables and weights.

A deposit may come from strangers. It is checked as a whole first, beside the commons and not in it, and then
taken as a whole or refused.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from a4nn_core.commons.archive import Archive
from a4nn_core.commons.events import event_line
from a4nn_core.commons.journal import journal_line
from a4nn_core.commons.layout import Damaged, RunFolder, open_commons, write_json
from a4nn_core.commons.merge import Merged, merge
from a4nn_core.commons.records import Event
from a4nn_core.commons.references import (
    absent,
    checkpoint_problems,
    descent_problems,
    ended,
    log_problems,
    reference_problems,
)
from a4nn_core.commons.rows import records
from a4nn_core.commons.schema import NETWORK_TABLES
from a4nn_core.commons.valid import problem, row_problems
from a4nn_core.errors import BadInput
from a4nn_core.files import atomic_write_bytes, make_folder, user_errors
from a4nn_core.interchange.deposit_tables import DEPOSITED, read_table
from a4nn_core.jsonable import members
from a4nn_core.publish.deposit.files import locate
from a4nn_core.publish.deposit.record import RECORD, DepositRecord, read_record
from a4nn_core.publish.deposit.weights import Packed, chosen, recorded, unpack

_NEEDED = (*NETWORK_TABLES, "events", "front")
Tables = Mapping[str, pa.Table]


def restore(deposit: Path, commons: Path) -> Merged:
    """Add the runs of a deposit to a commons, which is created if missing.

    A run that the commons has already is left alone; one whose id another run has taken gets a new one.

    Args:
        deposit: folder of the deposit, as it was built or as Dataverse gives it out.
        commons: folder of the commons.

    Raises:
        BadInput: it is not a deposit, of a newer format, or altered (the files are named), holds what no run
            can (the first place is named), or the commons cannot be written. The commons is then unchanged.
    """
    if not deposit.is_dir():
        raise BadInput(f"there is no folder {deposit}")
    files = locate(deposit)
    if RECORD not in files:
        raise BadInput(f"{deposit} is not an A4NN deposit: it has no {RECORD}")
    record = read_record(files[RECORD])
    tables = _tables(deposit, files, record)
    near = next(folder for folder in commons.absolute().parents if folder.is_dir())
    with (
        user_errors("write", commons),
        tempfile.TemporaryDirectory(dir=near, prefix=".a4nn-import-") as folder,
    ):
        staged = Path(folder) / "commons"
        _stage(record, tables, staged)
        _unpack(deposit, files, record, tables, staged)
        return merge(staged, commons, sorted(record.runs))


def _tables(deposit: Path, files: Mapping[str, Path], record: DepositRecord) -> Tables:
    """The tables of a deposit, checked.

    Raises:
        Damaged: one is missing or wrong; the first place is named.
    """
    found: dict[str, pa.Table] = {}
    paths = {name: files.get(f"data/{name}.parquet") for name in DEPOSITED}
    for name, path in paths.items():
        if path is None:
            if name in _NEEDED:
                raise Damaged(f"{deposit / 'data' / name}.parquet is missing")
            continue
        rows = found[name] = read_table(path, DEPOSITED[name])
        if rows.num_rows != record.rows.get(name):
            raise Damaged(f"{path} has {rows.num_rows} rows, not {record.rows.get(name)} as in {RECORD}")
        for text in row_problems(DEPOSITED[name], rows):
            raise Damaged(f"{path} {text}")
        unknown = pc.invert(pc.is_in(rows["run"], pa.array(list(record.runs))))
        for text in problem(rows, unknown, ("run",), f"which {RECORD} does not name"):
            raise Damaged(f"{path} {text}")
    for name, text in _between(found, record):
        raise Damaged(f"{paths[name]} {text}")
    return found


def _between(tables: Tables, record: DepositRecord) -> Iterator[tuple[str, str]]:
    """What is wrong between tables, and between them and the runs: name of a table, and the problem."""
    networks = tables["networks"]
    yield from reference_problems({name: tables[name] for name in NETWORK_TABLES})
    for name in {"front", "lineage"} & tables.keys():
        lost = absent(tables[name], ("run", "network"), networks, ("run", "network"))
        for text in problem(tables[name], lost, ("run", "network"), "of which networks has no row"):
            yield name, text
    yield from (("networks", text) for text in checkpoint_problems(networks))
    known: dict[str, set[int]] = {}
    for run, stored in record.runs.items():
        mine = pc.equal(tables["events"]["run"], run)
        events = records(Event, tables["events"].filter(mine).sort_by("number"))
        yield from (("events", text) for text in log_problems(run, events))
        numbers = set(networks.filter(pc.equal(networks["run"], run))["network"].to_pylist())
        if lacking := ended(events) - numbers:
            yield "networks", f"lacks network {min(lacking)} of run {run!r}, which by its events has ended"
        if members(stored["header"]).get("shadow_of") is None:
            known[run] = numbers | {e.network for e in events if e.network is not None}
    yield from (("networks", text) for text in descent_problems(networks, known))


def _stage(record: DepositRecord, tables: Tables, staged: Path) -> None:
    """Lay the runs of a deposit out as a commons."""
    open_commons(staged)
    for run, stored in record.runs.items():
        folder = RunFolder(staged, run)
        make_folder(folder.path)
        # so that a check knows why checkpoints are missing
        write_json(folder.run_file, {**stored, "deposited_weights": record.weights})
        events = tables["events"].filter(pc.equal(tables["events"]["run"], run)).sort_by("number")
        lines = [journal_line(event_line(event)) for event in records(Event, events)]
        atomic_write_bytes(folder.events, b"".join(lines))
    archive = Archive(staged)
    started = {run: str(stored["started"]) for run, stored in record.runs.items()}
    archive.commit([archive.write_pack({name: tables[name] for name in NETWORK_TABLES}, started, {})])


def _unpack(
    deposit: Path, files: Mapping[str, Path], record: DepositRecord, tables: Tables, staged: Path
) -> None:
    """Unpack the weights into the staged commons: all that were chosen for the deposit, and no others.

    Raises:
        BadInput: something else is in an archive, or a checkpoint is missing or not what is recorded.
    """
    wanted = recorded(tables)
    for path, file in sorted(files.items()):
        if path.startswith("weights/"):
            unpack(file, wanted, staged)
    for checkpoints in chosen(tables, record.weights, Packed()).values():
        for path in sorted(checkpoints):
            if not (staged / path).exists():
                raise BadInput(
                    f"{deposit / 'weights'} lacks {path}: by {RECORD} the weights are {record.weights!r}"
                )
