"""A worker without torch: answers at once, or misbehaves in a way chosen by the network. Run as a program."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from pathlib import Path

from a4nn_core.commons import Journal, RunFolder, read_journal
from a4nn_core.training.segment import ALIVE, SLOT_VARIABLE, Segment, SegmentResult
from a4nn_core.vocabulary import NetworkStatus

WORKS, HANGS, DIES, HOLDS, FAILS, LIMPS = range(6)


def main() -> None:
    for text in sys.stdin:
        segment = Segment.from_json(text)
        place = {name: os.environ.get(name) for name in ("CUDA_VISIBLE_DEVICES", SLOT_VARIABLE)}
        place |= {"pid": os.getpid(), "device": segment.device}
        with (Path(segment.commons) / "places.jsonl").open("a") as file:
            file.write(json.dumps({"network": segment.network, **place}) + "\n")
        sys.stdout.write(ALIVE)
        sys.stdout.flush()
        what = segment.network % 10
        if what == HANGS:
            time.sleep(3600)
        if what == DIES:
            os.kill(os.getpid(), signal.SIGKILL)
        if what == LIMPS and _another_epoch(segment) < 5:
            os.kill(os.getpid(), signal.SIGKILL)
        while what == HOLDS and not (Path(segment.commons) / "go").exists():
            sys.stdout.write(ALIVE)
            sys.stdout.flush()
            time.sleep(0.02)
        status = NetworkStatus.failed if what == FAILS else NetworkStatus.completed
        error = "CUDA error: device not ready" if what == FAILS else None
        result = SegmentResult(segment.network, segment.number, status, error=error, device=segment.device)
        sys.stdout.write(result.to_json() + "\n")
        sys.stdout.flush()


def _another_epoch(segment: Segment) -> int:
    """Record an epoch; returns its number."""
    path = RunFolder(Path(segment.commons), segment.run_id).journal(segment.network)
    epoch = len(read_journal(path)) + 1
    with Journal(path) as journal:
        journal.append({"epoch": epoch})
    return epoch


if __name__ == "__main__":
    main()
