"""A target in a child process, watched."""

from __future__ import annotations

import multiprocessing
import os
import re
import shutil
import signal
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import forkserver
from multiprocessing.context import ForkServerContext
from pathlib import Path

from fuzzing.child import OUTPUT, TRACE, Answer, Outcome, computed, peak_memory, serve
from fuzzing.target import Target

_POLL = 0.05  # seconds between two looks at a child that has not answered
_IN_MEMORY = Path("/dev/shm")  # many small files, none of which needs a disk


@dataclass(frozen=True)
class Limits:
    """What one input may take.

    Attributes:
        seconds: processor time.
        waiting: time in all, in seconds; other processes may be computing.
        bytes: growth of the resident memory of the process.
        tries: how often a failing input is made smaller and read again at most.
        smaller_seconds: how long that may take.
    """

    seconds: float = 10.0
    waiting: float = 60.0
    bytes: int = 500_000_000
    tries: int = 300
    smaller_seconds: float = 20.0


USUAL = Limits()


def _forks() -> ForkServerContext:
    """Children are forks of a process that has imported everything and has no threads: they cost little."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["fuzzing.targets"])
    # that process is not told of sys.path otherwise, and would look into the current folder first, which has
    # the sources without the compiled fitter
    wanted = {"PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "PYTHONSAFEPATH": "1"}
    before = dict(os.environ)
    os.environ.update(wanted)
    try:
        forkserver.ensure_running()
    finally:
        for name in wanted:
            del os.environ[name]
            if name in before:
                os.environ[name] = before[name]
    return context


class Reader:
    """A target in a child process, which is started again after an input that ended it.

    Args:
        target: what to fuzz.
        limits: what one input may take.
        guided: whether answers say if new lines were reached.
    """

    def __init__(self, target: type[Target], limits: Limits, *, guided: bool = True) -> None:
        self.target, self.limits, self.guided = target, limits, guided
        self._start()

    def _start(self) -> None:
        context = _forks()
        self._folder = Path(tempfile.mkdtemp(prefix="fuzz-", dir=_IN_MEMORY if _IN_MEMORY.is_dir() else None))
        self._pipe, theirs = context.Pipe()
        self._child = context.Process(
            target=serve, args=(theirs, self.target, self._folder, self.guided), daemon=True
        )
        self._child.start()
        theirs.close()
        try:
            self._before = self._pipe.recv().peak
        except EOFError:
            raise RuntimeError(f"{self.target.name} cannot be prepared: {self._said(OUTPUT)}") from None

    def read(self, data: bytes) -> Answer:
        """Have one input read."""
        self._pipe.send_bytes(data)
        answer = self._answer()
        if answer.outcome in (Outcome.crash, Outcome.hang, Outcome.growth):
            self.renew()
        return answer

    def _answer(self) -> Answer:
        most = self._before + self.limits.bytes
        process = self._child.pid or 0
        until = time.monotonic() + self.limits.waiting
        most_computed = computed(process) + self.limits.seconds
        while True:
            if self._pipe.poll(_POLL):
                try:
                    answer: Answer = self._pipe.recv()
                except EOFError:
                    return self._died()
                return answer if answer.peak <= most else self._grew(answer.peak)
            peak = peak_memory(process)
            if peak > most:
                return self._grew(peak)
            if computed(process) > most_computed:
                return self._ended(Outcome.hang, f"no answer after {self.limits.seconds:g} s of computing")
            if time.monotonic() > until:
                return self._ended(Outcome.hang, f"no answer after {self.limits.waiting:g} s")

    def _grew(self, peak: int) -> Answer:
        return self._ended(Outcome.growth, f"memory grew by {(peak - self._before) / 1e6:.0f} MB")

    def _died(self) -> Answer:
        self._child.join()
        code = self._child.exitcode or 0
        how = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        return self._told(Outcome.crash, f"the process died: {how}")

    def _ended(self, outcome: Outcome, text: str) -> Answer:
        """The answer for a child that has to be ended, with where it was."""
        with suppress(ProcessLookupError):
            os.kill(self._child.pid or 0, signal.SIGUSR1)
        self._child.join(0.2)  # the kernel has to switch to it
        return self._told(outcome, text)

    def _told(self, outcome: Outcome, text: str) -> Answer:
        stack = self._said(TRACE)
        frames = [line.strip() for line in stack.splitlines() if line.startswith("  File")]
        ours = [line for line in frames if "a4nn_core" in line] or frames or [""]
        place = re.sub(r", line \d+", "", ours[0])  # an endless loop can be interrupted at any of its lines
        return Answer(outcome, f"{outcome} in {place}", f"{text}\n{stack}")

    def _said(self, name: str) -> str:
        with suppress(OSError):
            return (self._folder / name).read_text(errors="replace")[-4000:]
        return ""

    def renew(self) -> None:
        """Go on with a fresh child."""
        self.close()
        self._start()

    def close(self) -> None:
        """End the child."""
        self._child.kill()
        self._child.join()
        self._pipe.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def __enter__(self) -> Reader:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
