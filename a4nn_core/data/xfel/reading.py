"""The data source ``xfel-files``: patterns on disk, published or made by ``a4nn simulate xfel``."""

from __future__ import annotations

import hashlib
import logging
import zipfile
import zlib
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from a4nn_core.data.base import DataSource, ImageData, InputTransform, Split, TransformName
from a4nn_core.data.cache import cached_file, read_arrays, write_arrays
from a4nn_core.data.xfel.layout import SETS, beam_name, parse_name
from a4nn_core.data.xfel.source import Beam, fluence_of
from a4nn_core.errors import BadInput
from a4nn_core.progress import tell

logger = logging.getLogger(__name__)

# part of the cache's key
RECIPE = 1
_AT_ONCE = 512


class XfelFiles(DataSource):
    """Patterns of one beam, from a folder in the published layout or from one .npz file per beam.

    The training set is for training; the orientations of the test set are divided between validation and
    test, so that no orientation is in both.
    """

    name: Literal["xfel-files"] = "xfel-files"
    path: str = Field(min_length=1)
    """folder with a folder (1e14/images/trainset, ...) or a file (1e14.npz) for each beam"""
    beam: Beam = "medium"
    """low, medium, high (1e14, 1e15, 1e16), or photons per square micrometre and pulse"""
    validation: float = Field(default=0.5, gt=0, lt=1)
    """fraction of the test set's orientations for validation; the others are for the test"""
    imbalance: float = Field(default=0.1, ge=0)
    """by which fraction the largest class of a set may be larger than the smallest"""
    seed: int = Field(default=0, ge=0, lt=2**63)
    """seed of the choice of the orientations for validation"""
    transform: TransformName = "log1p-standardise"
    """transform of the counts to a network's input; none keeps the raw counts, as published"""

    def load(self) -> ImageData:
        patterns = read_patterns(Path(self.path), beam_name(fluence_of(self.beam)), self.imbalance)
        of_tests = np.unique(patterns.ids[patterns.tests])
        if len(of_tests) < 2:
            raise BadInput(f"the test set in {self.path} has only one orientation; two or more are needed")
        shared = np.isin(of_tests, patterns.ids[~patterns.tests]).sum()
        if shared:
            logger.warning(
                "%d of %d orientations of the test set are in the training set, too", shared, len(of_tests)
            )
        chosen = np.random.default_rng(self.seed).permutation(of_tests)
        count = min(max(1, round(self.validation * len(of_tests))), len(of_tests) - 1)
        validates = patterns.tests & np.isin(patterns.ids, chosen[:count])
        masks = {"train": ~patterns.tests, "validation": validates, "test": patterns.tests & ~validates}
        order = np.lexsort((patterns.labels, patterns.ids))
        parts = {}
        for name, mask in masks.items():
            members = order[mask[order]]  # the images are copied once only
            parts[name] = Split(patterns.images[members], patterns.labels[members])
        return ImageData(
            name=self.name,
            classes=patterns.classes,
            transform=InputTransform.fit(self.transform, parts["train"].images),
            train=parts["train"],
            validation=parts["validation"],
            test=parts["test"],
        )


@dataclass(frozen=True)
class Patterns:
    """Patterns of one beam, in any order.

    Attributes:
        images: shape (count, 1, size, size); the smallest unsigned integers that hold all counts, or float32
            if some are not whole numbers.
        labels: shape (count,), indices into classes.
        ids: numbers of the orientations, shape (count,).
        tests: whether each pattern belongs to the test set, shape (count,).
        classes: names of the conformations, sorted.
    """

    images: NDArray[Any]
    labels: NDArray[np.int64]
    ids: NDArray[np.int64]
    tests: NDArray[np.bool_]
    classes: tuple[str, ...]


