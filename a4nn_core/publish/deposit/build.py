"""Building a deposit from runs of a commons: whole or not at all, and the same bytes every time."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import pyarrow as pa
import pyarrow.compute as pc

from a4nn_core.archaeology.figures import draw
from a4nn_core.archaeology.picture import picture
from a4nn_core.commons import Commons, RunFolder
from a4nn_core.commons.layout import read_json, write_json
from a4nn_core.commons.merge import chosen_runs
from a4nn_core.commons.records import Network
from a4nn_core.commons.rows import records
from a4nn_core.errors import BadInput
from a4nn_core.files import atomic_write_bytes, make_folder, user_errors
from a4nn_core.interchange.deposit_tables import DEPOSITED, WrittenTable, gather, write_tables
from a4nn_core.interchange.unf import combine
from a4nn_core.publish.deposit.citation import citation_cff, codemeta, license_text
from a4nn_core.publish.deposit.croissant import croissant
from a4nn_core.publish.deposit.dataverse_json import dataverse_json
from a4nn_core.publish.deposit.files import describe_file, paths_in, write_manifest
from a4nn_core.publish.deposit.metadata import DepositMetadata
from a4nn_core.publish.deposit.readme import readme
from a4nn_core.publish.deposit.record import FORMAT, RECORD
from a4nn_core.publish.deposit.rocrate import NAME as RO_CRATE
from a4nn_core.publish.deposit.rocrate import ro_crate
from a4nn_core.publish.deposit.weights import Packed, Policy, pack
from a4nn_core.publish.models.found import networks, runs_of
from a4nn_core.version import __version__
from a4nn_core.vocabulary import NetworkStatus, RunStatus

_HOME = "https://doi.org/10.1145/3605573.3605636"


@dataclass(frozen=True)
class Settings:
    """What goes into a deposit.

    Attributes:
        weights: which checkpoints, see ``weights.chosen``.
        models: ``front`` exports the networks on fronts as ONNX and torch.export, ``none`` nothing.
        archive_bytes: greatest size of one archive of weights.
        csv_rows: tables of more rows are Parquet only.
        unfinished: take runs that are not completed too, marked as such.
    """

    weights: Policy = "front"
    models: Literal["none", "front"] = "front"
    archive_bytes: int = 2_000_000_000
    csv_rows: int = 100_000
    unfinished: bool = False


@dataclass(frozen=True)
class Built:
    """A deposit that was built.

    Attributes:
        folder: the folder of the deposit.
        runs: ids of its runs.
        files, bytes: number of files, and their total size.
        unf: of the data set, None if no table is ingested.
        remarks: what a person must know before it is published.
    """

    folder: Path
    runs: list[str]
    files: int
    bytes: int
    unf: str | None
    remarks: list[str]


def build(
    commons: Path, runs: Sequence[str], out: Path, metadata: DepositMetadata, settings: Settings
) -> Built:
    """Build a deposit.

    Args:
        commons: folder of the commons to read.
        runs: ids of the runs, at least one.
        out: folder that does not exist yet.
        metadata: what the author states about the deposit.
        settings: what the deposit contains.

    Raises:
        BadInput: no such run, one that is not completed, weights that are missing or damaged, a package that
            is missing, or ``out`` exists or cannot be written. Nothing is left behind.
    """
    names = sorted(set(chosen_runs(commons, runs)))
    if not names:
        raise BadInput(f"{commons} has no run to publish")
    stored = {name: read_json(RunFolder(commons, name).run_file) for name in names}
    for run_file in stored.values():  # so that a run that was imported makes the deposit that it came from
        run_file.pop("deposited_weights", None)
    open_ = [
        f"{name} ({run['status']})" for name, run in stored.items() if run["status"] != RunStatus.completed
    ]
    if open_ and not settings.unfinished:
        raise BadInput(
            f"not completed: {', '.join(open_)}; finish them with `a4nn run`, "
            "or publish them as they are with --unfinished"
        )
    if out.exists():
        raise BadInput(f"cannot build the deposit in {out}: it exists already")
    make_folder(out.absolute().parent)
    temporary = out.absolute().with_name(f".{out.name}.{os.getpid()}.unfinished")
    try:
        with user_errors("write", out):
            temporary.mkdir()
            built = _fill(commons, stored, temporary, metadata, settings)
            temporary.rename(out)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    return Built(out, names, *built)


def _fill(
    commons: Path,
    stored: Mapping[str, Mapping[str, object]],
    folder: Path,
    metadata: DepositMetadata,
    settings: Settings,
) -> tuple[int, int, str | None, list[str]]:
    tables = gather(commons, list(stored))
    packed = pack(commons, tables, settings.weights, folder, settings.archive_bytes)
    written = write_tables(tables, folder, settings.csv_rows)
    unresolved = _write_architectures(tables, folder / "data" / "architectures.jsonl")
    if settings.models == "front":
        from a4nn_core.publish.models.export import export_front

        export_front(commons, tables, folder)
    for name in stored:
        shown = picture(Commons(commons), name)
        if shown.points:
            (folder / "figures").mkdir(exist_ok=True)
            draw(shown, folder / "figures" / f"{name}-front.png")
    date = _date(tables)
    deposit_id = identify(stored)
    unfs = [table.unf for table in written if table.unf]
    unf = combine(unfs) if unfs else None
    write_json(
        folder / RECORD,
        {
            "format": FORMAT,
            "id": deposit_id,
            "a4nn_version": __version__,
            "weights": settings.weights,
            "tables": {t.name: {"rows": t.rows, "csv": t.csv, "unf": t.unf} for t in written},
            "unf": unf,
            "runs": dict(stored),
        },
    )
    write_json(folder / "dataverse.json", dataverse_json(metadata, deposit_id, date))
    write_json(folder / "codemeta.json", codemeta(metadata))
    atomic_write_bytes(folder / "CITATION.cff", citation_cff(metadata, date).encode())
    atomic_write_bytes(folder / "LICENSE", license_text(metadata).encode())
    remarks = _remarks(stored, packed, settings)
    if unresolved:
        remarks.append(
            f"the recorded layers of {len(unresolved)} networks do not give their architecture; "
            "`data/architectures.jsonl` lacks them"
        )
    _write_descriptions(folder, metadata, tables, written, packed, unf, date, remarks)
    write_manifest(folder)
    paths = [p for p in folder.rglob("*") if p.is_file()]
    return len(paths), sum(p.stat().st_size for p in paths), unf, remarks


def _write_descriptions(
    folder: Path,
    metadata: DepositMetadata,
    tables: Mapping[str, pa.Table],
    written: Sequence[WrittenTable],
    packed: Packed,
    unf: str | None,
    date: str,
    remarks: Sequence[str],
) -> None:
    """README, Croissant and RO-Crate: each describes the files that are there before it."""
    runs = runs_of(tables)
    every = records(Network, tables["networks"])
    files = [describe_file(folder, path, *_about(path, packed, runs)) for path in paths_in(folder)]
    counts = {name: sum(network.run == name for network in every) for name in runs}
    front = records(Network, tables["front"])
    text = readme(metadata, files, written, unf, runs, counts, front, remarks)
    atomic_write_bytes(folder / "README.md", text.encode())
    files.append(describe_file(folder, "README.md", "what this is and how to load it"))
    url = next((f"https://doi.org/{p.doi}" for p in metadata.publications if p.doi), _HOME)
    write_json(folder / "croissant.json", croissant(metadata, files, DEPOSITED, date, url))
    files.append(describe_file(folder, "croissant.json", "Croissant 1.1: the tables for machines"))
    trained = {name: [n for n in every if n.run == name and _was_trained(n)] for name in runs}
    write_json(folder / RO_CRATE, ro_crate(metadata, files, runs, trained, _ends(tables), date))


def _was_trained(network: Network) -> bool:
    return network.equal_to is None and network.status is not NetworkStatus.infeasible


def _ends(tables: Mapping[str, pa.Table]) -> dict[tuple[str, int], datetime]:
    """The time of each network's last epoch, by run and network; of those that recorded one."""
    last = tables["epochs"].group_by(["run", "network"]).aggregate([("time", "max")]).to_pylist()
    return {(row["run"], row["network"]): row["time_max"] for row in last if row["time_max"] is not None}


