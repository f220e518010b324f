"""The published engine, exactly: the fit of TauferLab/A4NN_workflow (commit 4c5ef15),
``penguin/penguino.py``.

It calls ``scipy.optimize.curve_fit`` with bounds and without starting values: SciPy then takes its
trust-region reflective method from the middle of the box, or one above the lower bound where there is no
upper one. Its predictions depend on the path of that method, so that an exact optimum of the same problem
often differs.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from a4nn_core.penguin.fit import Fit
from a4nn_core.penguin.functions import ParametricFunction

_SENTENCES = {
    "converged": "SciPy's curve_fit ended within its evaluations.",
    "evaluation_limit": "SciPy's curve_fit used up its evaluations; as published there is no prediction.",
    "too_few_points": "There are fewer points than parameters; nothing was fitted.",
    "undefined": "The function has no finite value at SciPy's starting point; nothing was fitted.",
    "not_finite": "A value of the curve is NaN or infinite; nothing was fitted.",
}


def fit_scipy(function: ParametricFunction, x: ArrayLike, y: ArrayLike) -> Fit:
    """The published fit: ``curve_fit(f, x, y, bounds=bounds)``.

    Args:
        function: its bounds are used, its starts are not.
        x, y: points of the curve, shape (points,).

    Returns:
        A fit without parameters where ``curve_fit`` gives up, where points are too few or a value is not
        finite (the published code meets no such value).
    """
    from scipy.optimize import curve_fit

    xs, ys = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    if not (np.isfinite(xs).all() and np.isfinite(ys).all()):
        return _nothing("not_finite", 0.0)
    if len(xs) < len(function.parameters):
        return _nothing("too_few_points", 0.0)
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
        return _nothing("evaluation_limit", 1e6 * (time.perf_counter() - start))
    except ValueError:  # no finite residual at the start
        return _nothing("undefined", 1e6 * (time.perf_counter() - start))
    microseconds = 1e6 * (time.perf_counter() - start)
    residual = model(xs, *values) - ys
    names = [p.name for p in function.parameters]
    return Fit(
        "converged",
        _SENTENCES["converged"],
        dict(zip(names, map(float, values), strict=True)),
        float(np.sqrt(np.mean(residual**2))),
        int(info["nfev"]),
        microseconds,
    )


def predict_icpp23(
    function: ParametricFunction, curve: Sequence[float], horizon: int, minimum: int = 4
) -> float:
    """The published prediction after the last epoch of a curve; infinite where it has none.

    x runs from 0 while the prediction is f(horizon), one epoch beyond the last: as published.
    """
    if len(curve) < minimum:
        return float("inf")
    done = fit_scipy(function, np.arange(len(curve)), curve)
    return value_at(function, done.parameters, horizon) if done.parameters else float("inf")


def value_at(function: ParametricFunction, parameters: Mapping[str, float], x: float) -> float:
    """The fitted function at one point."""
    return float(function.evaluate(parameters, x)[0])


def _nothing(status: str, microseconds: float) -> Fit:
    return Fit(status, _SENTENCES[status], {}, float("nan"), 0, microseconds)


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
