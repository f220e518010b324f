"""Ctrl-C and SIGTERM (a service manager's stop)."""

from __future__ import annotations

from typing import Any, NoReturn

_interrupted = False


def interrupt(*_: Any) -> NoReturn:
    """Signal handler: raise KeyboardInterrupt wherever the program is."""
    global _interrupted
    _interrupted = True
    raise KeyboardInterrupt


def check_interrupt() -> None:
    """Raise KeyboardInterrupt if an earlier one was lost: Python ignores one raised in a destructor."""
    if _interrupted:
        raise KeyboardInterrupt