def read_patterns(root: Path, beam: str, imbalance: float) -> Patterns:
    """Read the patterns of a beam from its files or from the cache.

    Args:
        root: see XfelFiles.
        beam: name of its folder or file.
        imbalance: see XfelFiles.

    Raises:
        BadInput: there is no such beam, or files are wrong; the message lists all errors with counts.
    """
    folder, archive = root / beam / "images", root / f"{beam}.npz"
    if folder.is_dir():
        return _from_folder(folder, imbalance)
    if archive.is_file():
        return _from_archive(archive, imbalance)
    if not root.is_dir():
        raise BadInput(
            f"data folder {root} does not exist" if not root.exists() else f"{root} is not a folder"
        )
    there = sorted(
        {entry.parent.name for entry in root.glob("*/images")} | {entry.stem for entry in root.glob("*.npz")}
    )
    raise BadInput(
        f"data folder {root} has neither {beam}/images nor {beam}.npz; beams there: "
        f"{', '.join(there) or 'none'}"
    )


class _Troubles(list[str]):
    """Collected error messages."""

    def some(self, which: Sequence[object], total: int, what: str) -> None:
        """Add the message that some of all files have an error, naming the first of them."""
        if which:
            more = f" and {len(which) - 3} more" if len(which) > 3 else ""
            self.append(f"{len(which)} of {total} {what}: {', '.join(map(str, which[:3]))}{more}")

    def balance(self, classes: Sequence[str], labels: Any, tests: Any, imbalance: float) -> None:
        """Add messages on missing classes and on sets in which one class is much larger than another."""
        if len(classes) < 2:
            self.append(f"there is only one conformation ({', '.join(classes) or 'none'}); two are needed")
        for name, mask in zip(SETS, (~tests, tests), strict=True):
            counts = np.bincount(labels[mask], minlength=len(classes))
            if len(counts) and counts.max() > (1 + imbalance) * counts.min():
                sizes = ", ".join(f"{n} of {title}" for n, title in zip(counts, classes, strict=True))
                self.append(f"{name} is unbalanced: {sizes}")

    def end(self, place: Path) -> None:
        """Raise BadInput if there are any messages."""
        if self:
            raise BadInput(f"{place}: {'; '.join(self)}")


def _from_folder(folder: Path, imbalance: float) -> Patterns:
    troubles = _Troubles()
    files: list[tuple[bool, int, str, Path]] = []
    unknown: list[str] = []
    total = 0
    state = hashlib.sha256(f"{RECIPE} {folder.resolve()}\n".encode())
    for name in SETS:
        if not (folder / name).is_dir():
            troubles.append(f"there is no folder {name}")
            continue
        for path in sorted((folder / name).iterdir()):
            if path.name.startswith("."):
                continue
            total += 1
            parsed = parse_name(path.name)
            if parsed is None:
                unknown.append(path.name)
                continue
            found = path.stat()
            state.update(f"{name}/{path.name} {found.st_size} {found.st_mtime_ns}\n".encode())
            files.append((name == SETS[1], parsed[1], parsed[0], path))
    troubles.some(unknown, total, "files are not named <protein>_<conformation>_ptm<id>.tiff")
    files.sort()
    seen = Counter(entry[:3] for entry in files)
    twice = [f"{conformation} {number}" for (_, number, conformation), n in seen.items() if n > 1]
    troubles.some(twice, total, "patterns are there twice")
    classes = tuple(sorted({entry[2] for entry in files}))
    labels = np.array([classes.index(entry[2]) for entry in files], dtype=np.int64)
    ids = np.array([entry[1] for entry in files], dtype=np.int64)
    tests = np.array([entry[0] for entry in files], dtype=np.bool_)
    troubles.balance(classes, labels, tests, imbalance)
    cache = cached_file("xfel-files", state.hexdigest()[:32])
    # only a folder without errors is cached
    kept = None if troubles else read_arrays(cache, ["images"])
    if kept is not None:
        return Patterns(kept["images"], labels, ids, tests, classes)
    images = _read_images([entry[3] for entry in files], troubles)
    troubles.end(folder)
    write_arrays(cache, {"images": images})  # the rest is in the names of the files
    return Patterns(images, labels, ids, tests, classes)


