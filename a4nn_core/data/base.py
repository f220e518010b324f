"""The interface of image data: what a source must return and what a search gets."""

from __future__ import annotations

import hashlib
import math
from abc import abstractmethod
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from a4nn_core.component import Component, Registry
from a4nn_core.data.images import Preparation
from a4nn_core.errors import BadInput
from a4nn_core.vocabulary import Task

TransformName = Literal["none", "standardise", "log1p-standardise"]


@dataclass(frozen=True)
class Split:
    """One part of a data set.

    Attributes:
        images: shape (count, channels, height, width); in the type they were stored in.
        labels: shape (count,), int64, indices into the data set's classes.
        expected: for the restoration of images, what each of them is a noisy measurement of: shape of the
            images, float32, in their unit. None for classification.
    """

    images: NDArray[Any]
    labels: NDArray[np.int64]
    expected: NDArray[np.float32] | None = None

    def __len__(self) -> int:
        return len(self.labels)

    def first(self, count: int) -> Split:
        """Its first images."""
        expected = None if self.expected is None else self.expected[:count]
        return Split(self.images[:count], self.labels[:count], expected)

    @property
    def arrays(self) -> tuple[NDArray[Any], ...]:
        """Its arrays, the expected images only if there are any."""
        every = (self.images, self.labels)
        return every if self.expected is None else (*every, self.expected)

    @property
    def chance_percent(self) -> float:
        """Accuracy in percent of always predicting the most frequent class; NaN without images."""
        if not len(self):
            return math.nan
        return 100 * int(np.bincount(self.labels).max()) / len(self)


