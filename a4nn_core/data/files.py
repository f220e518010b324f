"""A user's own images: a folder with one folder per class, or one .npz file."""

from __future__ import annotations

import zipfile
import zlib
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from a4nn_core.data.base import (
    DataSource,
    ImageData,
    InputTransform,
    Split,
    TransformName,
    split_parts,
)
from a4nn_core.errors import BadInput

ENDINGS = (".png", ".tif", ".tiff", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".pgm", ".ppm")
PARTS = ("train", "validation", "test")


class _Own(DataSource):
    path: str = Field(min_length=1)
    """path of the folder or file with the images"""
    validation: float = Field(default=0.15, gt=0, lt=0.5)
    """fraction of the images for validation, if the parts are not given"""
    test: float = Field(default=0.15, gt=0, lt=0.5)
    """fraction of the images for the test, if the parts are not given"""
    seed: int = Field(default=0, ge=0)
    """seed of the split"""
    transform: TransformName = "standardise"
    """transform of the stored numbers to a network's input; log1p-standardise suits photon counts"""

    def _split(self, images: NDArray[Any], labels: NDArray[np.int64], classes: tuple[str, ...]) -> ImageData:
        return split_parts(
            self.name,
            images,
            labels,
            classes,
            validation=self.validation,
            test=self.test,
            seed=self.seed,
            transform=self.transform,
        )


class ImageFolder(_Own):
    """A folder with one folder of images per class; or such folders in ``train``, ``validation`` and
    ``test``. Images can have any bit depth that Pillow reads, and must be of the same size and kind."""

    name: Literal["folder"] = "folder"

    def load(self) -> ImageData:
        root = Path(self.path)
        if not root.is_dir():
            raise BadInput(
                f"data folder {root} does not exist" if not root.exists() else f"{root} is not a folder"
            )
        if (root / PARTS[0]).is_dir():
            return self._given(root)
        classes, files, troubles = _class_folders(root)
        images, labels = _read_images(root, files, troubles)
        return self._split(images, labels, classes)

    def _given(self, root: Path) -> ImageData:
        missing = [part for part in PARTS if not (root / part).is_dir()]
        if missing:
            raise BadInput(
                f"data folder {root} has a folder {PARTS[0]}, but none named {' or '.join(missing)}: "
                f"give all three parts, or one folder for each class and no {PARTS[0]}"
            )
        files: list[tuple[Path, int]] = []
        sizes, named = [], []
        troubles: list[str] = []
        for part in PARTS:
            classes, of_part, of_part_troubles = _class_folders(root / part)
            named.append(classes)
            troubles += of_part_troubles
            if classes != named[0]:
                troubles.append(
                    f"{root / part} has the classes {_listed(classes)}, "
                    f"but {root / PARTS[0]} has {_listed(named[0])}"
                )
            files += of_part
            sizes.append(len(of_part))
        # read together, so that all parts have the same size and kind
        images, labels = _read_images(root, files, troubles)
        ends = np.cumsum(sizes)
        parts = {
            part: Split(images[end - size : end], labels[end - size : end])
            for part, size, end in zip(PARTS, sizes, ends, strict=True)
        }
        transform = InputTransform.fit(self.transform, parts["train"].images)
        return ImageData(name=self.name, classes=named[0], transform=transform, **parts)


def _listed(names: Iterable[str]) -> str:
    return ", ".join(names) or "none"


def _class_folders(root: Path) -> tuple[tuple[str, ...], list[tuple[Path, int]], list[str]]:
    """Class names in order, (file, label) of every image, and error messages on the folders."""
    folders = sorted(entry for entry in root.iterdir() if entry.is_dir() and not entry.name.startswith("."))
    if not folders:
        return (), [], [f"{root} is empty: it needs a folder of images for each class"]
    files: list[tuple[Path, int]] = []
    troubles = []
    for label, folder in enumerate(folders):
        images = sorted(
            file
            for file in folder.rglob("*")
            if file.suffix.lower() in ENDINGS and not file.name.startswith(".")
        )
        if not images:
            troubles.append(f"{folder} contains no images ({', '.join(ENDINGS)})")
        files += [(file, label) for file in images]
    if len(folders) == 1:
        troubles.append(f"{root} has only one class ({folders[0].name}); two are needed")
    return tuple(folder.name for folder in folders), files, troubles


