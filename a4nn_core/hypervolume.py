"""The hypervolume of a set of networks, in one place for figures, the laboratory and benchmarks."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike


def hypervolume(points: ArrayLike, corner: Sequence[float]) -> float:
    """The volume between points and a corner: of all that some point is at least as good as, and that is at
    least as good as the corner (Zitzler and Thiele, 1998). Every objective is minimised.

    Args:
        points: shape (points, objectives), in any order; those that are beyond the corner count for nothing.
        corner: reference point, shape (objectives,).

    Returns:
        The volume in the product of the objectives' units; 0.0 without points.
    """
    worst = np.asarray(corner, dtype=float)
    given = np.asarray(points, dtype=float).reshape(-1, len(worst))
    inside = given[(given < worst).all(axis=1)]
    if not len(inside):
        return 0.0
    if len(worst) == 1:
        return float(worst[0] - inside.min())
    if len(worst) == 2:  # one sweep will do, and needs no import
        first, second = inside[np.lexsort((inside[:, 1], inside[:, 0]))].T
        widths = np.diff(np.append(first, worst[0]))
        return float((widths * (worst[1] - np.minimum.accumulate(second))).sum())
    from pymoo.indicators.hv import HV

    return float(HV(ref_point=worst)(inside))
