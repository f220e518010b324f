"""The weights of a deposit: checkpoints, byte for byte as they were recorded, in few archives.

Archives are plain tar: a server may unpack a zip file into its parts. Every member has the path that the
tables name, so the recorded checksums hold, and training can go on from a checkpoint.
"""

from __future__ import annotations

import shutil
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pyarrow as pa

from a4nn_core.commons.fragments import file_checksum
from a4nn_core.commons.layout import RunFolder
from a4nn_core.commons.records import Network
from a4nn_core.commons.rows import records
from a4nn_core.errors import BadInput
from a4nn_core.files import make_folder, user_errors
from a4nn_core.vocabulary import NetworkStatus

Policy = Literal["none", "front", "best", "all"]
_WITHOUT_WEIGHTS = (NetworkStatus.failed, NetworkStatus.infeasible)
_BLOCK = 512  # bytes, of tar


@dataclass
class Packed:
    """What went into archives.

    Attributes:
        archives: path of each, relative to the deposit, and the checkpoints in it.
        never_saved: (run, network) of chosen networks for which no checkpoint was ever recorded.
    """

    archives: dict[str, list[str]] = field(default_factory=dict)
    never_saved: list[tuple[str, int]] = field(default_factory=list)


def chosen(tables: Mapping[str, pa.Table], policy: Policy, packed: Packed) -> dict[str, dict[str, str]]:
    """The checkpoints to deposit: run to path in the commons to SHA-256.

    Args:
        tables: the tables of the deposit, by name.
        policy: ``none``; ``front``, the best checkpoint of each network on a front; ``best``, of every
            network; ``all``, every checkpoint that was kept.
        packed: receives the networks that never had one.
    """
    found: dict[str, dict[str, str]] = {}
    if policy == "none":
        return found
    for network in records(Network, tables["front" if policy == "front" else "networks"]):
        if network.equal_to is not None or network.status in _WITHOUT_WEIGHTS:
            continue
        if network.best_checkpoint is None or network.best_checkpoint_sha256 is None:
            packed.never_saved.append((network.run, network.network))
            continue
        checkpoints = found.setdefault(network.run, {})
        checkpoints[network.best_checkpoint] = network.best_checkpoint_sha256
        if policy == "all" and network.checkpoint is not None and network.checkpoint_sha256 is not None:
            checkpoints[network.checkpoint] = network.checkpoint_sha256
    return found


def kept(tables: Mapping[str, pa.Table], commons: Path) -> Iterator[tuple[str, str, str]]:
    """Run, path and SHA-256 of every recorded checkpoint that was kept: its file is still there."""
    columns = ["run", "network", "checkpoint", "checkpoint_sha256"]
    for row in tables["epochs"].select(columns).to_pylist():
        if row["checkpoint"] is None or row["checkpoint_sha256"] is None:
            continue
        file = RunFolder(commons, row["run"]).checkpoints(row["network"]) / row["checkpoint"]
        if file.is_file():
            yield row["run"], file.relative_to(commons).as_posix(), row["checkpoint_sha256"]


def pack(
    commons: Path, tables: Mapping[str, pa.Table], policy: Policy, folder: Path, archive_bytes: int
) -> Packed:
    """Write ``weights/<run>-01.tar`` and so on.

    Args:
        commons: where the checkpoints are.
        tables: the tables of the deposit, by name.
        policy: see ``chosen``.
        folder: folder of the deposit.
        archive_bytes: greatest size of one archive; a checkpoint that is greater gets one of its own.

    Raises:
        BadInput: checkpoints are missing or not what was recorded; all are named, nothing is written.
    """
    packed = Packed()
    wanted = chosen(tables, policy, packed)
    if policy == "all":
        for run, path, digest in kept(tables, commons):
            wanted.setdefault(run, {})[path] = digest
    problems = []
    for path, digest in sorted(entry for checkpoints in wanted.values() for entry in checkpoints.items()):
        file = commons / path
        if not file.is_file():
            problems.append(f"{file} is missing")
        elif file_checksum(file) != digest:
            problems.append(f"{file} is damaged: its SHA-256 differs from the recorded one")
    if problems:
        more = f"; and {len(problems) - 5} more" if len(problems) > 5 else ""
        raise BadInput(
            f"weights cannot be published: {'; '.join(problems[:5])}{more}; "
            "publish without them with --weights none --models none"
        )
    for run, checkpoints in sorted(wanted.items()):
        for number, members in enumerate(_shards(commons, sorted(checkpoints), archive_bytes), start=1):
            name = f"weights/{run}-{number:02d}.tar"
            (folder / "weights").mkdir(exist_ok=True)
            with user_errors("write", folder / name):
                _write(folder / name, commons, members)
            packed.archives[name] = members
    return packed


