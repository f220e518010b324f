"""What a network's answers to labelled images say beside its accuracy: confusion, balance, calibration. And
how near the images that it restores come to the expected ones.

The answers are shares, the softmax of the class scores. The confidence of an answer is the share of the class
that it names.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from a4nn_core.jsonable import Json, members, number

BINS = 15
"""bins of equal width between confidences 0 and 1 for the calibration error, as in Guo et al. (2017)"""


@dataclass(frozen=True, slots=True)
class Assessment:
    """How a network answered to labelled images.

    Attributes:
        confusion: numbers of images: a row for each true class, in it a column for each named class.
        calibration_error_points: expected calibration error in percentage points: the mean over the images of
            the distance between confidence and accuracy in their bin of confidence (Guo et al. 2017, "On
            calibration of modern neural networks", arXiv 1706.04599).
        brier_score: mean over the images of the squared distance between the shares and the truth, from 0 to
            2 (Brier 1950, "Verification of forecasts expressed in terms of probability", Monthly Weather
            Review 78).
        missing_panel_accuracy_percent: accuracy on the same images if each lacks a panel of the detector, in
            percent; None if that was not measured.
    """

    confusion: tuple[tuple[int, ...], ...]
    calibration_error_points: float
    brier_score: float
    missing_panel_accuracy_percent: float | None = None

    @property
    def images(self) -> int:
        """Number of images."""
        return sum(map(sum, self.confusion))

    @property
    def accuracy_percent(self) -> float:
        """Share of the images whose class was named, in percent."""
        return 100 * sum(row[truth] for truth, row in enumerate(self.confusion)) / self.images

    @property
    def recalls_percent(self) -> list[float | None]:
        """Share of the images of each class whose class was named, in percent; None for a class without
        images."""
        return [
            100 * row[truth] / count if (count := sum(row)) else None
            for truth, row in enumerate(self.confusion)
        ]

    @property
    def balanced_accuracy_percent(self) -> float:
        """Mean of the recalls, each class counting alike however many images it has, in percent."""
        known = [recall for recall in self.recalls_percent if recall is not None]
        return sum(known) / len(known)

    def to_json(self) -> dict[str, Json]:
        """The assessment as JSON values; ``from_json`` returns an equal one."""
        return {
            "confusion": [list(row) for row in self.confusion],
            "calibration_error_points": self.calibration_error_points,
            "brier_score": self.brier_score,
            **(
                {"missing_panel_accuracy_percent": self.missing_panel_accuracy_percent}
                if self.missing_panel_accuracy_percent is not None
                else {}
            ),
        }

    @classmethod
    def from_json(cls, value: Json) -> Assessment | None:
        """The assessment that ``to_json`` wrote; None of anything else."""
        found: Any = members(value)
        try:
            confusion = tuple(tuple(int(count) for count in row) for row in found["confusion"])
            return cls(
                confusion,
                float(found["calibration_error_points"]),
                float(found["brier_score"]),
                number(found.get("missing_panel_accuracy_percent")),
            )
        except (KeyError, TypeError, ValueError):
            return None


def assess(shares: NDArray[np.float64], named: NDArray[np.int64], labels: NDArray[np.int64]) -> Assessment:
    """Assess a network's answers.

    Args:
        shares: softmax of the class scores, shape (images, classes).
        named: class that the network names for each image, shape (images,): that with the greatest share;
            the caller says which it took where two are equal.
        labels: true class of each image, shape (images,).
    """
    images, classes = shares.shape
    everyone = np.arange(images)
    confusion = np.bincount(labels * classes + named, minlength=classes**2).reshape(classes, classes)
    confidence = shares[everyone, named]
    # the upper end of a bin belongs to it
    bins = np.clip(np.ceil(confidence * BINS).astype(np.int64) - 1, 0, BINS - 1)
    gaps = np.bincount(bins, weights=confidence - (named == labels), minlength=BINS)
    truth = shares[everyone, labels]
    squares = (shares**2).sum(axis=1) - 2 * truth + 1  # of shares minus 1 at the truth and 0 elsewhere
    return Assessment(
        confusion=tuple(tuple(row) for row in confusion.tolist()),
        calibration_error_points=float(100 * np.abs(gaps).sum() / images),
        brier_score=float(squares.mean()),
    )


@dataclass(frozen=True, slots=True)
class Fidelity:
    """How near restored images come to the expected ones, mean over the images.

    Attributes:
        psnr_db: peak signal-to-noise ratio in decibels.
        psnr_se_db: its standard error: standard deviation over the images by the square root of their number;
            None of a single image.
        poisson_deviance: Poisson deviance of an image, summed over its pixels (``training/goals.py``).
    """

    psnr_db: float
    psnr_se_db: float | None
    poisson_deviance: float

    @classmethod
    def of(cls, decibels: NDArray[np.float64], deviances: NDArray[np.float64]) -> Fidelity:
        """The means of single images, shape (images,) each."""
        count = len(decibels)
        error = float(decibels.std(ddof=1) / count**0.5) if count > 1 else None
        return cls(float(decibels.mean()), error, float(deviances.mean()))
