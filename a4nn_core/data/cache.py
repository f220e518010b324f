"""A disk cache for arrays that are expensive to compute."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from a4nn_core.errors import BadInput
from a4nn_core.files import atomic_write, make_folder


def cache_folder() -> Path:
    """Folder of the cache: ``A4NN_CACHE`` if set, otherwise ``a4nn`` in the user's cache folder."""
    if "A4NN_CACHE" in os.environ:
        return Path(os.environ["A4NN_CACHE"])
    return Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "a4nn"


def cached_file(kind: str, key: str) -> Path:
    """Path of the file for the arrays of a key, which need not exist."""
    return cache_folder() / kind / f"{key}.npz"


def read_arrays(path: Path, names: Iterable[str]) -> dict[str, NDArray[Any]] | None:
    """The arrays of a file; None if it does not exist, is damaged (by its checksums) or lacks an array."""
    try:
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in names}
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None


def write_arrays(path: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write arrays atomically.

    Raises:
        BadInput: the folder cannot be written.
    """
    try:
        make_folder(path.parent)
        with atomic_write(path) as temporary, temporary.open("wb") as file:
            np.savez(file, **arrays)  # type: ignore[arg-type]
    except BadInput as error:
        raise BadInput(f"{error}; A4NN_CACHE names another folder for the cache") from None