def _shards(commons: Path, paths: list[str], archive_bytes: int) -> Iterator[list[str]]:
    shard: list[str] = []
    size = 0
    for path in paths:
        more = _BLOCK + -(-(commons / path).stat().st_size // _BLOCK) * _BLOCK
        if shard and size + more > archive_bytes:
            yield shard
            shard, size = [], 0
        shard.append(path)
        size += more
    if shard:
        yield shard


def _write(archive: Path, commons: Path, members: list[str]) -> None:
    """One archive; nothing in it says when or by whom it was written."""
    with tarfile.open(archive, "w", format=tarfile.PAX_FORMAT) as tar:
        for path in members:
            entry = tarfile.TarInfo(path)
            entry.size = (commons / path).stat().st_size
            entry.mode = 0o644
            with (commons / path).open("rb") as file:
                tar.addfile(entry, file)


def recorded(tables: Mapping[str, pa.Table]) -> dict[str, str]:
    """The checkpoints that tables name, each a file of the run that names it: path to SHA-256."""
    found: dict[str, str] = {}
    for column in ("checkpoint", "best_checkpoint"):
        names = ["run", column, f"{column}_sha256"]
        for run, path, digest in zip(*(tables["networks"][name].to_pylist() for name in names), strict=True):
            if path is not None and digest is not None and path.startswith(f"runs/{run}/"):
                found[path] = digest
    epochs = tables["epochs"].select(["run", "network", "checkpoint", "checkpoint_sha256"]).drop_null()
    for run, network, name, digest in zip(*epochs.to_pydict().values(), strict=True):
        path = RunFolder(Path(), run).checkpoints(network) / name
        found.setdefault(path.as_posix(), digest)
    return found


def unpack(archive: Path, wanted: Mapping[str, str], folder: Path) -> None:
    """Unpack an archive of checkpoints into a commons.

    Nothing is written that its tables do not name, and never more bytes than the archive has.

    Args:
        archive: the file.
        wanted: path to SHA-256 of the checkpoints that it may hold.
        folder: the commons.

    Raises:
        BadInput: it is not a tar archive, holds something else, or a checkpoint that differs from what is
            recorded; the member is named.
    """
    left = archive.stat().st_size
    try:
        with tarfile.open(archive, "r:") as tar:
            for entry in tar:
                place = f"{archive} holds {entry.name!r}"
                path = folder / entry.name
                if entry.name not in wanted:
                    raise BadInput(f"{place}, which is not a checkpoint of a run of this deposit")
                if path.exists():
                    raise BadInput(f"{place}, which was there before")
                if not entry.isreg() or entry.issparse():  # a sparse file can claim any size
                    raise BadInput(f"{place}, which is not a plain file")
                if not 0 <= entry.size <= left:
                    raise BadInput(f"{place} of {entry.size} bytes, which is more than the archive has")
                left -= entry.size
                content = tar.extractfile(entry)
                assert content is not None  # it is a regular file
                make_folder(path.parent)
                with content, path.open("xb") as file:
                    shutil.copyfileobj(content, file, 1 << 20)
                if file_checksum(path) != wanted[entry.name]:
                    raise BadInput(f"{place}, whose SHA-256 differs from the recorded one")
    except (tarfile.TarError, ValueError, EOFError) as error:
        raise BadInput(f"{archive} is not a tar archive: {error}") from None
