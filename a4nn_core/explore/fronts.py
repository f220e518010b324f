"""The front of many networks by two measures, and which of its members to choose from."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from a4nn_core.metrics import nondominated
from a4nn_core.precision import Rated, cheaper_alike

_SAMPLE = 2_000


def front_of(points: NDArray[np.float64]) -> NDArray[np.int64]:
    """Places of the points that no other dominates, both values being minimised, by the first value.

    What the front of a sample dominates is left out first, so that a million points take a tenth of a second.

    Args:
        points: shape (points, 2), without NaN.
    """
    left = np.arange(len(points))
    if len(points) > 2 * _SAMPLE:
        some = points[:: len(points) // _SAMPLE]
        some = some[nondominated(some)]
        some = some[np.argsort(some[:, 0])]
        least = np.append(np.inf, np.minimum.accumulate(some[:, 1]))
        left = np.flatnonzero(points[:, 1] <= least[np.searchsorted(some[:, 0], points[:, 0], side="right")])
    found = left[nondominated(points[left])]
    order: NDArray[np.int64] = found[np.lexsort(points[found].T[::-1])]
    return order


@dataclass(frozen=True)
class Member:
    """A network on the front.

    Attributes:
        key: of the network.
        x, y: its values on both axes.
        error: standard error of the accuracy among them, in points; None if it is not known.
        alike: key of the cheapest member that costs less and cannot be told apart by accuracy; None if there
            is none.
        distance: from the wish, in ranges of the front.
    """

    key: int
    x: float
    y: float
    error: float | None
    alike: int | None = None
    distance: float = 0.0


def told_apart(
    members: Sequence[Member], costs: Sequence[float], accuracies: Sequence[float]
) -> dict[int, int | None]:
    """For each member, by key, the cheapest one that costs less and cannot be told apart; see
    ``precision.cheaper_alike``.

    Args:
        members: of the front.
        costs: of each, less being better.
        accuracies: of each, in percent.
    """
    rank = {cost: place for place, cost in enumerate(sorted(set(costs)))}
    rated = [
        Rated(one.key, rank[cost], accuracy, one.error)
        for one, cost, accuracy in zip(members, costs, accuracies, strict=True)
    ]
    return cheaper_alike(rated)


def distances(points: NDArray[np.float64], wish: tuple[float | None, float | None]) -> NDArray[np.float64]:
    """How far each member of a front is from a wish, each axis in ranges of the front.

    Args:
        points: shape (members, 2), as drawn, both values being minimised.
        wish: the values one would like best; None for the least that a member has. What is better than the
            wish is as near as the wish.
    """
    low, high = points.min(axis=0), points.max(axis=0)
    wanted = [least if one is None else one for one, least in zip(wish, low, strict=True)]
    wide = np.where(high > low, high - low, 1.0)
    short = np.maximum(points - np.array(wanted), 0.0) / wide
    found: NDArray[np.float64] = np.hypot(short[:, 0], short[:, 1])
    return found


def nice_log(low: float, high: float) -> bool:
    """Whether values are drawn by their logarithms: all are positive, and differ by orders of magnitude."""
    return low > 0 and math.isfinite(high) and high / low > 30
