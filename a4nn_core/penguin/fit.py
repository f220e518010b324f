"""Fits of parametric functions to learning curves: one call, an outcome for every input."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import nan
from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from a4nn_core.errors import BadInput
from a4nn_core.penguin import _lm
from a4nn_core.penguin.functions import ParametricFunction

Loss = Literal["squares", "huber", "soft_l1"]


@dataclass(frozen=True)
class Fit:
    """How a fit ended. A fit that does not converge is an outcome, never an exception.

    Attributes:
        status: one word: ``converged``, ``at_bound`` (the best lies on a bound, perhaps at infinity),
            ``evaluation_limit`` (the best that was seen), ``too_few_points``, ``not_finite``, ``undefined``.
        message: a sentence for the status.
        parameters: fitted values by name; empty if the status allows none.
        residual_rms: root mean square residual in the unit of y; NaN if nothing was fitted.
        evaluations: of the function at all points.
        microseconds: that the fit took.
    """

    status: str
    message: str
    parameters: Mapping[str, float]
    residual_rms: float
    evaluations: int
    microseconds: float


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
        weights: of the squared residuals, shape (points,), not negative.
        loss: ``huber`` and ``soft_l1`` bend at ``scale``, as in ``scipy.optimize.least_squares``.
        scale: residual at which a robust loss bends, in the unit of y.
        max_evaluations: hard cap.

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
    word, sentence = _lm.STATUSES[number]
    if values and function.rewritten is not None:
        values = list(function.rewritten.restore(values))
    names = [p.name for p in function.parameters]
    parameters = dict(zip(names, values, strict=True)) if values else {}
    return Fit(word, sentence, parameters, rms, evaluations, microseconds)


def outcome(
    status: str,
    parameters: Mapping[str, float] | None = None,
    residual_rms: float = nan,
    evaluations: int = 0,
    microseconds: float = 0.0,
) -> Fit:
    """A fit from its status and what came out of it."""
    return Fit(status, dict(_lm.STATUSES)[status], parameters or {}, residual_rms, evaluations, microseconds)


def check_settings(
    function: ParametricFunction,
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    weights: ArrayLike | None,
    loss: Loss,
    scale: float,
    max_evaluations: int,
) -> NDArray[np.float64]:
    """The weights, shape (points,), of a fit that the compiled fitter does not check.

    Raises:
        BadInput: shapes that differ, or a setting out of range.
    """
    given = np.ones_like(x) if weights is None else np.asarray(weights, dtype=np.float64)
    wrong = (
        "x, y and weights are not one-dimensional arrays of one length"
        if x.ndim != 1 or x.shape != y.shape or x.shape != given.shape
        else "a weight is negative or not finite"
        if not (np.isfinite(given) & (given >= 0)).all()
        else f"no loss is named {loss!r}; known: {', '.join(get_args(Loss))}"
        if loss not in get_args(Loss)
        else f"scale = {scale} is not above zero"
        if not scale > 0
        else f"max_evaluations = {max_evaluations} is below one"
        if max_evaluations < 1
        else ""
    )
    if wrong:
        raise BadInput(f"function {function.name!r} cannot be fitted: {wrong}")
    return given
