"""PENGUIN: training ends by what is foreseen of the final value.

With ``engine = "icpp23"`` (default) it ends when predictions agree with each other, and with ``engine =
"a4nn"`` when the interval of the prediction leaves nothing to gain (``interval.py``).

The agreement is the published criterion (ICPP 2023, doi 10.1145/3605573.3605636; code
TauferLab/A4NN_workflow, ``penguin/penguino.py``): after every epoch a parametric function is fitted to the
whole curve and extrapolated to the horizon; when the last three predictions lie within 0.5 of their median
and within the metric's bounds, the network stops.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import median
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, field_validator, model_validator

from a4nn_core.errors import BadInput
from a4nn_core.penguin.fit import Fit, fit
from a4nn_core.penguin.functions import ParametricFunction, function
from a4nn_core.termination.base import Context, FitRecord, TerminationRule, Verdict
from a4nn_core.termination.interval import judge_by_interval


class Penguin(TerminationRule):
    """Stop by what is foreseen of the final value. The defaults are the published settings."""

    name: Literal["penguin"] = "penguin"
    engine: Literal["icpp23", "a4nn"] = "icpp23"
    """``icpp23`` stops when the newest predictions agree; ``a4nn`` when the front beats the best that can
    still be expected, or when no more than ``gain`` can be."""
    gain: float = Field(0.0, ge=0)
    """Engine a4nn: a network stops when it can improve on its best value by no more than this, in the
    metric's unit."""
    function: str = "default"
    """The parametric function, by its name or published alias; ``default`` is a - b**(c - x)."""
    window: int = Field(3, ge=1)
    """How many of the newest predictions must agree."""
    tolerance: float = Field(0.5, ge=0)
    """How far a prediction may lie from the median of the window, in the metric's unit."""
    minimum: int = Field(4, ge=1)
    """Fewest epochs before the first prediction."""
    bounds: tuple[float, float] = (0.0, 100.0)
    """Least and greatest prediction that counts."""
    solver: Literal["lm", "scipy"] = "lm"
    """``lm`` is the compiled fitter; ``scipy`` the published call of ``curve_fit``, some thousand times
    slower."""

    @field_validator("function")
    @classmethod
    def _known(cls, value: str) -> str:
        try:
            return function(value).name
        except BadInput as error:
            raise ValueError(str(error)) from None

    @model_validator(mode="after")
    def _fits_the_engine(self) -> Penguin:
        published = ("function", "window", "tolerance", "bounds", "solver")
        for key in ("gain",) if self.engine == "icpp23" else published:
            if getattr(self, key) != type(self).model_fields[key].default:
                raise ValueError(f"{key} is not a setting of the engine {self.engine!r}")
        return self

    @model_validator(mode="after")
    def _ordered(self) -> Penguin:
        if not self.bounds[0] < self.bounds[1]:
            raise ValueError(f"bounds = {list(self.bounds)} leave nothing between them")
        return self

    def judge(self, curve: Sequence[float], context: Context) -> Verdict:
        """See TerminationRule. Nothing is remembered."""
        if self.engine == "a4nn":
            return judge_by_interval(curve, context, self.minimum, self.gain)
        return self._agreement(curve, context)

    def _agreement(self, curve: Sequence[float], context: Context) -> Verdict:
        """The published criterion. The newest prefixes of the curve are fitted anew.

        As published, x runs from 0 (for a function with no value at 0 from 1) while the prediction is the
        value at x = horizon. A value that is not finite, or a fit that gives none, is not a prediction, and
        there is no agreement while it is in the window, as published.
        """
        model = function(self.function)
        newest: FitRecord | None = None
        predictions: list[float | None] = []
        for length in range(len(curve), max(0, len(curve) - self.window), -1):
            if length < self.minimum:
                predictions.append(None)
                continue
            record = self._fit(model, curve[:length], context.horizon)
            newest = newest or record
            predictions.append(record.predicted)
        predictions.reverse()
        known = [p for p in predictions if p is not None]
        middle = median(known) if known else None
        agree = (
            middle is not None
            and len(known) == self.window
            and all(
                self.bounds[0] <= p <= self.bounds[1] and abs(p - middle) <= self.tolerance for p in known
            )
        )
        return Verdict(
            "stop" if agree else "continue",
            "converged" if agree else "",
            predicted=predictions[-1] if predictions else None,
            evidence={"predictions": predictions, "median": middle},
            fits=(newest,) if newest else (),
        )

    def _fit(self, model: ParametricFunction, curve: Sequence[float], horizon: int) -> FitRecord:
        x = np.arange(model.first, model.first + len(curve), dtype=np.float64)
        done = self._solve(model, x, np.asarray(curve, dtype=np.float64))
        predicted: float | None = None
        if done.parameters:
            value = float(model.evaluate(done.parameters, horizon)[0])
            predicted = value if math.isfinite(value) else None
        return FitRecord(
            function=model.name,
            expression=model.expression,
            parameters=done.parameters,
            predicted=predicted,
            low=None,
            high=None,
            residual=done.residual_rms if math.isfinite(done.residual_rms) else None,
            status=done.status,
            microseconds=done.microseconds,
        )

    def _solve(self, model: ParametricFunction, x: NDArray[np.float64], y: NDArray[np.float64]) -> Fit:
        if self.solver == "lm":
            return fit(model, x, y)
        from a4nn_core.penguin.reference import fit_scipy

        return fit_scipy(model, x, y)
