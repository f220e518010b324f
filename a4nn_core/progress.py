"""Progress reports of long work, for a listener if there is one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

Listener = Callable[[str, int, int], None]
"""called with what is done, steps that are done, and their number"""

_listener: ContextVar[Listener | None] = ContextVar("a4nn_progress", default=None)


@contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """Context in which ``listener(what, done, total)`` is called as long work proceeds."""
    token = _listener.set(listener)
    try:
        yield
    finally:
        _listener.reset(token)


def tell(what: str, done: int, total: int) -> None:
    """Report to the listener, if there is one, that ``done`` of ``total`` steps of ``what`` are done."""
    listener = _listener.get()
    if listener is not None:
        listener(what, done, total)
