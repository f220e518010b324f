"""The command ``a4nn``: one file per command group.

Results go to standard output, all else to standard error.
"""

from __future__ import annotations

import sys
from io import TextIOWrapper
from typing import NoReturn

from a4nn_core.cli.interrupt import listen


def main() -> None:
    """Entry point of the command ``a4nn``.

    Exit codes: 0 done; 1 the run failed; 2 something the user gave cannot be used; 130 Ctrl-C.
    """
    # SIGTERM (a service manager's stop) is handled like Ctrl-C: close cleanly, say how to resume
    listen()
    try:
        _run()
    except KeyboardInterrupt:
        sys.exit(130)


def _run() -> None:
    from a4nn_core import logs
    from a4nn_core.cli.app import app
    from a4nn_core.errors import A4NNError, BadInput
    from a4nn_core.files import denied

    if isinstance(sys.stdout, TextIOWrapper) and sys.stdout.errors == "strict":
        # print a question mark for characters that the terminal's encoding lacks, not a traceback
        sys.stdout.reconfigure(errors="replace")
    try:
        logs.set_up()
        app()  # usage errors and Ctrl-C end here, with exit codes 2 and 130
    except BadInput as error:
        _end(str(error), 2)
    except PermissionError as error:
        _end(denied(error), 2)  # any file and folder can be closed to the user, so they are named here
    except A4NNError as error:
        _end(str(error), 1)


def _end(message: str, code: int) -> NoReturn:
    from a4nn_core.cli.options import say

    say(f"Error: {message}")
    sys.exit(code)
