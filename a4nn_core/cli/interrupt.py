"""Ctrl-C and SIGTERM (a service manager's stop)."""

from __future__ import annotations

import signal
from types import FrameType

_interrupted = False


def listen() -> None:
    """Raise KeyboardInterrupt, wherever the program is, at the first SIGINT or SIGTERM."""
    global _interrupted
    _interrupted = False
    signal.signal(signal.SIGTERM, _interrupt)
    if signal.getsignal(signal.SIGINT) != signal.SIG_IGN:  # in the background of a shell it is ignored
        signal.signal(signal.SIGINT, _interrupt)


def _interrupt(number: int, frame: FrameType | None) -> None:  # noqa: ARG001
    """Once: what closes the records, or says how to go on, must not be interrupted by the next signal."""
    global _interrupted
    if not _interrupted:
        _interrupted = True
        raise KeyboardInterrupt


def check_interrupt() -> None:
    """Raise KeyboardInterrupt if an earlier one was lost: Python ignores one raised in a destructor."""
    if _interrupted:
        raise KeyboardInterrupt
