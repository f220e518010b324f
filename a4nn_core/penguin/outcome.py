"""How a fit ended, whichever fitter made it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import nan
from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from a4nn_core.errors import BadInput
from a4nn_core.penguin import _lm
from a4nn_core.penguin.functions import ParametricFunction
from a4nn_core.penguin.status import Status

Loss = Literal["squares", "huber", "soft_l1"]

COMPILED_STATUSES = tuple(Status(code) for code, _ in _lm.STATUSES)
"""in the order of the numbers that the compiled fitter returns"""


@dataclass(frozen=True)
class Fit:
    """How a fit ended. A fit that does not converge is an outcome, never an exception.

    Attributes:
        status: see Status; ``status.meaning`` says it in a sentence.
        parameters: fitted values by name; empty if the status allows none.
        residual_rms: root mean square residual in the unit of y; NaN if nothing was fitted.
        evaluations: how often the function was evaluated at all points.
        microseconds: how long the fit took; NaN where it was one of many.
    """

    status: Status
    parameters: Mapping[str, float] = field(default_factory=dict)
    residual_rms: float = nan
    evaluations: int = 0
    microseconds: float = 0.0


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
