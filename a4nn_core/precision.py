"""How precisely an accuracy is known that was counted on so many images."""

from __future__ import annotations

from math import sqrt


def standard_error(accuracy_percent: float, images: int) -> float:
    """Standard error of an accuracy, in points."""
    share = (images * (1 - accuracy_percent / 100) + 2) / (images + 4)
    return 100 * sqrt(share * (1 - share) / images)
