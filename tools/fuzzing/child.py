"""The child process that reads inputs, so that a crash, a hang or growth ends only it."""

from __future__ import annotations

import faulthandler
import os
import signal
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from multiprocessing.connection import Connection
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import a4nn_core
from a4nn_core.errors import BadInput
from fuzzing.target import Target

TRACE, OUTPUT = "trace.txt", "output.txt"
_PACKAGE = str(Path(a4nn_core.__file__).parent)


class Outcome(StrEnum):
    """How the reading of an input ended."""

    read = "read"
    refused = "refused"
    traceback = "traceback"
    hang = "hang"
    growth = "growth"
    crash = "crash"

    @property
    def failed(self) -> bool:
        """Whether it is a defect."""
        return self not in (Outcome.read, Outcome.refused)


@dataclass(frozen=True)
class Answer:
    """What became of one input.

    Attributes:
        outcome: how it ended.
        place: the same for failures that have the same cause, as far as one can tell.
        text: the refusal, or the traceback.
        reached: files and lines of the package that no input of this child reached before.
        peak: greatest resident memory of the child so far, in bytes.
    """

    outcome: Outcome
    place: str = ""
    text: str = ""
    reached: frozenset[tuple[str, int]] = frozenset()
    peak: int = 0


class Lines:
    """The lines of the package that were reached. A function costs time only until all its lines were."""

    def __init__(self) -> None:
        self._left: dict[CodeType, set[int]] = {}
        self.new: set[tuple[str, int]] = set()

    def __call__(self, frame: FrameType, _event: str, _arg: object) -> Callable[..., Any] | None:
        """The trace function of ``sys.settrace``."""
        code = frame.f_code
        left = self._left.get(code)
        if left is None:
            ours = code.co_filename.startswith(_PACKAGE)
            left = {line for *_, line in code.co_lines() if line is not None} if ours else set()
            self._left[code] = left
        if not left:
            return None

        def reached(inner: FrameType, _event: str, _arg: object) -> Callable[..., Any]:
            if inner.f_lineno in left:
                left.discard(inner.f_lineno)
                self.new.add((code.co_filename, inner.f_lineno))
            return reached

        return reached


def peak_memory(process: int | str = "self") -> int:
    """The greatest resident memory of a process so far in bytes; 0 if it has ended."""
    try:
        status = Path(f"/proc/{process}/status").read_text()
    except OSError:
        return 0
    return 1024 * int(status.partition("VmHWM:")[2].split()[0]) if "VmHWM:" in status else 0


def computed(process: int) -> float:
    """The processor time of a process so far in seconds; 0 if it has ended."""
    try:
        numbers = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(numbers[11]) + int(numbers[12])) / os.sysconf("SC_CLK_TCK")  # user, system: see proc(5)


def serve(connection: Connection, target: type[Target], folder: Path, guided: bool) -> None:
    """Read the inputs that arrive, and answer each.

    Args:
        connection: bytes come in, an Answer for each goes out; first one for the preparation.
        target: what to fuzz.
        folder: an empty folder.
        guided: whether to find out which lines are reached.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends this process
    (folder / "work").mkdir()
    trace = (folder / TRACE).open("w")
    faulthandler.enable(trace)
    faulthandler.register(signal.SIGUSR1, trace)
    output = os.open(folder / OUTPUT, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(output, 1)
    os.dup2(output, 2)
    setattr(os, "fsync", lambda _: None)  # noqa: B010  # no loss of power is tested here
    ready = target(folder / "work")
    connection.send(Answer(Outcome.read, peak=peak_memory()))
    lines = Lines()
    while True:
        try:
            data = connection.recv_bytes()
        except EOFError:
            return
        lines.new.clear()
        if guided:
            sys.settrace(lines)
        outcome, place, text = _read(ready, data)
        sys.settrace(None)
        connection.send(Answer(outcome, place, text, frozenset(lines.new), peak_memory()))


def _read(target: Target, data: bytes) -> tuple[Outcome, str, str]:
    try:
        target.run(data)
    except BadInput as error:
        return Outcome.refused, "", str(error)
    except BaseException as error:
        sys.settrace(None)
        return Outcome.traceback, _place(error), traceback.format_exc(limit=-20)
    return Outcome.read, "", ""


def _place(error: BaseException) -> str:
    """The type of an error and the innermost line of the package that it passed, or of anything else."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if frame.filename.startswith(_PACKAGE)] or frames
    return f"{type(error).__name__} at {Path(ours[-1].filename).name}:{ours[-1].lineno}"