def _read_images(paths: Sequence[Path], troubles: _Troubles) -> NDArray[Any]:
    """All images, shape (count, 1, height, width); adds messages on those that cannot be used."""
    images = np.zeros((0, 1, 0, 0), np.uint8)
    unreadable, endless, negative = [], [], []
    sizes: Counter[str] = Counter()
    example: dict[str, str] = {}
    with ThreadPoolExecutor(4) as pool:  # decoding releases the interpreter's lock
        for start in range(0, len(paths), _AT_ONCE):
            block = paths[start : start + _AT_ONCE]
            for place, (path, image) in enumerate(
                zip(block, pool.map(_read_image, block), strict=True), start
            ):
                if image is None:
                    unreadable.append(path.name)
                    continue
                size = " x ".join(map(str, image.shape))
                sizes[size] += 1
                example.setdefault(size, path.name)
                if not np.isfinite(image).all():
                    endless.append(path.name)
                elif image.min() < 0:
                    negative.append(path.name)
                if not images.size:
                    images = np.zeros((len(paths), 1, *image.shape), np.uint8)
                if troubles or len(sizes) > 1 or unreadable or endless or negative:
                    continue  # an error will be raised: read on only to find the other errors
                images = _widened(images, image)
                images[place, 0] = image
            tell("reading diffraction patterns", start + len(block), len(paths))
    troubles.some(unreadable, len(paths), "images cannot be read")
    troubles.some(endless, len(paths), "images hold values that are not finite")
    troubles.some(negative, len(paths), "images hold negative counts")
    if len(sizes) > 1:
        counts = ", ".join(f"{n} of {size} (such as {example[size]})" for size, n in sizes.most_common(5))
        troubles.append(f"images must be of one size, but there are {counts}")
    return images


def _read_image(path: Path) -> NDArray[Any] | None:
    """One channel of numbers, shape (height, width); None if it is not such an image."""
    from PIL import Image

    try:
        with Image.open(path) as image:
            array = np.asarray(image)
    except (OSError, ValueError, SyntaxError, EOFError, Image.DecompressionBombError):
        return None
    return array if array.ndim == 2 and array.dtype.kind in "uif" else None


def _widened(images: NDArray[Any], image: NDArray[Any]) -> NDArray[Any]:
    """The images so far, converted to a type that can also hold the next one."""
    kind = images.dtype
    if image.dtype.kind == "f" and (image != np.floor(image)).any():
        kind = np.dtype(np.float32)
    elif kind.kind == "u":
        kind = max(kind, np.min_scalar_type(int(image.max())))
    return images if kind == images.dtype else images.astype(kind)


def _from_archive(path: Path, imbalance: float) -> Patterns:
    try:
        with np.load(path, allow_pickle=False) as file:
            if missing := [name for name in ("x", "y", "id", "set") if name not in file.files]:
                raise BadInput(f"{path} has no array {missing[0]!r}; it holds {', '.join(file.files)}")
            x, y, ids, sets = (file[name] for name in ("x", "y", "id", "set"))
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise BadInput(f"{path} is not a readable .npz: {error}") from None
    if x.ndim != 3 or x.dtype.kind not in "uif" or not y.shape == ids.shape == sets.shape == (len(x),):
        raise BadInput(
            f"{path}: x of shape (count, height, width) and y, id and set of shape (count,) are needed, not "
            f"{x.shape}, {y.shape}, {ids.shape} and {sets.shape}"
        )
    troubles = _Troubles()
    troubles.some(sorted(set(sets.tolist()) - set(SETS)), len(set(sets.tolist())), "sets are unknown")
    classes, labels = np.unique(y, return_inverse=True)
    tests = sets == SETS[1]
    names = tuple(str(name) for name in classes)
    troubles.balance(names, labels, tests, imbalance)
    troubles.end(path)
    return Patterns(x[:, None], labels.astype(np.int64), ids.astype(np.int64), tests, names)
