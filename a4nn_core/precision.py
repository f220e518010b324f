"""How exact an accuracy is that was measured on so many images, and which accuracies that leaves alike.

Of n images drawn at random, the wrongly classified ones are binomial, so their share p has the standard error
sqrt(p (1 - p) / n). For p stands the measured share drawn towards one half by two errors and two hits, as in
the interval of Agresti and Coull ("Approximate is better than 'exact' for interval estimation of binomial
proportions", The American Statistician 52, 1998): without it, a network that made no error on 50 images would
be taken for perfect.

It says how much other images of the same kind would have moved the number. It knows nothing of another seed,
nor that a validation accuracy is the best of many epochs and networks and so too high.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

STANDARD_ERRORS = 1.96  # on either side of nothing lie 95 % of the differences of two equal accuracies


def standard_error(accuracy_percent: float | None, images: int | None) -> float | None:
    """The standard error of an accuracy, in points.

    Args:
        accuracy_percent: share of the images that were classified correctly.
        images: how many there were.

    Returns:
        None if either is not known, or the number is not a share.
    """
    if accuracy_percent is None or not images or images < 0 or not 0 <= accuracy_percent <= 100:
        return None
    errors = images * (1 - accuracy_percent / 100)
    share = (errors + 2) / (images + 4)
    return 100 * math.sqrt(share * (1 - share) / images)


def alike(first: float, first_se: float, second: float, second_se: float) -> bool:
    """Whether two accuracies are too close to say which network is better.

    They are if they differ by less than 1.96 times the standard error of their difference. That treats the
    two as independent, which is careful: they saw the same images and err together on the hard ones, so that
    their difference is more exact than this. Two that are alike here may still be told apart image by image.
    """
    return abs(first - second) < STANDARD_ERRORS * math.hypot(first_se, second_se)


@dataclass(frozen=True, slots=True)
class Rated:
    """What is compared of a network. What is not known is None.

    Attributes:
        network: its number.
        flops: multiply-adds for one image.
        accuracy_percent, accuracy_se_points: its accuracy and the standard error of that.
    """

    network: int
    flops: int | None
    accuracy_percent: float | None
    accuracy_se_points: float | None


def cheaper_alike(members: Sequence[Rated]) -> dict[int, int | None]:
    """For each member of a front, the cheapest one that costs less and cannot be told from it by accuracy.

    Returns:
        network to network; None where every cheaper one is worse, or nothing can be said.
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


@dataclass(frozen=True)
class Images:
    """How many images accuracies of a run were measured on; None where it did not record that.

    Attributes:
        validation, test: images of the part.
    """

    validation: int | None = None
    test: int | None = None

    @classmethod
    def of(cls, details: object) -> Images:
        """From what a run says of its data set.

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
