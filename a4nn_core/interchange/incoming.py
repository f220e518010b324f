"""One run on its way into a commons: whole or not at all.

What the schema has a place for is taken over unchanged; anything else is named in the run's notes.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from a4nn_core.commons.compact import compact_run
from a4nn_core.commons.layout import RunFolder, check_run_id
from a4nn_core.commons.records import Edge, Epoch, LayerRecord, Network, Prediction
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
    """One run being imported: removed again if anything goes wrong.

    Raises:
        BadInput: the commons already has a run with this id.
    """

    def __init__(
        self,
        commons: Path,
        run: str,
        source: str,
        rule: str,
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
        self.header = {"name": run, "experiment": described, "notes": list(notes), **header}

    def write(self, networks: Iterable[IncomingNetwork]) -> int:
        """Record the networks; returns how many there were."""
        count = 0
        try:
            with RunWriter.open(self.folder.commons, self.folder.run_id, self.header) as writer:
                for one in networks:
                    writer.record(
                        one.network,
                        epochs=one.epochs,
                        predictions=one.predictions,
                        layers=one.layers,
                        edges=one.edges,
                    )
                    count += 1
                writer.finish(RunStatus.completed)
        except BaseException:
            shutil.rmtree(self.folder.path, ignore_errors=True)
            raise
        compact_run(self.folder.commons, self.folder.run_id)
        return count
