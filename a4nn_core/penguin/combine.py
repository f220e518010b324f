"""Several functions at once: each fitted, each carried on to the horizon, and their median."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from a4nn_core.penguin.batch import FitTable


def extrapolate(fits: FitTable, curve: int, horizon: int) -> NDArray[np.float64]:
    """Every function's value at the last epoch, shape (functions,); NaN where nothing was fitted.

    Args:
        fits: of some functions to some curves.
        curve: row of the table.
        horizon: the last epoch, counted from 1.
    """
    out = np.full(len(fits.functions), np.nan)
    for column, f in enumerate(fits.functions):
        if np.isnan(fits.residual_rms[curve, column]):
            continue
        values = fits.parameters[curve, column, : len(f.parameters)]
        out[column] = f.compiled.evaluate(values.tolist(), [float(f.first + horizon - 1)])[0]
    return out


def median_of(values: NDArray[np.float64], bounds: tuple[float | None, float | None]) -> float | None:
    """The median of the values that are finite and within the bounds, None if there is none."""
    low, high = bounds
    kept = values[np.isfinite(values)]
    kept = kept[(kept >= (-np.inf if low is None else low)) & (kept <= (np.inf if high is None else high))]
    return float(np.median(kept)) if len(kept) else None
