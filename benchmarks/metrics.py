"""What it costs to read the metrics of a commons (``a4nn metrics``).

    python benchmarks/metrics.py [--runs 5000] [--networks 10000] [--folder DIR]

Prints a table in Markdown: of many runs that have ended, and of a long one that goes on. The CPU time is of
the reading alone, the memory the peak of the process so far. The runs that have ended are compacted, have 20
networks each, and are copies of one, which to a reader are different runs. The long one has its networks in a
file each, as a run that was never compacted.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import tempfile
import time
from datetime import timedelta
from pathlib import Path

import commons as synthetic
import pyarrow.parquet as pq
from commons_scale import generate_small

from a4nn_core.commons import RunFolder, RunWriter
from a4nn_core.commons.compact import compact
from a4nn_core.commons.events import SegmentEnded, Submitted
from a4nn_core.commons.schema import TABLES
from a4nn_core.monitoring.exporter import Exporter
from a4nn_core.monitoring.serving import text


def generate(commons: Path, runs: int) -> None:
    """Runs that have ended."""
    generate_small(commons, 1)
    compact(commons)
    for number in range(1, runs):
        shutil.copytree(commons / "runs/small-00000", commons / f"runs/small-{number:05d}")


def add(writer: RunWriter, first: int, last: int) -> None:
    """Networks of a run that goes on, from ``first`` up to but without ``last``."""
    rows = synthetic.make_run("long", 0, last)["networks"]
    folder = RunFolder(writer.folder.commons, "long").table("networks")
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(first, last):
        writer.events.append(Submitted(0, 0, 0), number, 0)
        writer.events.append(SegmentEnded(0, 25), number, 0)
        part = rows.slice(number, 1).select(TABLES["networks"].schema.names)
        pq.write_table(part, folder / f"{number:04d}.parquet", compression="zstd")


def measure(what: str, exporter: Exporter) -> None:
    """Read the metrics once, and print a row of the table."""
    began = time.process_time()
    text(exporter)
    seconds = time.process_time() - began
    megabytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"| {what} | {seconds:.2f} s | {megabytes:.0f} MB |", flush=True)


def main() -> None:
    """Measure, and print a table."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    options.add_argument("--runs", type=int, default=5000)
    options.add_argument("--networks", type=int, default=10_000)
    options.add_argument("--folder", type=Path)
    given = options.parse_args()
    os.fsync = lambda _: None  # thousands of events would be written one by one
    with tempfile.TemporaryDirectory(dir=given.folder) as folder:
        commons = Path(folder) / "commons"
        generate(commons, given.runs)
        print("| reading | CPU | memory |\n|---|---|---|")
        exporter = Exporter(commons, timedelta(days=7))
        measure(f"{given.runs:,} runs that have ended, the first time", exporter)
        measure("the same, each time after", exporter)
        with RunWriter.open(commons, "long", synthetic.header("long", 0)) as writer:
            add(writer, 0, given.networks)
            measure(f"and one that goes on, with {given.networks:,} networks, the first time", exporter)
            measure("the same, each time after", exporter)
            add(writer, given.networks, given.networks + 10)
            measure("the same, when 10 networks have ended since", exporter)


if __name__ == "__main__":
    main()
