"""The reference fitter: NumPy and SciPy alone, with the interface of the compiled one.

It searches all parameters at once, from many starts, and so shares nothing with the compiled fitter that
could be wrong in both: the tests hold the two against each other. It also fits Python callables, which cannot
be compiled.
"""

from __future__ import annotations

import time
from itertools import product
from math import prod

import numpy as np
from numpy.typing import ArrayLike, NDArray

from a4nn_core.penguin.functions import Parameter, ParametricFunction
from a4nn_core.penguin.outcome import Fit, Loss, check_settings
from a4nn_core.penguin.status import Status

STARTS = 8  # how many of them begin a search
GRID = 2000  # most starts that are compared


def fit_scipy_multistart(
    function: ParametricFunction,
    x: ArrayLike,
    y: ArrayLike,
    *,
    weights: ArrayLike | None = None,
    loss: Loss = "squares",
    scale: float = 1.0,
    max_evaluations: int = 2000,
) -> Fit:
    """Least squares within the function's bounds, as ``a4nn_core.penguin.fit.fit``, whose arguments it takes.

    SciPy's trust-region reflective method (Branch, Coleman and Li 1999) from the best of a grid of starts.
    Derivatives are exact where the function is an expression, finite differences where it is a Python
    callable. Comparing the starts does not count as evaluations.
    """
    from scipy.optimize import least_squares

    xs, ys = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    root = np.sqrt(check_settings(function, xs, ys, weights, loss, scale, max_evaluations))
    begin = time.perf_counter()
    if not (np.isfinite(xs).all() and np.isfinite(ys).all()):
        return Fit(Status.not_finite)
    if len(xs) < max(1, len(function.parameters)):
        return Fit(Status.too_few_points)
    low = np.array([p.lower for p in function.parameters])
    high = np.array([p.upper for p in function.parameters])
    outside = 1e3 * (1.0 + np.abs(ys).max())  # the residual where the function has no value

    def residual(values: NDArray[np.float64]) -> NDArray[np.float64]:
        r = root * (_values(function, values, xs) - ys)
        return np.where(np.isfinite(r), r, outside)

    def jacobian(values: NDArray[np.float64]) -> NDArray[np.float64]:
        found = root[:, None] * function.compiled.jacobian(list(values), xs)
        return np.where(np.isfinite(found), found, 0.0)

    with np.errstate(all="ignore"):
        starts = _best_starts(function, xs, ys, root)
        if not starts:
            return Fit(Status.undefined)
        best, used = None, 0
        for start in starts:
            if used >= max_evaluations:
                break
            done = least_squares(
                residual,
                _inside(start, low, high),
                jac=jacobian if function.python is None else "2-point",
                bounds=(low, high),
                x_scale="jac",
                loss="linear" if loss == "squares" else loss,
                f_scale=scale,
                max_nfev=max_evaluations - used,
            )
            used += int(done.nfev)
            if best is None or done.cost < best.cost:
                best = done
        assert best is not None
        left = (_values(function, best.x, xs) - ys)[root > 0]
    status = (
        Status.evaluation_limit
        if best.status == 0
        else Status.at_bound
        if best.active_mask.any()
        else Status.converged
    )
    return Fit(
        status,
        dict(zip((p.name for p in function.parameters), map(float, best.x), strict=True)),
        float(np.sqrt(np.mean(left**2))) if left.size else 0.0,
        used,
        1e6 * (time.perf_counter() - begin),
    )


def _values(
    function: ParametricFunction, values: NDArray[np.float64], x: NDArray[np.float64]
) -> NDArray[np.float64]:
    return function.evaluate(
        {p.name: v for p, v in zip(function.parameters, values.tolist(), strict=True)}, x
    )


def _best_starts(
    function: ParametricFunction, x: NDArray[np.float64], y: NDArray[np.float64], root: NDArray[np.float64]
) -> list[NDArray[np.float64]]:
    """The starts with the least residuals among those where the function has values, best first."""
    choices = [_starts(p, y) for p in function.parameters]
    if prod(map(len, choices)) <= GRID:
        grid = [np.array(start) for start in product(*choices)]
    else:
        rng = np.random.default_rng(0)
        grid = [np.array([rng.choice(c) for c in choices]) for _ in range(GRID)]
    costs = np.array([np.sum((root * (_values(function, start, x) - y)) ** 2) for start in grid])
    order = np.argsort(costs, kind="stable")  # NaN and infinity last
    return [grid[i] for i in order[:STARTS] if np.isfinite(costs[i])]


def _starts(p: Parameter, y: NDArray[np.float64]) -> list[float]:
    """Where a search of one parameter begins: as declared, else spread over its bounds or the curve."""
    if p.starts:
        return list(p.starts)
    if np.isfinite(p.lower) and np.isfinite(p.upper):
        return [p.lower + (p.upper - p.lower) * share for share in (0.05, 0.25, 0.5, 0.75, 0.95)]
    if np.isfinite(p.lower) or np.isfinite(p.upper):
        side = 1.0 if np.isfinite(p.lower) else -1.0
        return [
            (p.lower if side > 0 else p.upper) + side * step for step in (0.01, 0.1, 0.5, 2.0, 10.0, 50.0)
        ]
    drop = max(float(np.ptp(y)), 1.0)
    return [-drop, -0.3, 0.3, drop, float(y[-1])]


def _inside(
    start: NDArray[np.float64], low: NDArray[np.float64], high: NDArray[np.float64]
) -> NDArray[np.float64]:
    """The start, a little within the bounds: the method begins only there."""
    width = np.where(np.isfinite(high - low), high - low, 1.0)
    return np.clip(start, low + 1e-9 * width, high - 1e-9 * width)