def identify(stored: Mapping[str, Mapping[str, object]]) -> str:
    """Identifies a deposit by its runs: corrected metadata or differently split archives do not change it."""
    text = json.dumps([[name, stored[name]["started"]] for name in sorted(stored)])
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _write_architectures(tables: Mapping[str, pa.Table], path: Path) -> list[tuple[str, int]]:
    """One JSON line per trained network: its layers and their connections. Returns the networks left out."""
    unresolved: list[tuple[str, int]] = []
    chosen = [network for network in records(Network, tables["networks"]) if _was_trained(network)]
    lines = [
        json.dumps(
            {
                "run": found.network.run,
                "network": found.network.network,
                "architecture_hash": found.architecture.hash,
                "classes": found.classes,
                "flops": found.architecture.flops,
                "parameters": found.architecture.parameters,
                **found.architecture.to_json(),
            },
            ensure_ascii=False,
        )
        for found in networks(tables, chosen, unresolved)
    ]
    if lines:
        atomic_write_bytes(path, ("\n".join(lines) + "\n").encode())
    return unresolved


def _date(tables: Mapping[str, pa.Table]) -> str:
    """The day the last run ended, YYYY-MM-DD (UTC); of a run that did not, its last event."""
    moments: list[datetime] = [
        moment
        for moment in (
            *tables["runs"]["ended"].to_pylist(),
            pc.max(tables["events"]["time"]).as_py(),
            pc.max(tables["runs"]["started"]).as_py(),
        )
        if moment is not None
    ]
    return max(moments).astimezone(UTC).strftime("%Y-%m-%d")


