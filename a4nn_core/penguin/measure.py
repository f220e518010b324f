"""What curves measure, and the scale on which their ends are forecast: the logarithm of an error.

An accuracy is a count of errors on so many images; a ratio in decibels is the logarithm of a mean squared
error already. The slopes of ``slopes.py`` and the Gaussian process of ``predictor.py`` know logarithms of
errors alone, so they serve both.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from a4nn_core.precision import Images, standard_error
from a4nn_core.vocabulary import Curves, Task

Array = NDArray[np.float64]

Kind = Literal["as-trained", "averaged", "restored"]
"""Kinds of curves that are learned from apart: of accuracies by which weights were measured
(``vocabulary.Curves``), and of restored images, which are smooth either way."""

SUPPOSED_IMAGES = 1000
"""validation images of a run that did not record their number"""
SUPPOSED_ERROR = 0.2
"""standard error, in decibels, of a run that did not record one"""
_DECIBEL = math.log(10) / 10
"""of the logarithm of a squared error"""


class Measure(ABC):
    """What the values of a curve are; greater ones are better.

    Attributes:
        floor: what the forecast of a network without an epoch is at least, in the unit of the values.
    """

    floor: ClassVar[float]

    @abstractmethod
    def log_error(self, values: ArrayLike) -> Array:
        """Logarithms of the errors that values stand for, any shape."""

    @abstractmethod
    def value(self, log_error: ArrayLike) -> Array:
        """The inverse of ``log_error``."""

    @abstractmethod
    def sampling_variance(self, log_error: ArrayLike) -> Array:
        """Variance of log errors that comes from the images that happen to be in the validation part."""

    @abstractmethod
    def standard_error(self, value: float) -> float:
        """The standard error of a value, in its unit."""

    @property
    @abstractmethod
    def usual(self) -> float:
        """The log error that is expected of a network of a run of which nothing is known."""

    @abstractmethod
    def kind(self, curves: Curves) -> Kind:
        """The kind of its curves.

        Args:
            curves: which weights were measured after the epochs.
        """


@dataclass(frozen=True)
class Accuracy(Measure):
    """Validation accuracies in percent.

    Attributes:
        images: number of validation images, on which errors are counted.
    """

    floor: ClassVar[float] = 0.0
    images: int = SUPPOSED_IMAGES

    @classmethod
    def on(cls, images: int | None) -> Accuracy:
        """Accuracies on so many images; None if their number is not known."""
        return cls(images or SUPPOSED_IMAGES)

    @property
    def usual(self) -> float:
        """See Measure: an accuracy of 95 %."""
        return -3.0

    def kind(self, curves: Curves) -> Kind:
        """See Measure."""
        return curves

    def log_error(self, values: ArrayLike) -> Array:
        """log((errors + 2) / (images + 4))."""
        errors = self.images * (1 - np.asarray(values, dtype=np.float64) / 100)
        return np.asarray(np.log((np.maximum(errors, 0.0) + 2) / (self.images + 4)))

    def value(self, log_error: ArrayLike) -> Array:
        """See Measure; within 0 to 100."""
        share = (np.exp(np.asarray(log_error, dtype=np.float64)) * (self.images + 4) - 2) / self.images
        return np.asarray(100 * (1 - np.clip(share, 0.0, 1.0)))

    def sampling_variance(self, log_error: ArrayLike) -> Array:
        """See Measure: of counts."""
        return np.asarray(1 / np.maximum(np.exp(np.asarray(log_error)) * (self.images + 4) - 1, 1.0))

    def standard_error(self, value: float) -> float:
        """See Measure; in percentage points."""
        return standard_error(value, self.images) or 1.0


@dataclass(frozen=True)
class Decibels(Measure):
    """Peak signal-to-noise ratios in decibels, mean over the validation images.

    Attributes:
        error: standard error of such a mean, by the spread over images. That is about the same for all
            networks, as it comes from the images: some are harder to restore than others.
        expected: what a network is expected to reach before any is known: what the images can be restored to
            without one.
    """

    floor: ClassVar[float] = -math.inf
    error: float = SUPPOSED_ERROR
    expected: float = 20.0

    @property
    def usual(self) -> float:
        """See Measure."""
        return float(self.log_error(self.expected))

    def kind(self, curves: Curves) -> Kind:  # noqa: ARG002
        """See Measure."""
        return "restored"

    def log_error(self, values: ArrayLike) -> Array:
        """The logarithm of the mean squared error, where the peak is 1."""
        return np.asarray(-_DECIBEL * np.asarray(values, dtype=np.float64))

    def value(self, log_error: ArrayLike) -> Array:
        """See Measure."""
        return np.asarray(-np.asarray(log_error, dtype=np.float64) / _DECIBEL)

    def sampling_variance(self, log_error: ArrayLike) -> Array:
        """See Measure: the same everywhere."""
        return np.full(np.shape(log_error), (_DECIBEL * self.error) ** 2)

    def standard_error(self, value: float) -> float:  # noqa: ARG002
        """See Measure; in decibels."""
        return self.error


SUPPOSED = Accuracy()
"""of a run that recorded nothing of its data"""


def measure_of(details: object) -> Measure:
    """What the curves of a run measure.

    Args:
        details: what it recorded of its data set (``dataset`` of its header, ``Run.details``): the number of
            validation images, and of images to be restored what they can be restored to without a network.
    """
    if not isinstance(details, Mapping) or details.get("task") != Task.restoration:
        return Accuracy.on(Images.of(details).validation)
    reached = list(_without_networks(details.get("baselines")))
    if not reached:
        return Decibels()
    expected, error = max(reached)
    return Decibels(error, expected)


def _without_networks(baselines: object) -> Iterator[tuple[float, float]]:
    """The ratio that each baseline reaches in validation, and its standard error, in decibels."""
    for one in baselines if isinstance(baselines, Sequence) else ():
        validation = one.get("validation") if isinstance(one, Mapping) else None
        if isinstance(validation, Mapping):
            ratio, error = validation.get("psnr_db"), validation.get("psnr_se_db")
            if isinstance(ratio, int | float) and math.isfinite(ratio):
                if not isinstance(error, int | float) or not 0 < error < math.inf:
                    error = SUPPOSED_ERROR
                yield float(ratio), float(error)
