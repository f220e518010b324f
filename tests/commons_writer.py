"""A process that writes runs and is killed by its parent at any instant.

For every line on standard input (``commons run networks``) a forked child goes on with that run; compacts if
the run is ``-``; goes on with a search, by the real loop and a made-up trainer, if it begins with ``search``.
It reports on standard output what is safely on disk. Forking avoids importing Arrow again every time.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import pyarrow.parquet  # noqa: F401
from commons_data import EDGES, LAYERS, header, journal_records, network_record
from fakes import FakeExecutor, experiment, search

from a4nn_core.commons import Journal, RunWriter, predictions_of, read_epochs
from a4nn_core.commons import rows as _rows  # noqa: F401
from a4nn_core.commons import writer as _writer  # noqa: F401
from a4nn_core.commons.compact import compact, compact_run
from a4nn_core.commons.records import Network
from a4nn_core.search import nsga_net as _nsga_net  # noqa: F401
from a4nn_core.vocabulary import RunStatus


def report(*fields: object) -> None:
    """Write one line in one system call, so that a kill cannot tear it."""
    os.write(1, (" ".join(map(str, fields)) + "\n").encode())


def tidy(commons: Path) -> None:
    """Compact, as another process beside the writer would."""
    done = compact(commons)
    report("compacted", done.networks)


def work(commons: Path, run: str, networks: int) -> None:
    """Go on with a run, as the search loop and its workers do."""
    with RunWriter.open(commons, run, header()) as writer:
        done = writer.recorded()
        for network in range(networks):
            if network in done:
                continue
            path = writer.folder.journal(network)
            epochs = 3 + network % 4
            with Journal(path) as journal:
                trained = len(journal.lines_found)
                for record in journal_records(network, epochs):
                    if record["epoch"] > trained:
                        journal.append(record)
                        report("epoch", network, record["epoch"])
            records = read_epochs(path)
            writer.record(
                network_record(network, records),
                epochs=records,
                predictions=predictions_of(records),
                layers=LAYERS,
                edges=EDGES,
            )
            report("network", network)
            report("event", writer.events.append("told", network).number)
        writer.finish(RunStatus.completed)
        report("finished")
    compact_run(commons, run)
    report("sealed")


class Reporter:
    """Reports which networks' final records are written."""

    def on_start(self, _: object) -> None: ...

    def on_poll(self, search: Any) -> None:
        """Nothing to report."""

    def on_network_end(self, _: Any, network: Network) -> None:
        """Final records are written."""
        report("network", network.network)


def go_on_searching(commons: Path, run: str, networks: int) -> None:
    """The search loop, in this process; every epoch is reported once its journal line is acknowledged."""
    append = Journal.append

    def append_and_report(self: Journal, record: dict[str, Any]) -> None:
        append(self, record)
        if "epoch" in record:
            report("epoch", int(self.path.stem), record["epoch"])
        else:
            report("event", record["number"])

    Journal.append = append_and_report  # type: ignore[method-assign, assignment]
    what = experiment(search={"networks": networks}, training={"keep_checkpoints": "front"})
    search(what, commons, FakeExecutor(one_at_a_time=True), run, Reporter())
    report("finished")


def main() -> None:
    """Serve orders until standard input ends."""
    report("ready")
    for line in sys.stdin:
        commons, run, networks = line.split()
        child = os.fork()
        if child == 0:
            status = 1
            try:
                if run == "-":
                    tidy(Path(commons))
                elif run.startswith("search"):
                    go_on_searching(Path(commons), run, int(networks))
                else:
                    work(Path(commons), run, int(networks))
                status = 0
            finally:
                os._exit(status)
        report("child", child)
        _, how = os.waitpid(child, 0)
        report("ended", os.waitstatus_to_exitcode(how))


if __name__ == "__main__":
    main()
