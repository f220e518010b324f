"""Long work on data tells how far it is, to whoever listens; nobody has to."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

Listener = Callable[[str, int, int], None]

_listener: ContextVar[Listener | None] = ContextVar("a4nn_data_progress", default=None)


@contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """Within, ``listener(what, done, total)`` is called as data are simulated, read or written."""
    token = _listener.set(listener)
    try:
        yield
    finally:
        _listener.reset(token)


def tell(what: str, done: int, total: int) -> None:
    """Tell the listener, if there is one, that ``done`` of ``total`` are done of ``what``."""
    listener = _listener.get()
    if listener is not None:
        listener(what, done, total)
