"""The command a4nn over a made-up trainer, in processes that are signalled.

Each line of standard input is an order: the arguments of the command, how many syncs of files it may make
before the signals begin, and the signals with the seconds between them. The answer has its exit code, what it
said, and how many syncs it made. Processes are forked, as imports would take most of the time.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import time
import traceback
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from fakes import FakeExecutor

from a4nn_core import logs
from a4nn_core.archaeology import figures
from a4nn_core.cli import app, main
from a4nn_core.experiment import load_experiment
from a4nn_core.report import page
from a4nn_core.workflow import local, run

del app, run  # imported before the first process is forked, as are the packages that load the data
load_experiment("digits").data.load()


@dataclass(frozen=True)
class Order:
    """See above."""

    words: list[str]
    syncs: int = -1
    signals: tuple[int, ...] = ()
    seconds: float = 0.0


@dataclass(frozen=True)
class Answer:
    """See above."""

    code: int
    said: str
    syncs: int


def serve() -> None:
    """Obey the orders."""
    for line in sys.stdin:
        order = Order(**json.loads(line))
        with TemporaryDirectory() as folder:
            answer = _obey(order, Path(folder))
        sys.stdout.write(json.dumps(asdict(answer)) + "\n")
        sys.stdout.flush()


def _obey(order: Order, folder: Path) -> Answer:
    mine, its = socket.socketpair()
    child = os.fork()
    if child == 0:
        mine.close()
        code = 1
        try:
            code = _command(order, its, folder)
        finally:
            os._exit(code)
    its.close()
    mine.recv(1)  # returns when the time for signals has come, or when the process has ended
    for place, number in enumerate(order.signals):
        os.kill(child, number)
        if place == 0:
            with suppress(BrokenPipeError):
                mine.send(b".")
        time.sleep(order.seconds)
    mine.close()
    _, status = os.waitpid(child, 0)
    said, syncs = (folder / name for name in ("said", "syncs"))
    return Answer(
        os.waitstatus_to_exitcode(status),
        said.read_text(),
        len(syncs.read_bytes()) if syncs.exists() else 0,
    )


def _command(order: Order, other: socket.socket, folder: Path) -> int:
    def wait_for_signals() -> None:
        other.send(b".")
        other.recv(1)  # the first one has been sent

    for stream, name in ((1, "shown"), (2, "said")):
        os.dup2(os.open(folder / name, os.O_WRONLY | os.O_CREAT), stream)
    counted = os.open(folder / "syncs", os.O_WRONLY | os.O_CREAT)
    made = 0

    def sync(_: int) -> None:
        nonlocal made
        made += 1
        os.write(counted, b".")
        if made == order.syncs:
            wait_for_signals()
        if order.syncs >= 0 and made >= order.syncs:
            time.sleep(0.002)  # as a disk takes: the signals come meanwhile

    os.fsync = sync  # type: ignore[assignment]
    local.LocalExecutor = lambda *_, **__: FakeExecutor(one_at_a_time=True)  # type: ignore[assignment,misc]
    figures.draw = lambda _, file, __: file.write_bytes(b"")  # takes a second, and is not what is tested
    page.document, page.page = lambda *_: {}, lambda _: ""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.argv = ["a4nn", *order.words]
    if order.syncs == 0:
        logs.set_up = wait_for_signals
    try:
        main()
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        traceback.print_exc()
        return 1
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
    return 0
