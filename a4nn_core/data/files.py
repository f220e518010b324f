"""A user's own images: a folder with one folder per class, or one .npz file."""

from __future__ import annotations

import zipfile
import zlib
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BeforeValidator, Field

from a4nn_core.component import Unit
from a4nn_core.data.base import (
    DataSource,
    ImageData,
    InputTransform,
    Split,
    TransformName,
    check_classes,
    split_parts,
)
from a4nn_core.data.folders import PARTS, ReadImages, class_folders, given_parts
from a4nn_core.data.images import LARGEST_SIDE, Channels, Preparation, Resize, path_text
from a4nn_core.data.kept import read_once
from a4nn_core.errors import BadInput
from a4nn_core.files import ZIP, denied, kind_of
from a4nn_core.vocabulary import Task


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

    def _split(
        self,
        images: NDArray[Any],
        labels: NDArray[np.int64],
        classes: tuple[str, ...],
        expected: NDArray[np.float32] | None = None,
    ) -> ImageData:
        return split_parts(
            self.name,
            images,
            labels,
            classes,
            validation=self.validation,
            test=self.test,
            seed=self.seed,
            transform=self.transform,
            expected=expected,
        )


def _both_sides(size: object) -> object:
    sides = [size, size] if isinstance(size, int) else size
    # for a tuple pydantic reports one error per side, which would be two messages for one mistake
    if sides is None or (
        isinstance(sides, list | tuple)
        and len(sides) == 2
        and all(type(side) is int and 1 <= side <= LARGEST_SIDE for side in sides)
    ):
        return sides and tuple(sides)
    raise ValueError(f"a number of pixels from 1 to {LARGEST_SIDE}, or [width, height], is needed")


class ImageFolder(_Own):
    """A folder with one folder of images per class; or such folders in ``train``, ``validation`` and
    ``test``. Without ``size`` and ``channels``, images must be of the same size and kind."""

    name: Literal["folder"] = "folder"
    size: Annotated[tuple[int, int] | None, BeforeValidator(_both_sides), Unit("pixels")] = None
    """resize images to this many pixels: one number for a square, or [width, height]"""
    resize: Resize = "stretch"
    """what happens to images of another aspect ratio: stretch; crop the longer side at its ends; pad the
    shorter one with black"""
    channels: Channels | None = None
    """convert images to grey or rgb; 8 bits are scaled to 16 if some images have those"""
    on_error: Literal["stop", "skip"] = "stop"
    """what an image that cannot be used does: it stops the run, or is skipped, which is recorded"""

    def load(self) -> ImageData:
        root = Path(self.path)
        if not root.is_dir():
            raise BadInput(
                f"data folder {root} does not exist" if not root.exists() else f"{root} is not a folder"
            )
        are_given = (root / PARTS[0]).is_dir()
        listing = given_parts(root) if are_given else class_folders(root)
        preparation = Preparation(size=self.size, resize=self.resize, channels=self.channels)
        # the parts together, so that all have the same size and kind
        read = read_once(root, listing, preparation, skip=self.on_error == "skip")
        data = (
            self._given(root, listing.classes, read)
            if are_given
            else self._split(read.images, read.labels, listing.classes)
        )
        skipped = tuple(path_text(one.file.relative_to(root).as_posix()) for one in read.skipped)
        return replace(data, preparation=read.preparation, skipped=skipped, remarks=tuple(read.remarks))

    def _given(self, root: Path, classes: tuple[str, ...], read: ReadImages) -> ImageData:
        part_of = np.array([file.relative_to(root).parts[0] for file in read.files])
        parts = {part: Split(read.images[part_of == part], read.labels[part_of == part]) for part in PARTS}
        for part, split in parts.items():
            check_classes(f"{root / part}", split.labels, classes)
        transform = InputTransform.fit(self.transform, parts["train"].images)
        return ImageData(
            name=self.name,
            classes=classes,
            transform=transform,
            train=parts["train"],
            validation=parts["validation"],
            test=parts["test"],
        )


class NpzFile(_Own):
    """One NumPy .npz file with arrays ``x`` (count, height, width) or (count, channels, height, width), and
    ``y`` (count,): class numbers or names; or ``expected``, images of the shape of ``x``."""

    name: Literal["npz"] = "npz"
    target: Literal["class", "expected"] = "class"
    """what networks learn of an image: its class (classification), or the expected image that it is a noisy
    measurement of (restoration); then classes are optional, and keep their proportions in the parts"""

    @property
    def task(self) -> Task:
        return Task.restoration if self.target == "expected" else Task.classification

    def load(self) -> ImageData:
        try:
            file = np.load(self.path, allow_pickle=False)
            if not isinstance(file, np.lib.npyio.NpzFile):
                raise BadInput(f"data file {self.path} is a single array; an .npz with x and y is needed")
            with file:
                truth = "expected" if self.task is Task.restoration else "y"
                missing = [key for key in ("x", truth) if key not in file.files]
                if missing:
                    held = ", ".join(file.files) or "nothing"
                    raise BadInput(f"{self.path} has no array {missing[0]!r}; it holds {held}")
                x = file["x"]
                y = file["y"] if "y" in file.files else np.full(len(x), "image")
                expected = file["expected"] if self.task is Task.restoration else None
        except FileNotFoundError:
            raise BadInput(f"data file {self.path} does not exist") from None
        except PermissionError as error:
            raise BadInput(denied(error)) from None
        except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
            found = kind_of(Path(self.path))
            reason = f"it is {found}" if found != ZIP else str(error)
            raise BadInput(f"data file {self.path} is not a readable .npz: {reason}") from None
        if expected is not None:
            expected = _expected(expected, x, self.path)
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
        titles = tuple(str(name) for name in names)
        return self._split(x, labels.astype(np.int64), titles, expected)


def _expected(expected: NDArray[Any], x: NDArray[Any], path: str) -> NDArray[np.float32]:
    """The expected images of a file, shape (count, channels, height, width).

    Raises:
        BadInput: they are not numbers of the shape of the images, or none is above 0.
    """
    if expected.shape != x.shape or expected.dtype.kind not in "uif":
        raise BadInput(
            f"{path}: expected has shape {expected.shape} and type {expected.dtype}; numbers of the shape "
            f"of x, {x.shape}, are needed"
        )
    if not np.isfinite(expected).all():
        count = int((~np.isfinite(expected)).sum())
        raise BadInput(f"{path}: expected holds {count} values that are not finite")
    if not expected.size or expected.min() < 0 or expected.max() <= 0:
        raise BadInput(
            f"{path}: expected holds values from {expected.min(initial=0):g} to {expected.max(initial=0):g}; "
            "intensities are needed, none below 0 and some above"
        )
    shaped = expected[:, None] if expected.ndim == 3 else expected
    return shaped.astype(np.float32)
