"""What a commons tells about one network: enough to build it, fill in its weights and feed it an image."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from a4nn_core.commons.rows import python_rows
from a4nn_core.data.base import InputTransform
from a4nn_core.errors import A4NNError, BadInput
from a4nn_core.precision import Images
from a4nn_core.spaces.architecture import Architecture
from a4nn_core.spaces.base import SPACES
from a4nn_core.workflow.rows import architecture_of

Tables = Mapping[str, pa.Table]
Row = dict[str, Any]


@dataclass(frozen=True)
class Found:
    """One network of one run.

    Attributes:
        run: row of ``runs``, its JSON read.
        row: row of ``networks``.
        architecture: what its genome stands for.
    """

    run: Row
    row: Row
    architecture: Architecture

    @property
    def name(self) -> str:
        """Such as ``my-run-0007``."""
        return f"{self.row['run']}-{self.row['network']:04d}"

    @property
    def classes(self) -> list[str]:
        """Names in the order of the scores."""
        known = (self.run["dataset_details"] or {}).get("classes") or []
        scores = self.architecture.costs[-1].shape[0]
        return [str(c) for c in known] if len(known) == scores else [str(i) for i in range(scores)]

    @property
    def images(self) -> Images:
        """That its accuracies were measured on."""
        return Images.of(self.run["dataset_details"])

    def transform(self) -> InputTransform:
        """What the network saw of a stored image.

        A run of an older version did not record it; then the data are loaded again.

        Raises:
            BadInput: it was not recorded and the data are not to be had, or are not those of the run.
        """
        recorded = (self.run["dataset_details"] or {}).get("transform")
        if recorded is not None:
            return InputTransform(bool(recorded["log1p"]), tuple(recorded["mean"]), tuple(recorded["std"]))
        from a4nn_core.data.base import DATA_SOURCES

        name = self.row["run"]
        lacking = f"run {name!r} does not say what its networks saw of an image, and its data"
        settings = (self.run["experiment"] or {}).get("data")
        if settings is None:
            raise BadInput(f"{lacking} are not named in its experiment: --models none")
        try:
            data = DATA_SOURCES.make(settings, "[data]").load()
        except A4NNError as error:
            raise BadInput(f"{lacking} cannot be loaded: {error}") from None
        if data.fingerprint != self.run["dataset_fingerprint"]:
            raise BadInput(f"{lacking} have changed since: {data.fingerprint} is not their fingerprint")
        return data.transform


def run_rows(tables: Tables) -> dict[str, Row]:
    """The rows of ``runs`` by id, with their JSON columns read."""
    rows = {}
    for row in python_rows(tables["runs"]):
        for name in ("experiment", "dataset_details", "environment", "totals", "notes"):
            row[name] = json.loads(row[name]) if row[name] else None
        rows[row["run"]] = row
    return rows


def grouped(table: pa.Table) -> Iterator[tuple[tuple[str, int], list[Row]]]:
    """The rows of a table sorted by run and network, a network at a time."""
    key: tuple[str, int] | None = None
    rows: list[Row] = []
    for batch in table.to_batches():
        for row in batch.to_pylist():
            mine = (row["run"], row["network"])
            if mine != key:
                if key is not None:
                    yield key, rows
                key, rows = mine, []
            rows.append(row)
    if key is not None:
        yield key, rows


def networks(
    tables: Tables, rows: Iterable[Row] | None = None, untold: list[tuple[str, int]] | None = None
) -> Iterator[Found]:
    """Networks with their architectures, in the order of the tables.

    Args:
        tables: of a deposit.
        rows: of ``networks``; all if None. A network without recorded layers is left out.
        untold: if given, it is told of networks whose layers are not those of the recorded architecture, and
            they are left out.

    Raises:
        BadInput: the layers of a network are not those of the recorded architecture.
    """
    runs = run_rows(tables)
    wanted = {(r["run"], r["network"]): r for r in (rows or python_rows(tables["networks"]))}
    edges = dict(grouped(_of(tables["edges"], wanted)))
    for key, layers in grouped(_of(tables["layers"], wanted)):
        row = wanted.get(key)
        if row is None:
            continue
        try:
            architecture = _architecture(runs[key[0]], row, layers, edges.get(key, []))
        except BadInput:
            if untold is None:
                raise
            untold.append(key)
            continue
        yield Found(runs[key[0]], row, architecture)


def _of(table: pa.Table, wanted: Mapping[tuple[str, int], Row]) -> pa.Table:
    numbers = pa.array(sorted({number for _, number in wanted}), pa.int32())
    return table.filter(pc.is_in(table["network"], numbers))


def _architecture(run: Row, row: Row, layers: list[Row], edges: list[Row]) -> Architecture:
    try:
        made = architecture_of(layers, edges)
        if made.hash == row["architecture_hash"]:
            return made
    except (KeyError, TypeError, ValueError):
        pass  # a space with layers that the tables cannot tell in full: the genome says what they are
    experiment, details = run["experiment"] or {}, run["dataset_details"] or {}
    name = f"network {row['network']} of run {row['run']!r}"
    if "space" not in experiment or "shape" not in details:
        raise BadInput(
            f"{name}: its recorded layers are not those of its architecture {row['architecture_hash']}"
        )
    channels, height, width = details["shape"]
    decoded = SPACES.make(experiment["space"], "[space]").decode(
        json.loads(row["genome"]), (channels, height, width), len(details["classes"])
    )
    if decoded.hash != row["architecture_hash"]:
        raise BadInput(f"{name}: its genome does not give its architecture {row['architecture_hash']}")
    return decoded
