"""The command ``a4nn`` for tests, in this process or in one of its own."""

from __future__ import annotations

import signal
import sys
import traceback
from contextlib import chdir, redirect_stderr, redirect_stdout
from io import BytesIO, TextIOWrapper
from pathlib import Path
from subprocess import CompletedProcess
from unittest import mock

from a4nn_core.cli import main

A4NN = [sys.executable, "-P", "-c", "from a4nn_core.cli import main; main()"]
"""for tests of the process: what is killed, what it imports, what the environment gives it"""

SMALL = [
    "digits",
    *("--set", "search.networks=6"),
    *("--set", "search.population=3"),
    *("--set", "search.offspring=3"),
    *("--set", "training.epochs=3"),
    *("--set", "training.slots=1"),
    *("--set", "space.channels=4"),
    *("--set", "termination=none"),
]
"""the arguments of a small search; one worker, as each costs seconds of imports"""


def a4nn(*arguments: str | Path, cwd: Path | None = None) -> CompletedProcess[str]:
    """Run the command in this process, which has already imported what takes a new one seconds.

    Returns:
        The output and exit code that a process of its own would have had.
    """
    command = ["a4nn", *map(str, arguments)]
    signals = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    code = 0
    streams = BytesIO(), BytesIO()
    out, err = (TextIOWrapper(stream, encoding="utf-8") for stream in streams)
    with (
        redirect_stdout(out),
        redirect_stderr(err),
        mock.patch.object(sys, "argv", command),
        chdir(cwd or Path.cwd()),
    ):
        try:
            main()
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else int(end.code is not None)
        except BaseException:
            traceback.print_exc()
            code = 1
        finally:
            for number, handler in signals.items():
                signal.signal(number, handler)
    out.flush()
    err.flush()
    return CompletedProcess(command, code, *(stream.getvalue().decode() for stream in streams))