@dataclass(frozen=True)
class InputTransform:
    """The transform from a stored image to a network's input: ``(log1p?(x) - mean) / std``, per channel."""

    log1p: bool
    mean: tuple[float, ...]
    std: tuple[float, ...]

    @classmethod
    def fit(cls, name: TransformName, images: NDArray[Any]) -> InputTransform:
        """The transform of that name, its mean and deviation measured on training images.

        Args:
            name: ``none`` leaves the stored numbers, ``standardise`` gives every channel mean 0 and deviation
                1, ``log1p-standardise`` takes log(1 + x) first, which suits photon counts.
            images: training images, shape (count, channels, height, width).
        """
        channels = images.shape[1]
        if name == "none":
            return cls(False, (0.0,) * channels, (1.0,) * channels)
        log1p = name == "log1p-standardise"
        mean, std = [], []
        for channel in range(channels):
            # one channel in blocks, so that the images are never in memory as floats all at once
            count, total, square = 0, 0.0, 0.0
            at_once = max(1, min(4096, 2**24 // max(1, images[0, 0].size)))
            for start in range(0, len(images), at_once):
                block = images[start : start + at_once, channel].astype(np.float64)
                block = np.log1p(block) if log1p else block
                count += block.size
                total += float(block.sum())
                square += float(np.square(block).sum())
            mean.append(total / count)
            std.append(max(square / count - mean[-1] ** 2, 0.0) ** 0.5 or 1.0)
        return cls(log1p, tuple(mean), tuple(std))


@dataclass(frozen=True)
class ImageData:
    """A data set, loaded.

    Attributes:
        name: name of the source.
        classes: names of the classes in the order of the labels.
        train: part that networks are trained on.
        validation: part that networks are selected by.
        test: part that is never used for selection, only reported.
        transform: transform from the stored images to a network's input.
        preparation: how image files became the stored images; None if they are not from such files.
        skipped: files that could not be used and were left out on request, relative to the folder.
        remarks: what a user should know of the data, in sentences.
    """

    name: str
    classes: tuple[str, ...]
    train: Split
    validation: Split
    test: Split
    transform: InputTransform
    preparation: Preparation | None = None
    skipped: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()

    @property
    def shape(self) -> tuple[int, int, int]:
        """Shape of an image, (channels, height, width)."""
        channels, height, width = self.train.images.shape[1:]
        return int(channels), int(height), int(width)

    @property
    def nbytes(self) -> int:
        """Bytes of its images and labels in memory."""
        parts = (self.train, self.validation, self.test)
        return sum(array.nbytes for part in parts for array in part.arrays)

    @property
    def task(self) -> Task:
        """What networks can be trained for with it."""
        return Task.classification if self.train.expected is None else Task.restoration

    @cached_property
    def peak(self) -> float:
        """The greatest expected value of the training images, which decibels are relative to; for
        restoration."""
        assert self.train.expected is not None
        return float(self.train.expected.max())

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 (hexadecimal) of the classes and of every image, label and expected image of the three
        parts."""
        digest = hashlib.sha256(repr(self.classes).encode())
        for part in (self.train, self.validation, self.test):
            digest.update(f"{part.images.dtype.str}{part.images.shape}".encode())
            digest.update(np.ascontiguousarray(part.images).data)
            digest.update(np.ascontiguousarray(part.labels).data)
            if part.expected is not None:
                digest.update(np.ascontiguousarray(part.expected).data)
        return digest.hexdigest()


class DataSource(Component):
    """A source of images. To add one, subclass it and name the class in the entry point group
    ``a4nn.data``."""

    @property
    def task(self) -> Task:
        """What its images are for."""
        return Task.classification

    @abstractmethod
    def load(self) -> ImageData:
        """Load the data set; the same settings always return the same one.

        Raises:
            BadInput: the data cannot be used; the message names the file or value.
        """


def split_parts(
    name: str,
    images: NDArray[Any],
    labels: NDArray[np.int64],
    classes: tuple[str, ...],
    *,
    validation: float,
    test: float,
    seed: int,
    transform: TransformName,
    expected: NDArray[np.float32] | None = None,
) -> ImageData:
    """Shuffle once by seed and split into three parts, stratified by class.

    Args:
        name: name of the data set.
        images: shape (count, channels, height, width).
        labels: shape (count,).
        classes: names in the order of the labels.
        validation, test: fractions of the images, between 0 and 1.
        seed: seed of the shuffle.
        transform: name of the input transform, fitted on the training part.
        expected: what each image is a noisy measurement of, of the shape of the images, for restoration; then
            there may be a single class.

    Raises:
        BadInput: there are fewer than two classes, or a class is too small to be in all three parts.
    """
    if expected is None:
        check_classes(name, labels, classes)
    rng = np.random.default_rng(seed)
    chosen: dict[str, list[NDArray[np.int64]]] = {"train": [], "validation": [], "test": []}
    for label, title in enumerate(classes):
        members = rng.permutation(np.flatnonzero(labels == label))
        n_validation, n_test = (max(1, round(share * len(members))) for share in (validation, test))
        if len(members) <= n_validation + n_test:
            raise BadInput(
                f"data set {name}: class {title!r} has {len(members)} images, "
                "too few for training, validation and test"
            )
        chosen["validation"].append(members[:n_validation])
        chosen["test"].append(members[n_validation : n_validation + n_test])
        chosen["train"].append(members[n_validation + n_test :])
    parts = {}
    for part, lists in chosen.items():
        order = rng.permutation(np.concatenate(lists))
        its = None if expected is None else expected[order]
        parts[part] = Split(images[order], labels[order].astype(np.int64), its)
    return ImageData(
        name=name,
        classes=classes,
        transform=InputTransform.fit(transform, parts["train"].images),
        train=parts["train"],
        validation=parts["validation"],
        test=parts["test"],
    )


def check_classes(name: str, labels: NDArray[np.int64], classes: tuple[str, ...]) -> None:
    """Raise BadInput unless there are at least two classes and each has an image."""
    if len(classes) < 2:
        raise BadInput(
            f"data set {name} has fewer than two classes ({', '.join(classes) or 'none'}); two are needed"
        )
    for label, title in enumerate(classes):
        if not np.any(labels == label):
            raise BadInput(f"data set {name}: class {title!r} has no images")


DATA_SOURCES: Registry[DataSource] = Registry(
    "data set",
    "a4nn.data",
    {
        "digits": "a4nn_core.data.packaged:Digits",
        "mnist5k": "a4nn_core.data.packaged:Mnist5k",
        "folder": "a4nn_core.data.files:ImageFolder",
        "npz": "a4nn_core.data.files:NpzFile",
        "elsewhere": "a4nn_core.data.elsewhere:Elsewhere",
        "xfel": "a4nn_core.data.xfel.source:Xfel",
        "xfel-files": "a4nn_core.data.xfel.reading:XfelFiles",
    },
)
