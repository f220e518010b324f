"""How much a front is expected to grow by networks whose costs are known and whose error is predicted.

The hypervolume that a network adds is an integral over costs: wherever it is affordable, it lowers the least
error that is to be had, or does not. So its expectation needs only the expected lowering of each error
level of the front, which has a closed form (``_lowering``), times the share of the cost space at that level:
exact for one cost, and by quasi-random points for several.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
POINTS = 2048
"""points that stand for a space of several costs"""


@dataclass(frozen=True)
class Region:
    """The part of the objective space in which networks count: at most the reference in every objective.

    Attributes:
        low: least costs that occur, shape (costs,).
        high: greatest costs that count, shape (costs,).
        error: greatest error that counts.
    """

    low: Floats
    high: Floats
    error: float


def expected_growth(
    region: Region,
    front_costs: Floats,
    front_errors: Floats,
    costs: Floats,
    mean: Floats,
    deviation: Floats,
) -> Floats:
    """Expected growth of the hypervolume by each of several networks, each on its own.

    Args:
        region: what counts.
        front_costs: costs of the networks of the front, or of any set of networks, shape (members, costs),
            to be minimised.
        front_errors: their errors, greater than 0, shape (members,).
        costs: costs of the new networks, shape (networks, costs).
        mean: mean of the logarithm of their errors, shape (networks,); it is normally distributed.
        deviation: its standard deviation, shape (networks,).

    Returns:
        expected growth in units of the hypervolume, shape (networks,).
    """
    weights, levels = _levels(region, front_costs, np.minimum(front_errors, region.error), costs)
    return np.asarray(np.sum(weights * _lowering(levels, mean[:, None], deviation[:, None]), axis=1))


def _levels(region: Region, front_costs: Floats, errors: Floats, costs: Floats) -> tuple[Floats, Floats]:
    """How much of the cost space, from each network's costs up, has which least error.

    Returns:
        volumes, shape (networks, levels), and errors, shape (levels,).
    """
    dimensions = costs.shape[1]
    if dimensions == 0:
        return np.ones((len(costs), 1)), np.array([min([region.error, *errors])])
    if dimensions == 1:
        order = np.argsort(front_costs[:, 0], kind="stable")
        starts = np.append(-np.inf, front_costs[order, 0])
        ends = np.append(starts[1:], np.inf)
        levels = np.minimum.accumulate(np.append(region.error, errors[order]))
        widths = np.minimum(ends, region.high[0]) - np.maximum(starts, costs)
        return np.maximum(widths, 0.0), levels
    points = region.low + (region.high - region.low) * _unit_points(dimensions)
    within = np.all(front_costs[:, None, :] <= points, axis=2)
    least = np.min(np.where(within, errors[:, None], region.error), axis=0, initial=region.error)
    levels, place = np.unique(least, return_inverse=True)
    affordable = np.all(costs[:, None, :] <= points, axis=2).astype(float)
    one_hot = (place[:, None] == np.arange(len(levels))).astype(float)
    return affordable @ one_hot * (np.prod(region.high - region.low) / POINTS), levels


def _unit_points(dimensions: int) -> Floats:
    from scipy.stats.qmc import Sobol

    return np.asarray(Sobol(dimensions, scramble=False).random(POINTS))


def _lowering(level: Floats, mean: Floats, deviation: Floats) -> Floats:
    """Expectation of max(level - error, 0), where the logarithm of the error is normally distributed.

    The formula of Black and Scholes for a put option without interest.
    """
    from scipy.special import ndtr

    width = np.maximum(deviation, 1e-9)
    reach = (np.log(level) - mean) / width
    return np.asarray(level * ndtr(reach) - np.exp(mean + width**2 / 2) * ndtr(reach - width))
