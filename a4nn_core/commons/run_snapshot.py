"""One run at one moment: which of its records are in which file, and which in journals and the event log."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path

from a4nn_core.commons.archive import Archive
from a4nn_core.commons.columns import Row
from a4nn_core.commons.epochs import predictions_of, read_epochs
from a4nn_core.commons.events import FROM_LOG, read_events
from a4nn_core.commons.fragments import fragment_numbers, read_notes
from a4nn_core.commons.layout import RunFolder, read_json
from a4nn_core.commons.records import Event, by_epoch
from a4nn_core.commons.rows import stored_row
from a4nn_core.commons.runs import objectives, run_record
from a4nn_core.commons.schema import RUN_TABLES, Table
from a4nn_core.jsonable import Json, members


class RunSnapshot:
    """One run at one moment.

    Attributes:
        archived: numbers of the networks whose final records are in the archive.
        fragments: numbers of the networks whose final records are in the run's folder.
        training: numbers of the networks that have only a journal.
    """

    def __init__(self, folder: RunFolder, archive: Archive) -> None:
        self.folder = folder
        self.archived = archived = archive.networks(folder.run_id, self.started)
        self.fragments = sorted(set(fragment_numbers(folder.table("networks"))) - archived)
        journals = folder.path / "journals"
        found = (
            {int(p.stem) for p in journals.glob("*.jsonl") if p.stem.isdigit()}
            if journals.is_dir()
            else set()
        )
        self.training = sorted(found - set(self.fragments) - archived)

    @cached_property
    def stored(self) -> dict[str, Json]:
        """The content of run.json."""
        return read_json(self.folder.run_file)

    @property
    def started(self) -> str:
        """Time the run was first started, as stored."""
        return str(self.stored.get("started"))

    @property
    def objectives(self) -> dict[str, str]:
        """Metric name to its direction, ``minimise`` or ``maximise``."""
        return objectives(members(self.stored.get("header")))

    @cached_property
    def live(self) -> tuple[list[Row], list[Row]]:
        """Rows of ``epochs`` and ``predictions`` of the networks in training."""
        run = self.folder.run_id
        epochs: list[Row] = []
        predictions: list[Row] = []
        for number in self.training:
            journal = read_epochs(self.folder.journal(number))
            epochs += [stored_row(epoch, run, number) for epoch in by_epoch(journal)]
            predictions += [stored_row(fit, run, number) for fit in predictions_of(journal)]
        return epochs, predictions

    def files(self, table: Table) -> list[Path]:
        """The Parquet files of one table in the run's folder."""
        if table.name in FROM_LOG:
            file = self.folder.log_table(table.name)
            return [file] if self._log_is_stored and file.exists() else []
        if table.name in RUN_TABLES:
            return []
        return [self.folder.fragment(table.name, number) for number in self.fragments]

    def rows(self, table: Table) -> list[Row]:
        """The rows of one table that are not in a Parquet file."""
        match table.name:
            case "runs":
                return [stored_row(run_record(self.folder.run_id, self.stored), self.folder.run_id)]
            case "epochs":
                return self.live[0]
            case "predictions":
                return self.live[1]
            case name if name in FROM_LOG and not self._log_is_stored:
                return [stored_row(record, self.folder.run_id) for record in FROM_LOG[name](self._events)]
        return []

    @cached_property
    def _events(self) -> list[Event]:
        return read_events(self.folder.events)

    @cached_property
    def _log_is_stored(self) -> bool:
        """Whether the log has not grown since the tables that are made from it were written."""
        try:
            noted = read_notes(self.folder.log_table("events")).get("events_bytes")
            return noted == str(self.folder.events.stat().st_size)
        except FileNotFoundError:
            return False
