"""What a commons holds at one moment, as Arrow data: finished records from Parquet, the rest from journals.

A network counts as finished once its fragment in ``networks`` exists. The fragments are listed before the
journals are, and journals stay, so a network that finishes meanwhile is seen once, as still in training.
"""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.dataset as ds

from a4nn_core.commons.events import read_events
from a4nn_core.commons.fragments import fragment_numbers, read_notes
from a4nn_core.commons.front import front_rows
from a4nn_core.commons.journal import read_journal
from a4nn_core.commons.layout import RunFolder, read_json
from a4nn_core.commons.rows import Row, arrow, by_epoch, epoch_row, prediction_rows, python_rows, table_row
from a4nn_core.commons.runs import objectives, run_row
from a4nn_core.commons.schema import TABLES, Table, front_table

_FORMAT = ds.ParquetFileFormat(
    default_fragment_scan_options=ds.ParquetFragmentScanOptions(page_checksum_verification=True)
)


class RunSnapshot:
    """One run at one moment.

    Attributes:
        finished: numbers of the networks with final records.
        training: numbers of the networks that have a journal only.
    """

    def __init__(self, folder: RunFolder) -> None:
        self.folder = folder
        self.finished = sorted(fragment_numbers(folder.table("networks")))
        journals = folder.path / "journals"
        found = (
            {int(p.stem) for p in journals.glob("*.jsonl") if p.stem.isdigit()}
            if journals.is_dir()
            else set()
        )
        self.training = sorted(found - set(self.finished))

    @cached_property
    def stored(self) -> dict[str, Any]:
        """The content of run.json."""
        return read_json(self.folder.run_file)

    @property
    def objectives(self) -> dict[str, str]:
        """Metric name to minimise or maximise."""
        return objectives(self.stored.get("header", {}))

    @cached_property
    def live(self) -> tuple[list[Row], list[Row]]:
        """Rows of ``epochs`` and ``predictions`` of the networks in training."""
        run = self.folder.run_id
        epochs: list[Row] = []
        predictions: list[Row] = []
        for number in self.training:
            records = by_epoch(read_journal(self.folder.journal(number)))
            epochs += [epoch_row(run, number, record) for record in records]
            predictions += [
                table_row(TABLES["predictions"], run, {**row, "network": number})
                for row in prediction_rows(records)
            ]
        return epochs, predictions

    def files(self, table: Table) -> list[Path]:
        """The Parquet files of one table."""
        if table.name == "events":
            file = self.folder.table("events") / "events.parquet"
            return [file] if self._events_are_current(file) else []
        if table.name == "runs":
            return []
        return [self.folder.fragment(table.name, number) for number in self.finished]

    def rows(self, table: Table) -> list[Row]:
        """The rows of one table that are in no Parquet file."""
        match table.name:
            case "runs":
                return [run_row(self.folder.run_id, self.stored)]
            case "epochs":
                return self.live[0]
            case "predictions":
                return self.live[1]
            case "events" if not self.files(table):
                return [table_row(table, self.folder.run_id, e) for e in read_events(self.folder.events)]
        return []

    def _events_are_current(self, file: Path) -> bool:
        try:
            noted = read_notes(file).get("events_bytes")
            return noted == str(self.folder.events.stat().st_size)
        except FileNotFoundError:
            return False


class Snapshot:
    """All runs, or one, at one moment.

    Args:
        commons: the folder.
        run: only this one; all if None.
    """

    def __init__(self, commons: Path, run: str | None = None) -> None:
        self.commons = commons
        names = run_names(commons) if run is None else [run]
        self.runs = [RunSnapshot(RunFolder(commons, name)) for name in names]

    def dataset(self, table: Table) -> ds.Dataset:
        """One table as an Arrow dataset: files are opened when it is scanned."""
        parts: list[ds.Dataset] = []
        files = [str(file) for run in self.runs for file in run.files(table)]
        if files:
            parts.append(ds.dataset(files, schema=table.schema, format=_FORMAT))
        rows = [row for run in self.runs for row in run.rows(table)]
        if rows or not parts:
            parts.append(ds.dataset(arrow(table, rows)))
        return parts[0] if len(parts) == 1 else ds.dataset(parts)

    def front(self) -> pa.Table:
        """The networks on each run's front."""
        networks = self.dataset(TABLES["networks"])
        rows: list[Row] = []
        for run in self.runs:
            mine = networks.to_table(filter=ds.field("run") == run.folder.run_id)
            found = front_rows(python_rows(mine), run.objectives)
            rows += [table_row(TABLES["networks"], run.folder.run_id, row) for row in found]
        return arrow(front_table(), rows)


def run_names(commons: Path) -> list[str]:
    """The ids of all runs."""
    folder = commons / "runs"
    if not folder.is_dir():
        return []
    return sorted(p.name for p in folder.iterdir() if (p / "run.json").is_file())
