"""The fit of the published engine, exactly: that of TauferLab/A4NN_workflow (commit 4c5ef15),
``penguin/penguino.py``.

It calls ``scipy.optimize.curve_fit`` with bounds and without starting values: SciPy then takes its
trust-region reflective method from the middle of the box, or one above the lower bound where there is no
upper one. Its predictions depend on the path of that method, so that an exact optimum of the same problem
often differs.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from a4nn_core.penguin.functions import ParametricFunction
from a4nn_core.penguin.outcome import Fit
from a4nn_core.penguin.status import Status


def fit_published(function: ParametricFunction, x: ArrayLike, y: ArrayLike) -> Fit:
    """The published fit: ``curve_fit(f, x, y, bounds=bounds)``.

    Args:
        function: its bounds are used, its starts are not.
        x, y: points of the curve, shape (points,).

    Returns:
        A fit without parameters where ``curve_fit`` gives up, where points are too few, or where a value is
        not finite (the published code meets no such value).
    """
    from scipy.optimize import curve_fit

    xs, ys = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    if not (np.isfinite(xs).all() and np.isfinite(ys).all()):
        return Fit(Status.not_finite)
    if len(xs) < len(function.parameters):
        return Fit(Status.too_few_points)
    model = _published_default if function.name == "default" else _callable(function)
    bounds = ([p.lower for p in function.parameters], [p.upper for p in function.parameters])
    start = time.perf_counter()
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            values, _, info, _, _ = curve_fit(
                model, xs, ys, p0=_start(function), bounds=bounds, method="trf", full_output=True
            )
    except RuntimeError:
        return Fit(Status.evaluation_limit, microseconds=1e6 * (time.perf_counter() - start))
    except ValueError:  # no finite residual at the start
        return Fit(Status.undefined, microseconds=1e6 * (time.perf_counter() - start))
    microseconds = 1e6 * (time.perf_counter() - start)
    residual = model(xs, *values) - ys
    names = [p.name for p in function.parameters]
    return Fit(
        Status.converged,
        dict(zip(names, map(float, values), strict=True)),
        float(np.sqrt(np.mean(residual**2))),
        int(info["nfev"]),
        microseconds,
    )


def _published_default(x: NDArray[np.float64], a: float, b: float, c: float) -> NDArray[np.float64]:
    # written as published: the last bits of the value steer SciPy's path
    out: NDArray[np.float64] = a - b ** (c - x)
    return out


def _start(function: ParametricFunction) -> list[float]:
    """Where ``curve_fit`` starts when it is given bounds and no start."""
    out = []
    for p in function.parameters:
        if np.isfinite(p.lower):
            out.append(0.5 * (p.lower + p.upper) if np.isfinite(p.upper) else p.lower + 1.0)
        else:
            out.append(p.upper - 1.0 if np.isfinite(p.upper) else 1.0)
    return out


def _callable(function: ParametricFunction) -> Callable[..., NDArray[np.float64]]:
    names = [p.name for p in function.parameters]
    return lambda x, *values: function.evaluate(dict(zip(names, values, strict=True)), x)
