"""A warm worker: a process that loads or maps the data once and trains segments one after another.

It reads segments as JSON lines from standard input and writes results as JSON lines to standard output; in
between it writes a heartbeat whenever it has made progress, so that a hung worker can be distinguished from a
slow one. When its parent ends, it ends at once: an orphan would go on training beside its successor.
"""

from __future__ import annotations

import logging
import os
import queue
import signal
import sys
import threading
import time
from collections.abc import Callable
from typing import TextIO

from a4nn_core import logs
from a4nn_core.errors import A4NNError, BadInput
from a4nn_core.training.segment import ALIVE, Segment

log = logging.getLogger(__name__)


def main() -> None:
    """Train segments until standard input ends."""
    logs.set_up()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # output of libraries must not be mistaken for an answer
    requests: queue.Queue[str] = queue.Queue()
    threading.Thread(target=_listen, args=(sys.stdin, requests), daemon=True).start()
    serve(requests, answers)


def _listen(source: TextIO, requests: queue.Queue[str]) -> None:
    for line in source:
        requests.put(line)
    os._exit(0)


def pulse(answers: TextIO, seconds: float = 1.0) -> Callable[[], None]:
    """A function to call at every step: it writes a heartbeat, at most once every ``seconds`` seconds."""
    last = -seconds

    def heartbeat() -> None:
        nonlocal last
        if time.monotonic() - last >= seconds:
            last = time.monotonic()
            answers.write(ALIVE)
            answers.flush()

    return heartbeat


def serve(requests: queue.Queue[str], answers: TextIO) -> None:
    """Train the requested segments, for ever."""
    import torch

    from a4nn_core.data.base import DATA_SOURCES
    from a4nn_core.data.mapped import load_shared
    from a4nn_core.progress import listening
    from a4nn_core.training.loading import DeviceData
    from a4nn_core.training.trainer import train_segment

    heartbeat = pulse(answers)
    heartbeat()
    loaded: dict[str, DeviceData] = {}
    while True:
        segment = Segment.from_json(requests.get())
        device = torch.device(segment.device)
        try:
            key = repr((segment.data, segment.map_key, segment.device))
            if key not in loaded:
                loaded.clear()  # only one data set in memory: a search has one
                torch.set_num_threads(segment.training.threads)
                with listening(lambda *_: heartbeat()):
                    source = DATA_SOURCES.make(segment.data, "[data]")
                    loaded[key] = DeviceData(load_shared(source, segment.map_key), device)
            result = train_segment(segment, loaded[key], device, heartbeat)
        except (BadInput, OSError) as error:
            result = segment.failed(str(error), fatal=True)
        except A4NNError as error:
            result = segment.failed(f"{type(error).__name__}: {error}")
        except Exception as error:
            # recorded as this network's failure; a defect of the program makes all fail and the run ends
            about = {"run": segment.run_id, "network": segment.network}
            log.exception("network %d raised an exception", segment.network, extra=about)
            lines = str(error).strip().splitlines() or [""]
            result = segment.failed(f"{type(error).__name__}: {lines[0]}")
        answers.write(result.to_json() + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
