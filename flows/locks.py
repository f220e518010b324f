"""Kernel locks that show which flow is alive: freed however a process dies, kept while it is only stopped.

Prefect hears from a flow only while server, network and heartbeat work; a lock in the commons does not depend
on them. Machines that share a commons share a POSIX file system, so all of them see the lock.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from a4nn_core.commons import RunFolder
from a4nn_core.commons.layout import check_run_id, open_commons
from a4nn_core.commons.lock import RunLock, holder
from a4nn_core.files import make_folder

POLL_SECONDS = 2.0


def run_lock(commons: Path, run_id: str) -> Path:
    """The lock that a run's flow holds for as long as it lives. The run's own lock is taken later, after the
    data are loaded, which can take an hour if they are simulated first."""
    return RunFolder(commons, run_id).path / "flow.lock"


def network_lock(commons: Path, run_id: str, network: int) -> Path:
    """The lock that a segment's flow holds for as long as it lives."""
    return RunFolder(commons, run_id).checkpoints(network) / "flow.lock"


def deployment_lock(commons: Path, deployment: str) -> Path:
    """The lock that a deployment's scheduled run holds, so that a recurring search never overlaps itself."""
    return commons / "flows" / f"{deployment}.lock"


@contextmanager
def held(path: Path, run_id: str, wait: bool = False) -> Iterator[None]:
    """Hold a lock.

    Args:
        path: the lock file, which is not removed afterwards.
        run_id: name of the run for the error message.
        wait: whether to wait until the lock is free instead of raising.

    Raises:
        BadInput: another process holds it, or the place cannot be written.
    """
    make_folder(path.parent)
    while wait and holder(path) is not None:
        time.sleep(POLL_SECONDS)
    lock = RunLock(path, run_id)
    try:
        yield
    finally:
        lock.release()


@contextmanager
def held_run(commons: Path, run_id: str) -> Iterator[None]:
    """Hold a run's flow lock, in a commons that is created if it does not exist. A run that ends before its
    records are opened leaves no folder behind.

    Raises:
        BadInput: the commons cannot be written, or another flow has the run.
    """
    path = run_lock(commons, check_run_id(run_id))
    open_commons(commons)
    with held(path, run_id):
        try:
            yield
        finally:
            if not RunFolder(commons, run_id).run_file.exists():
                path.unlink(missing_ok=True)
                left = [*path.parent.iterdir()] if path.parent.exists() else [path]
                if not left:
                    path.parent.rmdir()
