"""File locks that the kernel releases however their holder ends, with the holder's name in the file."""

from __future__ import annotations

import fcntl
import json
import os
import socket
import time
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from a4nn_core.commons.events import now
from a4nn_core.errors import A4NNError, BadInput
from a4nn_core.files import denied, user_errors
from a4nn_core.jsonable import Json, to_json

PATIENCE_SECONDS = 1.0
READERS = "readers.lock"


class Held(A4NNError):
    """Another process holds the lock; the message has its process id, host and start time."""


class KernelLock:
    """Held from construction until ``release``, or until every process with its file descriptor has ended.

    Args:
        path: path of the lock file, which is created and stays; a symbolic link is not followed.
        patience: seconds to wait for another holder. A reader that asks for the holder takes the lock for a
            moment, so 0 is seldom right.
        about: further facts about the holder to write into the file.

    Raises:
        Held: another process holds it.
        BadInput: the file cannot be written.
    """

    def __init__(self, path: Path, patience: float = PATIENCE_SECONDS, **about: Json) -> None:
        self.path = path
        self._about = about
        with user_errors("write", path):
            self._handle = _open(path)
        deadline = time.monotonic() + patience
        while True:
            try:
                fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    text = _describe_holder(os.pread(self._handle, 1000, 0))
                    self.release()
                    raise Held(text) from None
                time.sleep(0.05)
        _HELD.add(self)
        try:
            self.note()
        except BadInput:  # the disk is full: nobody holds what could not be made
            self.release()
            raise

    def note(self, **about: Json) -> None:
        """Add to the facts about the holder in the file."""
        self._about |= about
        text = to_json({"pid": os.getpid(), "host": socket.gethostname(), "since": now(), **self._about})
        with user_errors("write", self.path):
            os.ftruncate(self._handle, 0)
            os.pwrite(self._handle, text.encode(), 0)

    def fileno(self) -> int:
        """The file descriptor; a process that inherits it shares the lock."""
        return self._handle

    def release(self) -> None:
        """Release the lock; a second call does nothing."""
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1


def _open(path: Path) -> int:
    flags = os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW
    try:
        # without O_CREAT first: with it, Linux refuses another user's file in a folder like /tmp
        return os.open(path, flags)
    except FileNotFoundError:
        return os.open(path, flags | os.O_CREAT, 0o666)


class RunLock(KernelLock):
    """The lock of the one process that writes a run.

    Raises:
        BadInput: another process holds it; the message has its process id, host and start time.
    """

    def __init__(self, path: Path, run_id: str, patience: float = PATIENCE_SECONDS, **about: Json) -> None:
        try:
            super().__init__(path, patience, **about)
        except Held as error:
            raise BadInput(f"run {run_id!r} is being written by {error}; its lock is {path}") from None


class ReaderLock:
    """Held while data of the commons is being read, so that no file is deleted under a reader.

    On a file system that cannot be written nothing is deleted either, and there is nothing to hold.
    """

    def __init__(self, commons: Path) -> None:
        self._handle = -1
        path = commons / READERS
        for flags in (os.O_RDWR | os.O_CREAT, os.O_RDONLY):
            try:
                self._handle = os.open(path, flags | os.O_CLOEXEC, 0o666)
                break
            except OSError:
                continue
        if self._handle >= 0:
            fcntl.flock(self._handle, fcntl.LOCK_SH)

    def release(self) -> None:
        """Let go; a second call does nothing."""
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1

    def __del__(self) -> None:
        self.release()


@contextmanager
def no_readers(commons: Path, patience: float = 0.0) -> Iterator[bool]:
    """Yield whether nobody reads the commons, or stops within some seconds; readers that come meanwhile wait
    until the block ends."""
    try:
        lock = KernelLock(commons / READERS, patience)
    except Held:
        yield False
        return
    try:
        yield True
    finally:
        lock.release()


def _parse(data: bytes) -> dict[str, Json]:
    try:
        found = json.loads(data)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _describe_holder(data: bytes) -> str:
    found = _parse(data)
    if "pid" not in found:
        return "another process"
    return f"process {found['pid']} on {found.get('host')} since {found.get('since')}"


def holder(path: Path) -> dict[str, Json] | None:
    """The facts about the present holder of a lock (pid, host, since, ...); None if nobody holds it.

    Raises:
        BadInput: the file may not be opened.
    """
    try:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    except PermissionError as error:
        raise BadInput(denied(error)) from None
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
        return None
    except BlockingIOError:
        return _parse(os.pread(handle, 1000, 0))
    finally:
        os.close(handle)


def last_holder(path: Path) -> dict[str, Json]:
    """The facts about who holds a lock or held it last; empty if nobody ever did, or they cannot be read."""
    try:
        return _parse(path.read_bytes()[:1000])
    except OSError:
        return {}


# A forked child shares the parent's lock: it would hold it for as long as it outlives the parent.
_HELD: weakref.WeakSet[KernelLock] = weakref.WeakSet()


def _release_in_child() -> None:
    for lock in list(_HELD):
        lock.release()


os.register_at_fork(after_in_child=_release_in_child)
