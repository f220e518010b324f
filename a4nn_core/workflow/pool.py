"""A pool of warm worker processes: one per slot, replaced when it dies, its segment started again.

Every executor that trains on this machine runs segments through such a pool; ``run`` blocks, so it is called
from one thread per slot. Where networks are placed on devices, a worker is pinned to a slot of one of them,
which it holds for as long as it lives.
"""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import logging
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import IO

from a4nn_core.commons import RunFolder, read_journal
from a4nn_core.errors import BadInput
from a4nn_core.training.segment import ALIVE, Segment, SegmentResult
from a4nn_core.vocabulary import NetworkStatus
from a4nn_core.workflow.devices import discover, places
from a4nn_core.workflow.slots import Slot, acquire

ATTEMPTS = 3
WORKER = (sys.executable, "-P", "-m", "a4nn_core.training.worker")
"""command of a worker; -P keeps the current folder from shadowing the installed package"""
START_SECONDS = 300.0
"""time that a worker has to load its libraries before it is expected to make progress"""
log = logging.getLogger(__name__)


class WorkerDied(Exception):
    """The worker process ended while it trained a segment."""


class Worker:
    """One process and the pipes to it.

    Args:
        threads: CPU threads it trains with.
        environment: environment variables that pin it to a device.
        lock: file descriptor of a lock that the process inherits and so holds for as long as it lives.
    """

    def __init__(
        self, threads: int, environment: Mapping[str, str] | None = None, lock: int | None = None
    ) -> None:
        # numerical libraries fix their number of threads when they are loaded
        fixed = {
            name: str(threads) for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
        }
        self.process = subprocess.Popen(
            WORKER,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, **fixed, **(environment or {})},
            pass_fds=() if lock is None else (lock,),
        )
        self.last_words: collections.deque[str] = collections.deque(maxlen=20)
        self._answers: queue.Queue[str] = queue.Queue()
        self._has_started = False
        for read, stream in ((self._listen, self.process.stderr), (self._hear, self.process.stdout)):
            threading.Thread(target=read, args=(stream,), daemon=True).start()

    def _listen(self, stream: IO[str]) -> None:
        self.last_words.extend(line.rstrip() for line in stream)

    def _hear(self, stream: IO[str]) -> None:
        with contextlib.suppress(ValueError):  # closed while reading
            for line in stream:
                self._answers.put(line)
        self._answers.put("")

    def run(self, segment: Segment) -> SegmentResult:
        """Train a segment.

        Raises:
            WorkerDied: the message has the signal or exit code and the last line the process printed; also
                if it made no progress for ``stall_seconds`` and was therefore killed.
        """
        assert self.process.stdin
        patience = segment.training.stall_seconds
        try:
            self.process.stdin.write(segment.to_json() + "\n")
            self.process.stdin.flush()
            answer = self._next(patience)
            while answer == ALIVE:
                answer = self._next(patience)
        except (BrokenPipeError, ValueError):
            answer = ""
        if answer is None:
            self.close()
            raise WorkerDied(f"worker process made no progress for {patience:g} s and was killed")
        if answer.endswith("\n"):
            return SegmentResult.from_json(answer)
        code = self.process.wait()
        cause = f"signal {-code}" if code < 0 else f"exit code {code}"
        last_line = f": {self.last_words[-1]}" if self.last_words else ""
        raise WorkerDied(f"worker process ended with {cause}{last_line}")

    def _next(self, patience: float) -> str | None:
        """The next line of the process: empty when it has ended, None if ``patience`` seconds passed."""
        if not self._has_started:
            patience = max(patience, START_SECONDS)
        # many short waits: after this process itself was stopped for a while, one long wait would time out
        # at once, before the lines that the worker printed meanwhile are read
        for _ in range(20):
            with contextlib.suppress(queue.Empty):
                line = self._answers.get(timeout=patience / 20)
                self._has_started = True
                return line
        return None

    def close(self) -> None:
        """End the process; the current epoch is lost, everything before it is on disk."""
        self.process.kill()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout):
            if stream:
                with contextlib.suppress(BrokenPipeError):
                    stream.close()


