"""Resized images of a folder, kept in the cache: every worker of a search needs them, a resumed one again."""

from __future__ import annotations

import hashlib
import logging
from pathlib import Path

import numpy as np

from a4nn_core.data.cache import cached_file, read_arrays, write_arrays
from a4nn_core.data.folders import Listing, ReadImages, read_listed
from a4nn_core.data.images import Preparation, Unusable
from a4nn_core.errors import BadInput

log = logging.getLogger(__name__)

# part of the cache's key: increase it with any change to what becomes of an image
RECIPE = 1
_ARRAYS = ("images", "labels", "used", "skipped", "reasons", "remarks")


def read_once(root: Path, listing: Listing, preparation: Preparation, skip: bool) -> ReadImages:
    """As ``read_listed``, but while no file changes, resized images are decoded only once.

    Images that keep their size are read anew each time: the cache would be a second copy of the folder.
    """
    if preparation.size is None or listing.troubles:
        return read_listed(root, listing, preparation, skip)
    files = list(listing.labels)
    cache = cached_file("folder", _key(root, files, preparation))
    kept = read_arrays(cache, _ARRAYS)
    if kept is not None and (skip or not len(kept["skipped"])):
        return ReadImages(
            [files[position] for position in kept["used"]],
            kept["images"],
            kept["labels"],
            preparation.model_copy(update={"numbers": kept["images"].dtype.name}),
            [
                Unusable(files[position], str(reason))
                for position, reason in zip(kept["skipped"], kept["reasons"], strict=True)
            ],
            [str(remark) for remark in kept["remarks"]],
        )
    read = read_listed(root, listing, preparation, skip)
    positions = {file: position for position, file in enumerate(files)}
    arrays = {
        "images": read.images,
        "labels": read.labels,
        "used": np.array([positions[file] for file in read.files], np.int64),
        "skipped": np.array([positions[one.file] for one in read.skipped], np.int64),
        "reasons": np.array([one.why for one in read.skipped], np.str_),
        "remarks": np.array(read.remarks, np.str_),
    }
    try:
        write_arrays(cache, arrays)
    except BadInput as error:
        log.warning("the resized images are not kept, so that each worker resizes them again: %s", error)
    return read


def _key(root: Path, files: list[Path], preparation: Preparation) -> str:
    """Changes with every file, also with its permissions, and with how images are read."""
    from PIL import __version__ as pillow

    state = hashlib.sha256(f"{RECIPE} {pillow} {preparation.model_dump_json()} {root.resolve()!r}\n".encode())
    for file in files:
        try:
            found = file.stat()
            facts = f"{found.st_size} {found.st_mtime_ns} {found.st_ctime_ns}"
        except OSError as error:
            facts = f"error {error.errno}"
        state.update(f"{file.relative_to(root)!r} {facts}\n".encode())
    return state.hexdigest()[:32]
