"""The archive: finished records of many networks in a few sorted files, and a manifest of their content.

::

    archive/manifest.json              the packs; replaced as a whole, so readers see one state or the next
    archive/000001-epochs.parquet      one pack: one file per table, rows sorted by run, network, epoch
    archive/lock                       held by the one process that compacts
    readers.lock                       shared lock of all readers; files are deleted only while it is free

A run is *sealed* in a pack when it was completed and all its records are there; then its folder is not read,
unless its ``run.json`` has changed since. A run is identified by its id and the time it was first started, so
that a run that was deleted and started anew does not find the old one's networks.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from a4nn_core.commons.columns import Kind, Row
from a4nn_core.commons.fragments import parquet_sink
from a4nn_core.commons.layout import Damaged
from a4nn_core.commons.packs import Manifest, Pack, PackedFile, read_manifest, write_manifest
from a4nn_core.commons.ranges import from_ranges, to_ranges
from a4nn_core.commons.rows import python_rows
from a4nn_core.commons.schema import SORTED, Table
from a4nn_core.files import make_folder

# A reader finds one network by the statistics of row groups and decodes the group it is in.
ROW_GROUP = 25_000


class Archive:
    """The packs that a commons has now.

    Raises:
        Damaged: the manifest cannot be read.
    """

    def __init__(self, commons: Path) -> None:
        self.folder = commons / "archive"
        self.packs: list[Pack] = []
        self.next_number = 1
        manifest = self.folder / "manifest.json"
        if manifest.exists():
            now = manifest.stat()
            found = read_manifest(manifest, now.st_ino, now.st_mtime_ns, now.st_size)
            self.next_number, self.packs = found.next, list(found.packs)
        elif any(self.folder.glob("[0-9]*.parquet")):
            # an empty manifest is written before the first pack, so this is not a killed compaction
            raise Damaged(f"{manifest} is missing, and with it the list of the packs beside it")

    def networks(self, run: str, started: str) -> set[int]:
        """Numbers of a run's networks whose final records are in packs."""
        texts = [p.networks[run] for p in self.packs if run in p.networks and p.started[run] == started]
        return set().union(*(from_ranges(text) for text in texts)) if texts else set()

    @cached_property
    def _seals(self) -> dict[str, list[Pack]]:
        found: dict[str, list[Pack]] = {}
        for pack in self.packs:
            for run in pack.sealed:
                found.setdefault(run, []).append(pack)
        return found

    def sealed(self, run: str, run_file: os.stat_result) -> Pack | None:
        """The pack a run is sealed in, if nothing was written to the run since."""
        state = [run_file.st_size, run_file.st_mtime_ns]
        for pack in self._seals.get(run, []):
            if pack.sealed[run] == state:
                return pack
        return None

    def write_pack(
        self,
        tables: Mapping[str, pa.Table],
        started: Mapping[str, str],
        sealed: Mapping[str, list[int]],
    ) -> Pack:
        """Write the files of a new pack; readers see it once it is in the manifest (``commit``).

        Args:
            tables: rows by name of the table; the table ``networks`` determines which networks it holds.
            started: run id to the time the run was first started.
            sealed: see Pack.
        """
        make_folder(self.folder)
        if not (self.folder / "manifest.json").exists():
            self.commit(self.packs)
        name = f"{self.next_number:06d}"
        self.next_number += 1
        files = {}
        for table, rows in tables.items():
            if not rows.num_rows:
                continue
            path = self.folder / f"{name}-{table}.parquet"
            write_sorted(path, SORTED[table], rows)
            files[table] = PackedFile.of(path, rows.num_rows)
        networks: dict[str, list[int]] = {}
        held = tables["networks"].select(["run", "network"]).to_pydict()
        for run, number in zip(held["run"], held["network"], strict=True):
            networks.setdefault(run, []).append(number)
        ranges = {run: to_ranges(numbers) for run, numbers in sorted(networks.items())}
        return Pack(name, files, ranges, dict(started), dict(sealed))

    def commit(self, packs: list[Pack]) -> None:
        """Replace the list of packs; from here on readers see these."""
        make_folder(self.folder)
        write_manifest(self.folder / "manifest.json", Manifest(self.next_number, tuple(packs)))
        self.packs = list(packs)
        self.__dict__.pop("_seals", None)

    def unlisted(self) -> list[Path]:
        """Files in the archive that belong to no pack: superseded, or left by a killed compaction."""
        if not self.folder.is_dir():
            return []
        known = {f.file for pack in self.packs for f in pack.files.values()}
        return sorted(
            p
            for p in self.folder.iterdir()
            if p.name not in known and (p.suffix == ".parquet" or p.name.endswith(".unfinished"))
        )


def write_sorted(path: Path, table: Table, rows: pa.Table) -> None:
    """Write one file of a pack: sorted by the table's key, in row groups small enough to find one network.

    Losses and accuracies compress better byte-stream-split, times delta-encoded.
    """
    order = [(key, "ascending") for key in table.key]
    kinds = {c.name: c.kind for c in table.columns}
    split = {n for n, kind in kinds.items() if kind is Kind.float32 or n in _RAGGED}
    delta = {n for n, kind in kinds.items() if kind is Kind.time}
    others = [c.name for c in table.columns if c.name not in split | delta]
    with parquet_sink(path) as sink:
        pq.write_table(
            rows.sort_by(order),
            sink,
            compression="zstd",
            compression_level=7,
            row_group_size=ROW_GROUP,
            use_dictionary=[_leaf(n, kinds[n]) for n in others],
            column_encoding={
                **dict.fromkeys(split, "BYTE_STREAM_SPLIT"),
                **dict.fromkeys(delta, "DELTA_BINARY_PACKED"),
            },
            sorting_columns=pq.SortingColumn.from_ordering(rows.schema, order),
            write_page_checksum=True,
        )


# 64-bit numbers that hardly ever repeat
_RAGGED = {
    "train_loss",
    "validation_loss",
    "predicted",
    "predicted_low",
    "predicted_high",
    "low",
    "high",
    "residual",
}


def _leaf(name: str, kind: Kind) -> str:
    """The path of a column's values inside Parquet."""
    if kind is Kind.ints:
        return f"{name}.list.element"
    return f"{name}.key_value.value" if kind in (Kind.metrics, Kind.words) else name


def archived_rows(
    archive: Archive, table: Table, run: str, started: str, network: int | None = None
) -> list[Row]:
    """The rows of one run, or one network, of a network table, in the order of the table's key.

    Raises:
        Damaged: a pack cannot be read.
    """
    import pyarrow.dataset as ds  # imports pandas, which a search that reads no archive does not need

    wanted = ds.field("run") == run
    if network is not None:
        wanted &= ds.field("network") == network
    found = []
    for pack in archive.packs:
        if run not in pack.networks or pack.started[run] != started or table.name not in pack.files:
            continue
        path = archive.folder / pack.files[table.name].file
        try:
            rows = ds.dataset(path, schema=table.schema, format="parquet").to_table(filter=wanted)
        except (OSError, pa.ArrowException) as error:
            raise Damaged(f"{path} is damaged: {' '.join(str(error).split())}") from None
        found += python_rows(rows)
    return sorted(found, key=lambda row: [row[key] for key in table.key])
