"""Kernel locks that say which flow is alive: freed by any death, kept by a process that is only stopped.

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
    """Held by the flow of a run for as long as it lives. The run's own lock begins later, after the data are
    loaded, which can take an hour where they are simulated first."""
    return RunFolder(commons, run_id).path / "flow.lock"


def network_lock(commons: Path, run_id: str, network: int) -> Path:
    """Held by the flow of a segment for as long as it lives."""
    return RunFolder(commons, run_id).checkpoints(network) / "flow.lock"


def deployment_lock(commons: Path, deployment: str) -> Path:
    """Held by the scheduled run of a deployment, so that a recurring experiment never overlaps itself."""
    return commons / "flows" / f"{deployment}.lock"


@contextmanager
def held(path: Path, run_id: str, wait: bool = False) -> Iterator[None]:
    """Hold a lock.

    Args:
        path: of the lock file; it stays.
        run_id: for the message.
        wait: until it is free, instead of raising.

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
    """Hold a run's flow lock, in a commons that is made if it is not there. A run that ends before its
    records were opened leaves no folder.

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
