"""How precise an accuracy measured on n images is, and which accuracies are therefore not distinguishable.

Among n images drawn at random, the number of wrongly classified ones is binomial, so their share p has the
standard error sqrt(p (1 - p) / n). p is estimated as the measured share drawn towards one half by two added
errors and two added hits, as in the interval of Agresti and Coull ("Approximate is better than 'exact' for
interval estimation of binomial proportions", The American Statistician 52, 1998): without that, a network
that made no error on 50 images would be taken for perfect.

The standard error says how much the number would vary with other images of the same kind. It does not cover
the variation between seeds, nor the bias of a validation accuracy that is the best of many epochs and
networks.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

STANDARD_ERRORS = 1.96  # 95 % of the differences between two equal accuracies lie within so many of zero


def standard_error(accuracy_percent: float | None, images: int | None) -> float | None:
    """The standard error of an accuracy, in percentage points.

    Args:
        accuracy_percent: share of the images that were classified correctly, in percent.
        images: how many images it was measured on.

    Returns:
        None if either is not known, or the accuracy is not between 0 and 100.
    """
    if accuracy_percent is None or not images or images < 0 or not 0 <= accuracy_percent <= 100:
        return None
    errors = images * (1 - accuracy_percent / 100)
    share = (errors + 2) / (images + 4)
    return 100 * math.sqrt(share * (1 - share) / images)


def alike(first: float, first_se: float, second: float, second_se: float) -> bool:
    """Whether two accuracies are too close to say which network is better.

    They are if they differ by less than 1.96 times the standard error of their difference. That treats the
    two as independent, which is conservative: both networks saw the same images and tend to fail on the same
    hard ones, so their difference is more precise than this. A comparison image by image may still
    distinguish two that are alike here.
    """
    return abs(first - second) < STANDARD_ERRORS * math.hypot(first_se, second_se)


@dataclass(frozen=True, slots=True)
class Rated:
    """Cost and accuracy of a network. What is not known is None.

    Attributes:
        network: number of the network.
        flops: multiply-adds for one image.
        accuracy_percent: accuracy in percent.
        accuracy_se_points: standard error of the accuracy, in percentage points.
    """

    network: int
    flops: int | None
    accuracy_percent: float | None
    accuracy_se_points: float | None


def cheaper_alike(members: Sequence[Rated]) -> dict[int, int | None]:
    """For each member of a front, the cheapest one that costs less and is not distinguishable by accuracy.

    Returns:
        network number to network number; None where every cheaper one is worse, or too little is known.
    """
    known = sorted(
        (m.flops, m.network, m.accuracy_percent, m.accuracy_se_points)
        for m in members
        if m.flops is not None and m.accuracy_percent is not None and m.accuracy_se_points is not None
    )
    found: dict[int, int | None] = {m.network: None for m in members}
    for flops, network, accuracy, error in known:
        cheaper = ((n, a, e) for f, n, a, e in known if f < flops)
        found[network] = next((n for n, a, e in cheaper if alike(accuracy, error, a, e)), None)
    return found


def plus_minus(accuracy_percent: float, se_points: float | None) -> str:
    """An accuracy for people, such as ``95.83 ± 0.63``; without a standard error just the number."""
    return f"{accuracy_percent:.2f}" + (f" ± {se_points:.2f}" if se_points is not None else "")


def in_percent(accuracy_percent: float | None, se_points: float | None) -> str:
    """The same with its unit, ``95.83 ± 0.63 %``; a dash if there is no accuracy."""
    return "-" if accuracy_percent is None else f"{plus_minus(accuracy_percent, se_points)} %"


PERCENT, DECIBELS = "%", "dB"


@dataclass(frozen=True, slots=True)
class Score:
    """How good a network is, for people.

    Attributes:
        value: accuracy in percent, or peak signal-to-noise ratio in decibels; None if there is none.
        error: its standard error, in percentage points or decibels; None if it is not known.
        unit: ``%`` or ``dB``.
    """

    value: float | None
    error: float | None = None
    unit: str = PERCENT

    def __str__(self) -> str:
        """Such as ``95.83 ± 0.63 %``; a dash if there is none."""
        return "-" if self.value is None else f"{plus_minus(self.value, self.error)} {self.unit}"


@dataclass(frozen=True)
class Images:
    """How many images the accuracies of a run were measured on; None where that was not recorded.

    Attributes:
        validation: number of validation images.
        test: number of test images.
    """

    validation: int | None = None
    test: int | None = None

    @classmethod
    def of(cls, details: object) -> Images:
        """The numbers that a run recorded about its data set.

        Args:
            details: ``dataset`` of its header, or ``runs.dataset_details``: a mapping, or JSON; anything else
                has no counts.
        """
        if isinstance(details, str):
            try:
                details = json.loads(details)
            except ValueError:
                return cls()
        if not isinstance(details, Mapping):
            return cls()
        return cls(*(_count(details.get(part)) for part in ("validation", "test")))

    def __str__(self) -> str:
        """Such as ``269 validation and 269 test images``; empty if nothing is known."""
        parts = [f"{n:,} {part}" for part in ("validation", "test") if (n := getattr(self, part))]
        return f"{' and '.join(parts)} images" if parts else ""

    def validation_error(self, accuracy_percent: float | None) -> float | None:
        """The standard error of a validation accuracy, in points."""
        return standard_error(accuracy_percent, self.validation)

    def test_error(self, accuracy_percent: float | None) -> float | None:
        """The standard error of a test accuracy, in points."""
        return standard_error(accuracy_percent, self.test)


def _count(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else None
