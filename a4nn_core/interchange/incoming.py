"""One run on its way into a commons: whole or not at all.

What the schema has a place for is taken over unchanged; what it has none for is named in the run's notes.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from a4nn_core.commons.layout import RunFolder, check_run_id
from a4nn_core.commons.writer import RunWriter
from a4nn_core.errors import BadInput

Row = dict[str, Any]


class IncomingRun:
    """One run being imported: taken away again if anything goes wrong.

    Raises:
        BadInput: the commons has a run of this id.
    """

    def __init__(
        self, commons: Path, run: str, source: str, rule: str, notes: Sequence[str], **header: Any
    ) -> None:
        self.folder = RunFolder(commons, check_run_id(run))
        if self.folder.run_file.exists():
            raise BadInput(f"{commons} has a run {run!r} already")
        experiment = {
            "imported_from": source,
            "search": {"name": "nsga-net", "objectives": {"error_percent": "minimise", "mflops": "minimise"}},
            "termination": {"name": rule},
            **header.pop("experiment", {}),
        }
        self.header = {"name": run, "experiment": experiment, "notes": list(notes), **header}

    def write(self, networks: Iterable[tuple[Row, list[Row], list[Row], list[Row], list[Row]]]) -> int:
        """Record the networks (row, epochs, predictions, layers, edges); gives how many."""
        count = 0
        try:
            with RunWriter.open(self.folder.commons, self.folder.run_id, self.header) as writer:
                for row, epochs, predictions, layers, edges in networks:
                    writer.record(row, epochs=epochs, predictions=predictions, layers=layers, edges=edges)
                    count += 1
                writer.finish("completed")
        except BaseException:
            shutil.rmtree(self.folder.path, ignore_errors=True)
            raise
        return count
