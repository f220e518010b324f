"""One copy of the data for all processes of a machine: a file in the cache that each of them maps.

Whoever reads the pages of a mapped file, they are in memory once. The file holds the arrays as NumPy writes
them, one after another, and is never changed: it appears whole under its name, which is a digest of what it
holds. Those who map it hold a kernel lock on it, so that a file in use, on this machine or another one, can
be distinguished from one that is not.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import logging
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from a4nn_core.data.base import DataSource, ImageData, InputTransform, Split
from a4nn_core.data.cache import cache_folder
from a4nn_core.errors import BadInput
from a4nn_core.files import atomic_write, make_folder, user_errors
from a4nn_core.progress import tell
from a4nn_core.vocabulary import Task

log = logging.getLogger(__name__)

LEAST_BYTES = 2**24
"""smaller data are loaded by each process: beside its libraries they do not show"""
# part of the name of a file: increase it with any change to what is in one
_RECIPE = 2
_ALIGNMENT = 64
_POLL_SECONDS = 0.1
_DAMAGED = (OSError, ValueError, KeyError, TypeError, EOFError, OverflowError)
"""what reading a file raises that does not hold what it should"""


def map_key(source: DataSource, data: ImageData) -> str:
    """Name of the file that holds the data of a source; empty if they are too small to be worth one."""
    return "" if data.nbytes < LEAST_BYTES else _key(source, data)


def copies(data: ImageData, processes: int) -> int:
    """Number of copies of the data in the memory of a machine on which so many processes hold them."""
    return processes if data.nbytes < LEAST_BYTES else 1


def share(source: DataSource, data: ImageData) -> ImageData:
    """The same data, mapped from a file, which is written if it is missing or damaged.

    Where that cannot be, a line in the log says why, and the data are returned as they are.
    """
    key = map_key(source, data)
    if not key:
        return data
    with _alone(_file(key)):
        return _shared(source, data, key)


def load_shared(source: DataSource, key: str) -> ImageData:
    """The data of a source as another process shares them; on a machine where none does yet, they are loaded
    and shared.

    Args:
        source: where the data come from.
        key: ``map_key`` of the data; empty to load them without sharing.

    Raises:
        BadInput: they cannot be loaded.
    """
    if not key:
        return source.load()
    found = _map(source, key)
    if found is not None:
        return found
    with _alone(_file(key)):  # of several workers one loads the data, and the others wait for its file
        found = _map(source, key)
        if found is not None:
            return found
        data = source.load()
        if _key(source, data) != key:
            log.warning("the images of [data] are not those that the search has: they are not shared")
            return data
        return _shared(source, data, key)


def _shared(source: DataSource, data: ImageData, key: str) -> ImageData:
    try:
        found = _map(source, key)
        if found is None:
            _write(_file(key), data)
            found = _map(source, key)
        if found is None:
            raise BadInput(f"{_file(key)} cannot be mapped")
    except (BadInput, OSError) as error:
        log.warning(
            "each worker holds its own copy of the images: %s; A4NN_CACHE names another folder for the cache",
            error,
        )
        return data
    return replace(data, train=found.train, validation=found.validation, test=found.test)


def _key(source: DataSource, data: ImageData) -> str:
    return _digest(f"{_RECIPE} {source.model_dump_json()} {data.fingerprint}")[:32]


def _file(key: str) -> Path:
    return cache_folder() / "mapped" / f"{key}.npy"


def _write(path: Path, data: ImageData) -> None:
    make_folder(path.parent)
    _remove_unused(path.parent)
    about = json.dumps(
        {"name": data.name, "classes": data.classes, "task": data.task, "transform": asdict(data.transform)}
    )
    with user_errors("write", path):
        # what trains writes to the same disk, perhaps: it must not be filled
        if shutil.disk_usage(path.parent).free < 2 * data.nbytes:
            raise BadInput(f"the disk of {path.parent} has less than {2 * data.nbytes / 1e9:.1f} GB free")
        with atomic_write(path) as temporary, temporary.open("w+b") as file:
            fcntl.flock(file, fcntl.LOCK_SH)
            for array in (_as_bytes(_digest(about)), _as_bytes(about), *_arrays(data)):
                _append(file, np.ascontiguousarray(array))


def _map(source: DataSource, key: str) -> ImageData | None:
    """The data in a file; None if it does not exist or does not hold what its name says."""
    try:
        with _file(key).open("rb") as file:
            # each map has a duplicate of the file's descriptor: the lock is held until the last one is gone
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            digest, about = (_next(file).tobytes().decode() for _ in range(2))
            facts = json.loads(about)
            arrays = 3 if facts["task"] == Task.restoration else 2
            train, validation, test = (Split(*(_next(file) for _ in range(arrays))) for _ in range(3))
        if digest != _digest(about):
            return None
        transform = facts["transform"]
        data = ImageData(
            facts["name"],
            tuple(facts["classes"]),
            train,
            validation,
            test,
            InputTransform(transform["log1p"], tuple(transform["mean"]), tuple(transform["std"])),
        )
    except _DAMAGED:
        return None
    return data if _key(source, data) == key else None


def _arrays(data: ImageData) -> Iterator[NDArray[Any]]:
    for part in (data.train, data.validation, data.test):
        yield from part.arrays


def _append(file: BinaryIO, array: NDArray[Any]) -> None:
    _align(file)
    np.lib.format.write_array_header_1_0(file, np.lib.format.header_data_from_array_1_0(array))
    file.write(array.data)  # np.save would not say that a disk is full


def _next(file: BinaryIO) -> NDArray[Any]:
    """The array that follows in a file, mapped.

    Raises:
        ValueError: there is none, or the file ends before the array does.
    """
    _align(file)
    if np.lib.format.read_magic(file) != (1, 0):
        raise ValueError("not an array as NumPy writes it")
    shape, is_fortran, dtype = np.lib.format.read_array_header_1_0(file)
    array = np.memmap(file, dtype, "r", file.tell(), shape, "F" if is_fortran else "C")
    file.seek(array.offset + array.nbytes)
    return array


def _align(file: BinaryIO) -> None:
    file.seek(-file.tell() % _ALIGNMENT, os.SEEK_CUR)


def _as_bytes(text: str) -> NDArray[np.uint8]:
    return np.frombuffer(text.encode(), np.uint8)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """While this lasts no other process loads or writes the data of that file, as far as locks can be had."""
    try:
        make_folder(path.parent)
        lock = path.with_suffix(".lock").open("ab")
    except (BadInput, OSError):
        yield  # nothing can be shared, which is said when the data cannot be written
        return
    with lock:
        with suppress(OSError):
            while not _locked(lock):
                tell("waiting for another process to load the images", 0, 1)
                time.sleep(_POLL_SECONDS)
        yield


def _locked(file: BinaryIO) -> bool:
    """Whether this process has the file for itself now."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _remove_unused(folder: Path) -> None:
    """Remove what no process maps, waits for or writes: the cache holds no more than was last used."""
    for path in folder.iterdir():
        with suppress(OSError), path.open("r+b") as file:
            if _locked(file):
                path.unlink()
