"""One process a run: a lock the kernel frees on any death, with the holder's name in it."""

from __future__ import annotations

import fcntl
import json
import os
import socket
import time
import weakref
from pathlib import Path
from typing import Any

from a4nn_core.commons.events import now
from a4nn_core.commons.layout import user_errors
from a4nn_core.errors import BadInput

_PATIENCE_SECONDS = 1.0


class RunLock:
    """Held from construction to ``release``.

    Args:
        path: of the lock file, which is created and stays.
        run_id: for the message.

    Raises:
        BadInput: another process holds it; the message says which, where and since when.
    """

    def __init__(self, path: Path, run_id: str) -> None:
        with user_errors("write", path):
            self._handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        deadline = (
            time.monotonic() + _PATIENCE_SECONDS
        )  # a reader that asks for the holder takes it for an instant
        while True:
            try:
                fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    text = _who(os.pread(self._handle, 1000, 0))
                    self.release()
                    raise BadInput(f"run {run_id!r} is being written by {text}; its lock is {path}") from None
                time.sleep(0.05)
        holder = json.dumps({"pid": os.getpid(), "host": socket.gethostname(), "since": now()}).encode()
        with user_errors("write", path):
            os.ftruncate(self._handle, 0)
            os.pwrite(self._handle, holder, 0)
        _HELD.add(self)

    def release(self) -> None:
        """Let go; a second call does nothing."""
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1


def _parse(data: bytes) -> dict[str, Any]:
    try:
        found = json.loads(data)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _who(data: bytes) -> str:
    found = _parse(data)
    if "pid" not in found:
        return "another process"
    return f"process {found['pid']} on {found.get('host')} since {found.get('since')}"


def holder(path: Path) -> dict[str, Any] | None:
    """Who holds a lock now (pid, host, since); None if nobody does."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
        return None
    except BlockingIOError:
        return _parse(os.pread(handle, 1000, 0))
    finally:
        os.close(handle)


# A forked child shares the parent's lock: it would hold the run for as long as it outlives the parent.
_HELD: weakref.WeakSet[RunLock] = weakref.WeakSet()


def _release_in_child() -> None:
    for lock in list(_HELD):
        lock.release()


os.register_at_fork(after_in_child=_release_in_child)
