"""Folders of images with a folder for each class: which files there are, and all of them in one array."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from a4nn_core.data.images import (
    ENDINGS,
    Preparation,
    Prepared,
    Unusable,
    image_files,
    is_image,
    is_ours,
    is_scalable,
    named,
    path_text,
    read_images,
    scaled,
)
from a4nn_core.errors import BadInput
from a4nn_core.files import user_errors
from a4nn_core.progress import tell

PARTS = ("train", "validation", "test")


@dataclass(frozen=True)
class Listing:
    """The images of a data set, not read yet.

    Attributes:
        classes: names of the classes in the order of the labels.
        labels: the label of each file.
        troubles: why the folders cannot be used, in sentences.
        remarks: what a user should know of them, in sentences.
    """

    classes: tuple[str, ...]
    labels: dict[Path, int] = field(default_factory=dict)
    troubles: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)


def class_folders(root: Path) -> Listing:
    """The images in a folder that has a folder for each class.

    Raises:
        BadInput: a folder cannot be read.
    """
    with user_errors("read", root):
        entries = sorted(entry for entry in root.iterdir() if is_ours(entry.name))
        folders = [entry for entry in entries if entry.is_dir()]
    loose = sum(is_image(entry.name) for entry in entries if entry not in folders)
    listing = Listing(tuple(path_text(folder.name) for folder in folders))
    if not folders:
        holds = f"holds images ({loose}), but no folder of a class; give the folder above"
        empty = "is empty: it needs a folder of images for each class"
        listing.troubles.append(f"{path_text(root)} {holds if loose else empty}")
    elif loose:
        listing.remarks.append(
            f"images directly in {path_text(root)} ({loose}) are left out: they are in no folder of a class"
        )
    for label, folder in enumerate(folders):
        images = image_files(folder)
        if not images:
            listing.troubles.append(f"{path_text(folder)} contains no images ({', '.join(ENDINGS)})")
        listing.labels.update(dict.fromkeys(images, label))
    if len(folders) == 1:
        only = f"{path_text(root)} has only one class ({listing.classes[0]}); two are needed"
        listing.troubles.append(only + _deeper(folders[0]))
    return listing


def _deeper(folder: Path) -> str:
    """A hint at a folder that has the folders of the classes, as archives are often unpacked."""
    inside = sorted(entry.name for entry in folder.iterdir() if entry.is_dir() and is_ours(entry.name))
    if len(inside) < 2:
        return ""
    return f"; if its folders {_listed(inside[:5])} are the classes, give {path_text(folder)}"


def given_parts(root: Path) -> Listing:
    """The images in a folder that is divided into ``train``, ``validation`` and ``test``.

    Raises:
        BadInput: not all three are there, or a folder cannot be read.
    """
    missing = [part for part in PARTS if not (root / part).is_dir()]
    if missing:
        raise BadInput(
            f"data folder {root} has a folder {PARTS[0]}, but none named {' or '.join(missing)}: "
            f"give all three parts, or one folder for each class and no {PARTS[0]}"
        )
    whole = Listing(class_folders(root / PARTS[0]).classes)
    for part in PARTS:
        listing = class_folders(root / part)
        whole.labels.update(listing.labels)
        whole.troubles.extend(listing.troubles)
        whole.remarks.extend(listing.remarks)
        if listing.classes != whole.classes:
            whole.troubles.append(
                f"{root / part} has the classes {_listed(listing.classes)}, "
                f"but {root / PARTS[0]} has {_listed(whole.classes)}"
            )
    return whole


def _listed(names: Iterable[str]) -> str:
    return ", ".join(map(path_text, names)) or "none"


@dataclass(frozen=True)
class ReadImages:
    """The images of a folder.

    Attributes:
        files: one for each image.
        images: shape (count, channels, height, width).
        labels: shape (count,).
        preparation: what was done with each.
        skipped: what could not be used.
        remarks: what a user should know, in sentences.
    """

    files: list[Path]
    images: NDArray[Any]
    labels: NDArray[np.int64]
    preparation: Preparation
    skipped: list[Unusable]
    remarks: list[str]


def read_listed(root: Path, listing: Listing, preparation: Preparation, skip: bool) -> ReadImages:
    """Read and prepare all images. At most some tens of files are in memory as they were before.

    Args:
        root: folder of the data set.
        listing: what to read.
        preparation: what to do with each image.
        skip: leave out images that cannot be used.

    Raises:
        BadInput: the folders cannot be used, images cannot be used and are not to be skipped, or images are
            of several sizes or kinds; all is said together.
    """
    found = _Collected(root, len(listing.labels), preparation)
    for done, image in enumerate(read_images(list(listing.labels), preparation), start=1):
        found.add(image)
        tell("reading images", done, found.count)
    labels = np.array([listing.labels[file] for file in found.files], dtype=np.int64)
    troubles = [*listing.troubles, *found.troubles(skip)]
    if found.unusable and not troubles:
        left = set(labels.tolist())
        lost = [name for label, name in enumerate(listing.classes) if label not in left]
        troubles += [f"no image of class {name} can be used" for name in lost]
    if troubles:
        raise BadInput(f"data folder {path_text(root)}: {'; '.join(troubles)}")
    return ReadImages(
        found.files,
        found.images[: len(found.files)],
        labels,
        preparation.model_copy(update={"numbers": found.images.dtype.name}),
        found.unusable,
        [*listing.remarks, *found.remarks()],
    )


@dataclass
class _Collected:
    """Images as they are read, in one array if they are of one size and kind.

    Attributes:
        root: folder of the data set.
        count: how many files there are.
        preparation: what is done with each.
    """

    root: Path
    count: int
    preparation: Preparation
    images: NDArray[Any] = field(default_factory=lambda: np.zeros((0, 1, 0, 0), np.uint8))
    files: list[Path] = field(default_factory=list)
    unusable: list[Unusable] = field(default_factory=list)
    several: list[Path] = field(default_factory=list)
    sizes: Counter[str] = field(default_factory=Counter)
    kinds: Counter[str] = field(default_factory=Counter)
    numbers: set[str] = field(default_factory=set)
    examples: dict[str, Path] = field(default_factory=dict)

    def add(self, image: Prepared | Unusable) -> None:
        """Count an image, and keep it if it is like the others."""
        if isinstance(image, Unusable):
            self.unusable.append(image)
            return
        channels, height, width = image.pixels.shape
        numbers = image.pixels.dtype.name
        size, kind = f"{width} x {height}", f"{'colour' if channels == 3 else 'grey'} {numbers}"
        self.sizes[size] += 1
        self.kinds[kind] += 1
        self.numbers.add(numbers)
        for what in (size, kind):
            self.examples.setdefault(what, image.file)
        if image.is_first_of_several:
            self.several.append(image.file)
        if not self.files:
            self._make_room(image.pixels)
        if self.images.shape[1:] == image.pixels.shape and not self._trouble_with_kinds():
            if len(self.numbers) > 1:
                self.images = scaled(self.images, "uint16")
            self.images[len(self.files)] = scaled(image.pixels, self.images.dtype.name)
            self.files.append(image.file)

    def _make_room(self, pixels: NDArray[Any]) -> None:
        try:
            self.images = np.empty((self.count, *pixels.shape), pixels.dtype)
        except MemoryError:
            raise BadInput(
                f"data folder {path_text(self.root)}: {self.count} images of {next(iter(self.sizes))} need "
                f"{self.count * pixels.nbytes / 1e9:.0f} GB of memory; a smaller data.size needs less"
            ) from None

    def troubles(self, skip: bool) -> list[str]:
        """Why the images cannot be used, in sentences."""
        found = []
        if self.unusable and not (skip and self.files):
            hint = "" if skip else '; data.on_error = "skip" leaves out such images'
            found.append(f"{self._unusable()}{hint}")
        if len(self.sizes) > 1:
            found.append(
                f"images must all have the same size, but there are {self._most_common(self.sizes)}; "
                "data.size resizes them, such as data.size = 64"
            )
        return found + self._trouble_with_kinds()

    def _trouble_with_kinds(self) -> list[str]:
        if len(self.kinds) < 2:
            return []
        if others := sorted(name for name in self.numbers if not is_scalable(name)):
            hint = f"{', '.join(others)} cannot be converted, as it has no full range from black to white"
        elif self.preparation.channels is None:
            hint = 'data.channels = "grey" or "rgb" converts them'
        else:
            return []
        return [f"images must all be of the same kind, but there are {self._most_common(self.kinds)}; {hint}"]

    def _most_common(self, counts: Counter[str]) -> str:
        first = [f"{n} of {what} (such as {self._name(what)})" for what, n in counts.most_common(5)]
        rest = len(counts) - len(first)
        return ", ".join(first) + (f" and {rest} more" if rest > 0 else "")

    def _name(self, what: str) -> str:
        return path_text(self.examples[what].relative_to(self.root))

    def _unusable(self) -> str:
        return (
            f"{len(self.unusable)} of {self.count} images cannot be used: {named(self.unusable, self.root)}"
        )

    def remarks(self) -> list[str]:
        """What a user should know of the images, in sentences."""
        found = []
        if self.unusable:
            found.append(f"{self._unusable()}; skipped")
        if self.several:
            first = path_text(self.several[0].relative_to(self.root))
            found.append(
                f"of images with several frames or pages ({len(self.several)}, such as {first}) "
                "the first is used"
            )
        return found