def _remarks(stored: Mapping[str, Mapping[str, object]], packed: Packed, settings: Settings) -> list[str]:
    remarks = [
        f"run {name} was not finished when it was published ({run['status']}); "
        "networks that were still in training are left out"
        for name, run in stored.items()
        if run["status"] != RunStatus.completed
    ]
    if packed.never_saved:
        count = len(packed.never_saved)
        remarks.append(f"no weights were ever recorded for {count} of the chosen networks")
    if settings.weights == "none":
        remarks.append("the deposit holds no weights")
    return remarks


_TEXTS = {
    "deposit.json": "the runs and fingerprints, for `a4nn import deposit`",
    "dataverse.json": "metadata in Dataverse's native JSON",
    "codemeta.json": "the software that made and reads this",
    "CITATION.cff": "how to cite",
    "LICENSE": "terms",
    "data/architectures.jsonl": "every trained network's layers and connections, one line per network",
}


def _about(path: str, packed: Packed, runs: Mapping[str, object]) -> tuple[str, str | None]:
    """What a file is, and the run it belongs to."""
    if path in _TEXTS:
        return _TEXTS[path], None
    folder, _, name = path.partition("/")
    owner = max((run for run in runs if name.startswith(f"{run}-")), key=len, default=None)
    if path in packed.archives:
        return f"weights of {owner}: {len(packed.archives[path])} checkpoints (safetensors)", owner
    table = Path(name).stem
    match folder, Path(name).suffix:
        case "data", _:
            return f"table `{table}`: a row is {DEPOSITED[table].row}", None
        case "tables", _:
            return f"table `{table}` as CSV, plain columns only", None
        case "figures", _:
            return f"accuracy against cost and learning curves of {owner}", owner
        case "models", ".onnx":
            return f"network {table} as ONNX", owner
        case "models", ".pt2":
            return f"network {table} as torch.export program", owner
        case "models", _:
            return f"model card of network {table}", owner
    raise AssertionError(path)
