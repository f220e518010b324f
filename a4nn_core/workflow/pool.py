"""A pool of warm worker processes: one a slot, replaced when it dies, its segment started again.

Every executor that trains on this machine runs segments through such a pool; ``run`` blocks, so it is called
from a thread a slot.
"""

from __future__ import annotations

import collections
import contextlib
import os
import queue
import subprocess
import sys
import threading
from typing import IO

from a4nn_core.training.segment import Segment, SegmentResult

ATTEMPTS = 3


class WorkerDied(Exception):
    """The process ended while a segment was in it."""


class Worker:
    """One process (``python -m a4nn_core.training.worker``) and the pipes to it."""

    def __init__(self, threads: int, environment: dict[str, str] | None = None) -> None:
        # -P: the installed package, whatever lies in the current folder
        # the threads of numerical libraries are fixed when they are loaded, so before the process starts
        fixed = {
            name: str(threads) for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
        }
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-m", "a4nn_core.training.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, **fixed, **(environment or {})},
        )
        self.last_words: collections.deque[str] = collections.deque(maxlen=20)
        threading.Thread(target=self._listen, args=(self.process.stderr,), daemon=True).start()

    def _listen(self, stream: IO[str]) -> None:
        self.last_words.extend(line.rstrip() for line in stream)

    def run(self, segment: Segment) -> SegmentResult:
        """Train a segment.

        Raises:
            WorkerDied: with the signal or exit code and the last thing the process said.
        """
        assert self.process.stdin
        assert self.process.stdout
        try:
            self.process.stdin.write(segment.to_json() + "\n")
            self.process.stdin.flush()
            answer = self.process.stdout.readline()
        except (BrokenPipeError, ValueError):
            answer = ""
        if answer.endswith("\n"):
            return SegmentResult.from_json(answer)
        code = self.process.wait()
        cause = f"signal {-code}" if code < 0 else f"exit code {code}"
        said = f": {self.last_words[-1]}" if self.last_words else ""
        raise WorkerDied(f"worker process ended with {cause}{said}")

    def close(self) -> None:
        """End the process; an epoch under way is lost, everything before it is on disk."""
        self.process.kill()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout):
            if stream:
                with contextlib.suppress(BrokenPipeError):
                    stream.close()


class WorkerPool:
    """Warm workers, one a slot.

    Args:
        slots: how many segments run at the same time.
        threads: CPU threads of each.
    """

    def __init__(self, slots: int, threads: int) -> None:
        self.slots = slots
        self.threads = threads
        self._idle: queue.Queue[Worker | None] = queue.Queue()
        self._all: list[Worker] = []
        self._closed = False
        for _ in range(slots):
            self._idle.put(None)  # a worker starts when it is first needed

    def run(self, segment: Segment) -> SegmentResult:
        """Train a segment on an idle worker, waiting for one. If the worker dies, another goes on from the
        last checkpoint; after three deaths the network has failed."""
        worker = self._idle.get()
        deaths: list[str] = []
        try:
            while len(deaths) < ATTEMPTS and not self._closed:
                if worker is None:
                    worker = Worker(self.threads)
                    self._all.append(worker)
                try:
                    result = worker.run(segment)
                except WorkerDied as death:
                    deaths.append(str(death))
                    worker = None
                else:
                    return result
        finally:
            self._idle.put(worker)
        if self._closed:
            return segment.failed("the run was closed", fatal=True)
        return segment.failed(f"{deaths[-1]} ({len(deaths)} times)")

    def close(self) -> None:
        """End all workers."""
        self._closed = True
        for worker in self._all:
            worker.close()
