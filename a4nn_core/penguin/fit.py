"""Fits of parametric functions to learning curves: one call, an outcome for every input."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

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
    from the function's starts by bounded Levenberg-Marquardt. The interpreter lock is released meanwhile.

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
