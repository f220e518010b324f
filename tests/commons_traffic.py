"""One process of the traffic: ``worker COMMONS RUN NETWORK`` or ``reader COMMONS SECONDS``."""

from __future__ import annotations

import sys
import time
from pathlib import Path

from commons_data import journal_records

from a4nn_core.commons import Commons, Journal, RunFolder


def worker(commons: Path, run: str, network: int) -> None:
    """Train one network: 25 epochs, one line each."""
    with Journal(RunFolder(commons, run).journal(network)) as journal:
        for record in journal_records(network, 25):
            journal.append(record)
            time.sleep(0.01)


def reader(commons: Path, seconds: float) -> None:
    """Ask again and again; every answer must hold whole epochs only, and never fewer than before."""
    found = Commons(commons)
    before = 0
    asked = 0
    end = time.monotonic() + seconds
    while time.monotonic() < end or asked < 3:
        rows = found.sql(
            "select network, count(*) n, max(epoch) last, count(distinct epoch) epochs, "
            "count(validation_accuracy_percent) whole from epochs group by network"
        ).fetchall()
        assert all(n == last == epochs == whole for _, n, last, epochs, whole in rows), rows
        total = sum(row[1] for row in rows)
        assert total >= before, (total, before)
        before = total
        asked += 1
    sys.stdout.write(f"{asked} {before}\n")


if __name__ == "__main__":
    if sys.argv[1] == "worker":
        worker(Path(sys.argv[2]), sys.argv[3], int(sys.argv[4]))
    else:
        reader(Path(sys.argv[2]), float(sys.argv[3]))
