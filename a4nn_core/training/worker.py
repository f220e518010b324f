"""A warm worker: a process that loads the data once and trains segments one after another.

It reads segments as JSON lines from standard input and answers results as JSON lines on standard output.
When its parent goes away, however, it ends at once: an orphan would train on beside its successor.
"""

from __future__ import annotations

import os
import queue
import signal
import sys
import threading
from typing import TextIO

from a4nn_core.errors import A4NNError, BadInput
from a4nn_core.training.segment import Segment


def main() -> None:
    """Serve until standard input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever a library prints must not be taken for an answer
    requests: queue.Queue[str] = queue.Queue()
    threading.Thread(target=_listen, args=(sys.stdin, requests), daemon=True).start()
    serve(requests, answers)


def _listen(source: TextIO, requests: queue.Queue[str]) -> None:
    for line in source:
        requests.put(line)
    os._exit(0)


def serve(requests: queue.Queue[str], answers: TextIO) -> None:
    """Train what is asked for, for ever."""
    import torch

    from a4nn_core.data.base import DATA_SOURCES
    from a4nn_core.training.life import train_segment
    from a4nn_core.training.loading import DeviceData

    loaded: dict[str, DeviceData] = {}
    while True:
        segment = Segment.from_json(requests.get())
        device = torch.device(segment.device)
        try:
            key = repr((segment.data, segment.device))
            if key not in loaded:
                loaded.clear()  # one data set at a time: a search has one
                torch.set_num_threads(int(segment.training["threads"]))
                loaded[key] = DeviceData(DATA_SOURCES.make(segment.data, "[data]").load(), device)
            result = train_segment(segment, loaded[key], device)
        except (BadInput, OSError) as error:
            result = segment.failed(str(error), fatal=True)
        except (A4NNError, RuntimeError) as error:
            # an outcome of this network; anything else is a defect and ends the worker with its traceback
            result = segment.failed(f"{type(error).__name__}: {str(error).splitlines()[0]}")
        answers.write(result.to_json() + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
