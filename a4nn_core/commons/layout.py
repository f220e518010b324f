"""Where everything lies in a commons, and how a file is put there whole or not at all.

::

    commons.json                       version of the layout
    runs/<run>/run.json                header, status and totals of a run
    runs/<run>/lock                    held by the one process that writes the run
    runs/<run>/events.jsonl            the event log
    runs/<run>/journals/0007.jsonl     network 7, a line an epoch, written while it trains
    runs/<run>/checkpoints/0007/       its checkpoints
    runs/<run>/tables/<table>/0007.parquet   its final records; the one in ``networks`` comes last and counts
    archive/                           final records of many networks in few files (see archive.py)
    readers.lock                       held, shared, by readers, so that no file is deleted under them
"""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from a4nn_core.errors import BadInput

LAYOUT_VERSION = 1

_RUN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_TEMPORARY = ".unfinished"
_OURS = {"runs", "archive", "readers.lock"}
# what the user can mend: no space, no permission, no such place
_USER_ERRNOS = {
    errno.ENOSPC,
    errno.ENOENT,
    errno.EDQUOT,
    errno.EROFS,
    errno.EACCES,
    errno.EPERM,
    errno.ENOTDIR,
    errno.EEXIST,
    errno.ENAMETOOLONG,
    errno.EFBIG,
    errno.EISDIR,
}


class Damaged(BadInput):
    """A file of a commons does not hold what it must; the message names the file and the place in it."""


def check_run_id(run_id: str) -> str:
    """The run id, if it can be one.

    Raises:
        BadInput: it is not 1 to 100 letters, digits, dots, underscores or hyphens, or begins with a sign.
    """
    if not _RUN_ID.fullmatch(run_id):
        raise BadInput(
            f"run id {run_id!r} cannot be used: 1 to 100 letters, digits, '.', '_' or '-', "
            "beginning with a letter or digit"
        )
    return run_id


def network_id(run_id: str, network: int) -> str:
    """Name of one network among all runs, such as ``my-run/0007``."""
    return f"{run_id}/{network:04d}"


class RunFolder:
    """Paths of one run. Making one touches no disk.

    Attributes:
        commons: folder of the commons.
        run_id: of the run.
        path: folder of the run.
    """

    def __init__(self, commons: Path, run_id: str) -> None:
        self.commons = Path(commons)
        self.run_id = check_run_id(run_id)
        self.path = self.commons / "runs" / run_id

    def journal(self, network: int) -> Path:
        """The journal of one network."""
        return self.path / "journals" / f"{network:04d}.jsonl"

    def checkpoints(self, network: int) -> Path:
        """The folder of one network's checkpoints."""
        return self.path / "checkpoints" / f"{network:04d}"

    @property
    def events(self) -> Path:
        """The event log."""
        return self.path / "events.jsonl"

    @property
    def run_file(self) -> Path:
        """Header, status and totals, as JSON."""
        return self.path / "run.json"

    @property
    def lock(self) -> Path:
        """Locked by the process that writes the run; holds its process id and host."""
        return self.path / "lock"

    def table(self, name: str) -> Path:
        """The folder of one table's fragments."""
        return self.path / "tables" / name

    def fragment(self, table: str, network: int) -> Path:
        """The final records of one network in one table."""
        return self.table(table) / f"{network:04d}.parquet"


@contextmanager
def user_errors(what: str, path: Path) -> Iterator[None]:
    """Turn what a user can mend (full disk, no permission) into one sentence; let other errors through.

    Args:
        what: what was being done, such as ``write``.
        path: the file or folder.
    """
    try:
        yield
    except OSError as error:
        if error.errno in _USER_ERRNOS:
            raise BadInput(f"cannot {what} {path}: {error.strerror or error}") from error
        raise


def sync_folder(folder: Path) -> None:
    """Make names created or renamed in a folder survive a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def make_folder(folder: Path) -> None:
    """Create a folder and its parents if missing.

    Raises:
        BadInput: it cannot be created.
    """
    with user_errors("create the folder", folder):
        folder.mkdir(parents=True, exist_ok=True)


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Gives a temporary path to write; on success the file takes its real name, on error it is removed.

    The file is synced before it is renamed and the folder after, so a reader, or the next process after a
    crash, finds the old file, or the new one, never a part of one.

    Raises:
        BadInput: the disk is full or the folder cannot be written.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}{_TEMPORARY}")
    with user_errors("write", path):
        try:
            yield temporary
            handle = os.open(temporary, os.O_RDONLY)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)
            temporary.replace(path)
            sync_folder(path.parent)
        except BaseException:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)
            raise


@contextmanager
def whole_folder(folder: Path) -> Iterator[Path]:
    """Gives a temporary folder to fill; on success it takes its real name, on error it is removed.

    Raises:
        BadInput: there is something of that name, the disk is full or the place cannot be written.
    """
    if folder.exists():
        raise BadInput(f"cannot export to {folder}: it exists already")
    make_folder(folder.parent)
    temporary = folder.with_name(f".{folder.name}.{os.getpid()}{_TEMPORARY}")
    try:
        with user_errors("write", folder):
            temporary.mkdir()
            yield temporary
            temporary.rename(folder)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise


def write_whole(path: Path, data: bytes) -> None:
    """Write a file so that it is there whole or not at all."""
    with whole_file(path) as temporary:
        temporary.write_bytes(data)


def remove_unfinished(folder: Path) -> None:
    """Remove what a killed process left half-written; only for the holder of the run's lock."""
    for left in folder.rglob(f".*{_TEMPORARY}"):
        left.unlink(missing_ok=True)


def read_json(path: Path) -> dict[str, Any]:
    """One JSON object from a file.

    Raises:
        Damaged: the file is not a JSON object.
    """
    try:
        data = json.loads(path.read_bytes())
    except ValueError as error:
        raise Damaged(f"{path} is damaged: not JSON ({error})") from None
    if not isinstance(data, dict):
        raise Damaged(f"{path} is damaged: not a JSON object")
    return data


def write_json(path: Path, data: Any) -> None:
    """Write JSON for people and programs, whole or not at all."""
    write_whole(path, json.dumps(data, indent=1, ensure_ascii=False, allow_nan=False).encode() + b"\n")


def check_layout(commons: Path) -> int:
    """The layout version of an existing commons.

    Raises:
        BadInput: the folder is no commons, or of a layout newer than this code knows.
    """
    file = commons / "commons.json"
    if not file.is_file():
        state = "there is no such folder" if not commons.exists() else "it has no commons.json"
        raise BadInput(f"{commons} is no commons: {state}")
    version = read_json(file).get("layout")
    if not isinstance(version, int) or version < 1:
        raise Damaged(f"{file} is damaged: layout {version!r} is not a version")
    if version > LAYOUT_VERSION:
        raise BadInput(
            f"{commons} has layout {version}; this version of a4nn knows layouts up to {LAYOUT_VERSION}"
        )
    return version


def open_commons(commons: Path) -> int:
    """Create the commons if it is not there; gives its layout version.

    Raises:
        BadInput: it cannot be created, or the folder holds something else.
    """
    fresh = not commons.exists()
    make_folder(commons)
    file = commons / "commons.json"
    if not file.exists():
        if any(not entry.name.startswith(".") and entry.name not in _OURS for entry in commons.iterdir()):
            raise BadInput(f"{commons} is no commons: it holds other files and has no commons.json")
        try:
            write_json(file, {"layout": LAYOUT_VERSION})
        except BadInput:
            if fresh:
                with suppress(OSError):
                    commons.rmdir()
            raise
    return check_layout(commons)