class _Seat:
    """A place in the pool: a worker that may be warm, and the device slot it is pinned to, if any."""

    def __init__(self, pool: WorkerPool) -> None:
        self.pool = pool
        self.worker: Worker | None = None
        self.slot: Slot | None = None
        self.device = ""

    def run(self, segment: Segment) -> SegmentResult:
        """Train a segment on the worker of this place.

        Raises:
            WorkerDied: the worker ended.
            BadInput: no device is left.
        """
        if self.device not in ("", segment.device):
            self.leave()
        self.device = segment.device
        about: dict[str, str | int | None] = {"run": segment.run_id, "network": segment.network}
        if self.slot is None and places(segment.device):
            shared = segment.training.slots_per_device
            self.slot = acquire(segment.device, shared, lambda: not self.pool.closed, **about)
            if self.slot is None:
                raise WorkerDied("the run was closed")
        if self.worker is None:
            pinned = (self.slot.environment, self.slot.lock.fileno()) if self.slot else ()
            self.worker = self.pool.start(*pinned)
        if self.slot:
            self.slot.lock.note(**about, worker=self.worker.process.pid)
            segment = dataclasses.replace(segment, device=self.slot.device.torch_name)
        try:
            result = self.worker.run(segment)
        except WorkerDied:
            self.worker = None
            raise
        if result.status == NetworkStatus.failed and self.slot:
            # after an error in a kernel the GPU is unusable in that process, so it cannot be asked
            self.worker.close()
            self.worker = None
        return result

    def lost(self) -> bool:
        """Whether the device of this place has disappeared."""
        return self.slot is not None and all(
            device.identity != self.slot.device.identity for device in discover(self.device)
        )

    def leave(self) -> None:
        """Release the device slot."""
        if self.worker:
            self.worker.close()
            self.worker = None
        if self.slot:
            self.slot.release()
            self.slot = None


def _epochs(segment: Segment) -> int:
    """Number of epochs that a network has been trained so far."""
    return len(read_journal(RunFolder(Path(segment.commons), segment.run_id).journal(segment.network)))


class WorkerPool:
    """Warm workers, one per slot.

    Args:
        slots: number of segments trained at the same time.
        threads: CPU threads per segment.
    """

    def __init__(self, slots: int, threads: int) -> None:
        self.slots = slots
        self.threads = threads
        self.closed = False
        self._seats = [_Seat(self) for _ in range(slots)]  # a worker starts when it is first needed
        self._idle: queue.LifoQueue[_Seat] = queue.LifoQueue()
        self._all: list[Worker] = []
        for seat in self._seats:
            self._idle.put(seat)

    def warm(self) -> None:
        """Start all workers now, so that they load their libraries while other work is done. Only where
        they need not be pinned to a device."""
        for seat in self._seats:
            seat.worker = self.start()

    def start(self, environment: Mapping[str, str] | None = None, lock: int | None = None) -> Worker:
        """A new worker, which ends with the pool."""
        worker = Worker(self.threads, environment, lock)
        self._all.append(worker)
        if self.closed:
            worker.close()
        return worker

    def run(self, segment: Segment) -> SegmentResult:
        """Train a segment on an idle worker, waiting for one. If the worker dies, another goes on from the
        last checkpoint; after three deaths without an epoch between them the network has failed. A device
        that disappears is not the network's fault: it goes on elsewhere."""
        seat = self._idle.get()
        try:
            return self._run(seat, segment)
        finally:
            self._idle.put(seat)

    def _run(self, seat: _Seat, segment: Segment) -> SegmentResult:
        about = {"run": segment.run_id, "network": segment.network}
        deaths: list[str] = []
        past = segment.from_epoch
        while len(deaths) < ATTEMPTS and not self.closed:
            result = None
            try:
                result = seat.run(segment)
            except WorkerDied as death:
                error = str(death)
            except BadInput as trouble:
                return segment.failed(str(trouble), fatal=True)
            if result is not None and result.status != NetworkStatus.failed:
                return result
            if seat.lost():
                assert seat.slot
                log.warning("device %s has disappeared", seat.slot.device.identity, extra=about)
                seat.leave()
                continue
            if result is not None:
                return result
            if not self.closed:
                log.warning("%s", error, extra=about)
            if (now := _epochs(segment)) > past:
                deaths, past = [], now  # it made progress, so the segment is not what kills the worker
            deaths.append(error)
        if self.closed:
            return segment.failed("the run was closed", fatal=True)
        return segment.failed(f"{deaths[-1]} ({len(deaths)} times)")

    def close(self) -> None:
        """End all workers and release the device slots."""
        self.closed = True
        for worker in self._all:
            worker.close()
        for seat in self._seats:
            if seat.slot:
                seat.slot.release()