def read_image(file: Path) -> NDArray[Any]:
    """One image as an array, shape (channels, height, width).

    Palette and bilevel images are converted to the colours they show; others keep their numbers and bit
    depth.

    Raises:
        BadInput: it cannot be read.
    """
    from PIL import Image

    try:
        with Image.open(file) as image:
            shown = image.convert("RGB") if image.mode in ("P", "CMYK", "YCbCr") else image
            shown = shown.convert("L") if shown.mode in ("1", "LA") else shown
            shown = shown.convert("RGB") if shown.mode == "RGBA" else shown
            array = np.asarray(shown)
    except (OSError, ValueError, SyntaxError, EOFError, Image.DecompressionBombError) as error:
        raise BadInput(f"image {file} cannot be read: {error}") from None
    return array[None] if array.ndim == 2 else array.transpose(2, 0, 1)


def _read_images(
    root: Path, files: list[tuple[Path, int]], troubles: list[str]
) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """All images and their labels.

    Args:
        root: folder of the data set.
        files: (file, label) of each image.
        troubles: earlier error messages, reported together with those on the images.

    Returns:
        images, shape (count, channels, height, width), and labels, shape (count,).

    Raises:
        BadInput: there are earlier errors, unreadable images, or images of several sizes or kinds.
    """

    loaded: list[NDArray[Any]] = []
    unreadable: list[Path] = []
    endless: list[Path] = []
    kinds: Counter[str] = Counter()
    example: dict[str, Path] = {}
    for file, _ in files:
        try:
            array = read_image(file)
        except BadInput:
            unreadable.append(file)
            continue
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            endless.append(file)
        kind = f"{array.shape[2]} x {array.shape[1]} {'colour' if len(array) == 3 else 'grey'} {array.dtype}"
        kinds[kind] += 1
        example.setdefault(kind, file)
        loaded.append(array)
    for what, which in (("cannot be read", unreadable), ("hold values that are not finite", endless)):
        if which:
            more = f" and {len(which) - 5} more" if len(which) > 5 else ""
            first = ", ".join(map(str, which[:5]))
            troubles.append(f"{len(which)} of {len(files)} images {what}: {first}{more}")
    if len(kinds) > 1:
        counts = ", ".join(f"{n} of {kind} (such as {example[kind]})" for kind, n in kinds.most_common(5))
        troubles.append(f"images must all have the same size and type, but there are {counts}")
    if troubles:
        raise BadInput(f"data folder {root}: {'; '.join(troubles)}")
    return np.stack(loaded), np.array([label for _, label in files], dtype=np.int64)


class NpzFile(_Own):
    """One NumPy .npz file with arrays ``x`` (count, height, width) or (count, channels, height, width), and
    ``y`` (count,): class numbers or names."""

    name: Literal["npz"] = "npz"

    def load(self) -> ImageData:
        try:
            file = np.load(self.path, allow_pickle=False)
            if not isinstance(file, np.lib.npyio.NpzFile):
                raise BadInput(f"data file {self.path} is a single array; an .npz with x and y is needed")
            with file:
                missing = [key for key in ("x", "y") if key not in file.files]
                if missing:
                    held = ", ".join(file.files) or "nothing"
                    raise BadInput(f"{self.path} has no array {missing[0]!r}; it holds {held}")
                x, y = file["x"], file["y"]
        except FileNotFoundError:
            raise BadInput(f"data file {self.path} does not exist") from None
        except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
            raise BadInput(f"data file {self.path} is not a readable .npz: {error}") from None
        if x.ndim == 3:
            x = x[:, None]
        if x.ndim != 4 or x.dtype.kind not in "uif" or 0 in x.shape[1:]:
            raise BadInput(
                f"{self.path}: x has shape {x.shape} and type {x.dtype}; numbers of shape (count, height, "
                "width) or (count, channels, height, width) are needed"
            )
        if y.shape != (len(x),):
            raise BadInput(f"{self.path}: x holds {len(x)} images, but y has shape {y.shape}")
        if y.dtype.kind == "f" and (y == np.floor(y)).all() and np.isfinite(y).all():
            y = y.astype(np.int64)
        if y.dtype.kind not in "biuUS":
            raise BadInput(f"{self.path}: y is of type {y.dtype}; class numbers or names are needed")
        if x.dtype.kind == "f" and not np.isfinite(x).all():
            raise BadInput(f"{self.path}: x holds {int((~np.isfinite(x)).sum())} values that are not finite")
        if y.dtype.kind == "S":
            y = np.char.decode(y, "utf-8", "replace")
        names, labels = np.unique(y, return_inverse=True)
        return self._split(x, labels.astype(np.int64), tuple(str(name) for name in names))
