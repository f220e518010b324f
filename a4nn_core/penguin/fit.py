"""Fits of parametric functions to learning curves: one call, an outcome for every input."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from a4nn_core.errors import BadInput
from a4nn_core.penguin import _lm
from a4nn_core.penguin.functions import ParametricFunction
from a4nn_core.penguin.outcome import COMPILED_STATUSES, Fit, Loss

__all__ = ["Fit", "Loss", "fit"]


def fit(
    function: ParametricFunction,
    x: ArrayLike,
    y: ArrayLike,
    *,
    weights: ArrayLike | None = None,
    loss: Loss = "squares",
    scale: float = 1.0,
    max_evaluations: int = 2000,
) -> Fit:
    """Least squares within the function's bounds.

    Linear parameters are eliminated (variable projection, Golub and Pereyra 1973); the others are searched
    from the function's starts by bounded Levenberg-Marquardt. The interpreter lock is released meanwhile. A
    function that is a Python callable is fitted by SciPy (``a4nn_core.penguin.scipy_fit``).

    Args:
        function: what to fit.
        x, y: points of the curve, shape (points,).
        weights: weights of the squared residuals, shape (points,), not negative.
        loss: ``huber`` and ``soft_l1`` bend at ``scale``, as in ``scipy.optimize.least_squares``.
        scale: residual at which a robust loss bends, in the unit of y.
        max_evaluations: hard cap on evaluations of the function at all points.

    Raises:
        BadInput: shapes that differ, or a setting out of range.
    """
    if function.python is not None:
        from a4nn_core.penguin.scipy_fit import fit_scipy_multistart

        return fit_scipy_multistart(
            function, x, y, weights=weights, loss=loss, scale=scale, max_evaluations=max_evaluations
        )
    try:
        number, values, rms, evaluations, microseconds = _lm.fit(
            function.fitted,
            np.asarray(x, dtype=np.float64),
            np.asarray(y, dtype=np.float64),
            np.empty(0) if weights is None else np.asarray(weights, dtype=np.float64),
            loss,
            scale,
            max_evaluations,
        )
    except (ValueError, TypeError) as error:
        raise BadInput(f"function {function.name!r} cannot be fitted: {error}") from None
    if values and function.rewritten is not None:
        values = list(function.rewritten.restore(values))
    names = [p.name for p in function.parameters]
    parameters = dict(zip(names, values, strict=True)) if values else {}
    return Fit(COMPILED_STATUSES[number], parameters, rms, evaluations, microseconds)
