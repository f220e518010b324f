"""Ctrl-C and a service manager's polite stop."""

from __future__ import annotations

from typing import Any, NoReturn

_interrupted = False


def interrupt(*_: Any) -> NoReturn:
    """What a signal does: raise KeyboardInterrupt wherever the program is."""
    global _interrupted
    _interrupted = True
    raise KeyboardInterrupt


def check_interrupt() -> None:
    """Raise KeyboardInterrupt if one came and was lost: one that falls into a destructor is ignored."""
    if _interrupted:
        raise KeyboardInterrupt
