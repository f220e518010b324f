"""One run on its way into a commons: whole or not at all.

What the schema has a place for is taken over unchanged; anything else is named in the run's notes.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from a4nn_core.commons.columns import Record
from a4nn_core.commons.compact import compact_run
from a4nn_core.commons.layout import RunFolder, check_run_id
from a4nn_core.commons.records import Edge, Epoch, LayerRecord, Network, Prediction
from a4nn_core.commons.rows import arrow, stored_row
from a4nn_core.commons.schema import TABLES
from a4nn_core.commons.valid import row_problems
from a4nn_core.commons.writer import RunWriter
from a4nn_core.errors import BadInput
from a4nn_core.jsonable import Json
from a4nn_core.vocabulary import Direction, RunStatus


@dataclass(frozen=True, slots=True)
class IncomingNetwork:
    """All records of one network that is being imported."""

    network: Network
    epochs: Sequence[Epoch] = ()
    predictions: Sequence[Prediction] = ()
    layers: Sequence[LayerRecord] = ()
    edges: Sequence[Edge] = ()


class IncomingRun:
    """One run being imported: checked before anything is written, removed again if anything goes wrong.

    Args:
        commons: folder of the commons.
        run: id of the run.
        source: which tool it comes from.
        rule: name of the rule that ended its networks.
        place: where it was read from, for the run's notes and for messages.
        networks: its networks.
        notes: further notes.
        experiment: parts of the experiment that are known.
        header: further members of the header.

    Raises:
        BadInput: the commons already has a run with this id, or a value cannot be, such as an accuracy of
            more than 100 percent.
    """

    def __init__(
        self,
        commons: Path,
        run: str,
        source: str,
        rule: str,
        place: str,
        networks: Sequence[IncomingNetwork],
        notes: Sequence[str],
        *,
        experiment: Mapping[str, Json] | None = None,
        **header: Json,
    ) -> None:
        self.folder = RunFolder(commons, check_run_id(run))
        if self.folder.run_file.exists():
            raise BadInput(f"{commons} has a run {run!r} already")
        objectives: dict[str, Json] = dict.fromkeys(("error_percent", "mflops"), Direction.minimise)
        described: dict[str, Json] = {
            "imported_from": source,
            "search": {"name": "nsga-net", "objectives": objectives},
            "termination": {"name": rule},
            **(experiment or {}),
        }
        all_notes = [f"imported from {place}", *notes]
        self.header = {"name": run, "experiment": described, "notes": all_notes, **header}
        self.networks = networks
        for one in networks:
            problem = next(_problems(one), None)
            if problem is not None:
                raise BadInput(f"network {one.network.network} of {place} cannot be imported: {problem}")

    def write(self) -> int:
        """Record the networks; returns how many there are."""
        try:
            with RunWriter.open(self.folder.commons, self.folder.run_id, self.header) as writer:
                for one in self.networks:
                    writer.record(
                        one.network,
                        epochs=one.epochs,
                        predictions=one.predictions,
                        layers=one.layers,
                        edges=one.edges,
                    )
                writer.finish(RunStatus.completed)
        except BaseException:
            shutil.rmtree(self.folder.path, ignore_errors=True)
            raise
        compact_run(self.folder.commons, self.folder.run_id)
        return len(self.networks)


def _problems(one: IncomingNetwork) -> Iterator[str]:
    parts: tuple[Sequence[Record], ...] = (one.epochs, one.predictions, [one.network], one.layers, one.edges)
    for records in parts:
        if not records:
            continue
        table = TABLES[records[0].definition.name]
        try:
            rows = arrow(table, [stored_row(record, "", one.network.network) for record in records])
        except (pa.ArrowException, OverflowError) as error:  # such as a number of more than 64 bits
            yield f"in {table.name}, {' '.join(str(error).split())}"
            return
        yield from (f"in {table.name}, {problem}" for problem in row_problems(table, rows))
