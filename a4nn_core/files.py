"""Atomic writes of files and folders, which of their errors the user can fix, and what kind a file is of."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from a4nn_core.errors import BadInput

_TEMPORARY = ".unfinished"
# what the user can fix: no space, no permission, no such path
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

ZIP = "a zip archive"
UNKNOWN = "a file of an unknown kind"
_BEGINNINGS = {
    b"\x93NUMPY": "a NumPy array (.npy)",
    b"PK\x03\x04": ZIP,
    b"\x89PNG": "a PNG image",
    b"\xff\xd8\xff": "a JPEG image",
    b"GIF8": "a GIF image",
    b"II*\x00": "a TIFF image",
    b"MM\x00*": "a TIFF image",
    b"\x89HDF": "an HDF5 file",
    b"%PDF": "a PDF document",
    b"PAR1": "a Parquet file",
    b"\x1f\x8b": "a gzip archive",
    b"\x80\x04": "a Python pickle",
    b"\x80\x05": "a Python pickle",
    b"MATLAB": "a MATLAB file",
}


@contextmanager
def user_errors(what: str, path: Path) -> Iterator[None]:
    """Turn errors that a user can fix (full disk, no permission) into BadInput; let others through.

    Args:
        what: the verb for the message, such as ``write``.
        path: the file or folder.
    """
    try:
        yield
    except OSError as error:
        if error.errno in _USER_ERRNOS:
            raise BadInput(f"cannot {what} {path}: {error.strerror or error}") from error
        raise


def denied(error: PermissionError) -> str:
    """The message on a file or folder that the user may not open."""
    return f"cannot open {error.filename}: {error.strerror}" if error.filename else str(error)


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
def atomic_write(path: Path) -> Iterator[Path]:
    """Yield a temporary path to write; on success the file takes its real name, on error it is removed.

    The file is synced before it is renamed and the folder after, so that a reader, or the next process after
    a crash, finds either the old file or the new one, never a part of one.

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
def atomic_folder(folder: Path) -> Iterator[Path]:
    """Yield a temporary folder to fill; on success it takes its real name, on error it is removed.

    Raises:
        BadInput: the name is taken, the disk is full or the parent folder cannot be written.
    """
    if folder.exists():
        raise BadInput(f"cannot write {folder}: it exists already")
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


def atomic_write_bytes(path: Path, data: bytes) -> None:
    """Write a file atomically: it exists complete or not at all."""
    with atomic_write(path) as temporary:
        temporary.write_bytes(data)


def remove_unfinished(folder: Path) -> None:
    """Remove what a killed process left half-written; only for the holder of the run's lock."""
    for left in folder.rglob(f".*{_TEMPORARY}"):
        left.unlink(missing_ok=True)


def kind_of(path: Path) -> str:
    """What a file is by how it begins, for messages on a file of the wrong kind."""
    if path.is_dir():
        return "a folder"
    with path.open("rb") as file:
        head = file.read(1024)
    if not head:
        return "an empty file"
    for beginning, kind in _BEGINNINGS.items():
        if head.startswith(beginning):
            return kind
    try:
        head[:-3].decode()  # the last character may be cut
    except UnicodeDecodeError:
        return UNKNOWN
    return UNKNOWN if b"\0" in head else "a text file"
