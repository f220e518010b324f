"""The share of a run's wall time that is not spent in training, measured by its records.

    python benchmarks/overhead.py quick --set training.slots=1   # runs it; generate the data set before
    python benchmarks/overhead.py --commons DIR --run ID         # of an existing run

*Training* is the time in which at least one network was in an epoch (its steps, its evaluation, and the
checkpoint and prediction that belong to it). The rest is the start of processes, the search, records and, on
a line of their own as they are no less work for the device, the final test accuracies.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from datetime import timedelta
from pathlib import Path

from a4nn_core.commons import Commons


def covered(intervals: list[tuple[float, float]]) -> float:
    """Length of the union of intervals."""
    total, end = 0.0, float("-inf")
    for start, stop in sorted(intervals):
        total += max(0.0, stop - max(start, end))
        end = max(end, stop)
    return total


def report(commons: Path, run: str, wall: float | None) -> None:
    """Print where a run's time went.

    Args:
        commons: folder.
        run: that was done in one session.
        wall: seconds of the whole command if it was timed from outside; else from the first event on.
    """
    store = Commons(commons)
    events = store.events(run)
    epochs = store.epochs(run)
    inside = (events[-1].time - events[0].time).total_seconds()
    spans = [(e.time - timedelta(seconds=e.seconds), e.time) for e in epochs]
    training = covered([(a.timestamp(), b.timestamp()) for a, b in spans])
    last = {e.network: e.time for e in epochs}
    ends = {e.network: e.time for e in events if e.network in last and e.kind in ("completed", "stopped")}
    spans += [(last[network], end) for network, end in ends.items()]
    testing = covered([(a.timestamp(), b.timestamp()) for a, b in spans]) - training
    predicting = sum(p.microseconds or 0.0 for p in store.predictions(run)) / 1e6
    wall = wall or inside
    print("| what | s | % |")
    print("|---|---:|---:|")
    for what, seconds in (
        ("whole command", wall),
        ("training", training),
        ("not training", wall - training),
        ("of it before the first and after the last event: imports, data set, pictures", wall - inside),
        ("of it test accuracies, while nothing else trained", testing),
        (
            "of it from the first event to the first epoch: worker, its data",
            (min(a for a, _ in spans) - events[0].time).total_seconds(),
        ),
        ("predictions, within training", predicting),
    ):
        print(f"| {what} | {seconds:,.2f} | {100 * seconds / wall:.2f} |")


def main() -> None:
    """Run an experiment if one is given, then report."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("experiment", nargs="?")
    parser.add_argument("--set", action="append", default=[], dest="changes")
    parser.add_argument("--commons", type=Path)
    parser.add_argument("--run", default="overhead")
    parser.add_argument("--wall", type=float, help="seconds of the whole command, if it was timed")
    chosen = parser.parse_args()
    commons = chosen.commons or Path(tempfile.mkdtemp())
    wall = chosen.wall
    if chosen.experiment:
        words = [w for change in chosen.changes for w in ("--set", change)]
        program = [sys.executable, "-P", "-c", "from a4nn_core.cli import main; main()", "run"]
        started = time.perf_counter()
        subprocess.run(
            [*program, chosen.experiment, *words, "--run-id", chosen.run, "--commons", str(commons)],
            check=True,
        )
        wall = time.perf_counter() - started
    report(commons, chosen.run, wall)


if __name__ == "__main__":
    main()
