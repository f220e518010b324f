"""Several functions at once: each fitted, each carried on to the horizon; their median, and an interval.

The interval is for learning rates that stay as they are: it does not expect a late rise. It has no scale of
its own, so that it serves a metric without bounds: its ends are sums of quantities in the metric's unit, with
coefficients (quantiles, 3 and 97 %) fitted to curves trained with constant learning rates by
``benchmarks/prediction.py``. On a problem left out of the fit, its coverage is near 90 %.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from a4nn_core.penguin.batch import FitTable
from a4nn_core.vocabulary import Bounds

# of the three terms of `uncertainty`; printed by `python benchmarks/prediction.py --data FOLDER --fit`
BELOW = (-1.3, -0.299, -0.058)
ABOVE = (0.0, 0.912, 0.352)


def extrapolate(fits: FitTable, curve: int, horizon: int) -> NDArray[np.float64]:
    """Every function's value at the last epoch, shape (functions,); NaN where nothing was fitted.

    Args:
        fits: the fits of several functions to several curves.
        curve: index of the curve, a row of the table.
        horizon: the last epoch, counted from 1.
    """
    out = np.full(len(fits.functions), np.nan)
    for column, f in enumerate(fits.functions):
        if np.isnan(fits.residual_rms[curve, column]):
            continue
        values = fits.parameters[curve, column, : len(f.parameters)]
        out[column] = f.compiled.evaluate(values.tolist(), [float(f.first + horizon - 1)])[0]
    return out


def within(values: NDArray[np.float64], bounds: Bounds) -> NDArray[np.float64]:
    """The values that are finite and within the bounds."""
    low, high = bounds
    kept = values[np.isfinite(values)]
    return kept[(kept >= (-np.inf if low is None else low)) & (kept <= (np.inf if high is None else high))]


def uncertainty(
    values: Sequence[float], predictions: NDArray[np.float64], middle: float, horizon: int
) -> tuple[float, float, float]:
    """What the interval is made of, in the metric's unit, for a metric whose greater values are better.

    How far one epoch in five of the newer half fell below the best value of its time; the rise of the best
    value since half of the epochs, times log(horizon / epochs); how far the more optimistic functions (90 %)
    lie above the middle.

    Args:
        values: the curve, one value per epoch, from epoch 1.
        predictions: values that the functions predict, within the bounds; may be empty.
        middle: the predicted value.
        horizon: the last epoch, counted from 1.
    """
    up = np.asarray(values, dtype=np.float64)
    epochs = len(up)
    best = np.maximum.accumulate(up)
    fallen = float(np.quantile((best - up)[epochs // 2 :], 0.8))
    rise = float(best[-1] - best[max(1, epochs // 2) - 1]) * math.log(horizon / epochs)
    optimistic = max(float(np.quantile(predictions, 0.9)) - middle, 0.0) if len(predictions) else 0.0
    return fallen, rise, optimistic


def interval(terms: tuple[float, ...], middle: float, bounds: Bounds) -> tuple[float, float]:
    """The 90 % interval about the middle, within the bounds."""
    low = middle + min(float(np.dot(BELOW, terms)), 0.0)
    high = middle + max(float(np.dot(ABOVE, terms)), 0.0)
    return (
        low if bounds[0] is None else max(low, bounds[0]),
        high if bounds[1] is None else min(high, bounds[1]),
    )
