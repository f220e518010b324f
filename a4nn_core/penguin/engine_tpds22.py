"""The published stand-alone engine of TPDS 2022. Its numbers depend on the path of SciPy's solver."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import replace
from statistics import median
from typing import Annotated, Literal

import numpy as np
from pydantic import AfterValidator, Field

from a4nn_core.component import Unit
from a4nn_core.penguin.base import EpochPrediction, Prediction, PredictionEngine, check_horizon
from a4nn_core.penguin.functions import FUNCTIONS
from a4nn_core.penguin.outcome import Fit
from a4nn_core.penguin.status import Status

_DEFAULT = FUNCTIONS["default"]


def _published_function(name: str) -> str:
    if name not in (_DEFAULT.name, *_DEFAULT.aliases):
        raise ValueError(f"the engine tpds22 is published with the function 'default' only, not {name!r}")
    return _DEFAULT.name


class Tpds22Engine(PredictionEngine):
    """The stand-alone engine of TPDS 2022 (TauferLab/PENGUIN, ``main`` branch): half epochs.

    The curve has two values per epoch; a - b**(c - x) is fitted by SciPy from (10, 1.001, 100) with x counted
    from 1 and carried on to x = horizon, which also counts half epochs. A fit without a result is skipped;
    one whose ``a`` reaches its upper bound clears what was predicted before; agreeing predictions must be
    above 0 and at most 100. If they never agree the prediction is the last measured value.
    """

    name: Literal["tpds22"] = "tpds22"
    minimum: Annotated[int, Unit("half epochs")] = Field(2, ge=1)
    """half epochs before the first prediction; as published, two points are fitted already"""
    function: Annotated[str, AfterValidator(_published_function)] = "default"
    """``default``, the only one it is published with"""
    start: tuple[float, float, float] = (10.0, 1.001, 100.0)
    """where SciPy starts: a, b, c"""
    saturated: float = 199.99
    """from this value of a on a fit counts as saturated"""

    def predict(
        self,
        values: Sequence[float],
        horizon: int,
        finished: Sequence[Sequence[float]] = (),  # noqa: ARG002
    ) -> Prediction:
        """See PredictionEngine."""
        check_horizon(horizon)
        done = self._fit(values)
        value = _DEFAULT.value_at(done.parameters, horizon) if done.parameters else math.nan
        return Prediction.of_fit(done, _DEFAULT, value, first=1)

    def _fit(self, values: Sequence[float]) -> Fit:
        if len(values) < self.minimum:
            return Fit(Status.too_few_points)
        y = np.asarray(values, dtype=np.float64)
        if not np.isfinite(y).all():
            return Fit(Status.not_finite)
        from scipy.optimize import curve_fit

        bounds = ([p.lower for p in _DEFAULT.parameters], [p.upper for p in _DEFAULT.parameters])
        try:
            with warnings.catch_warnings(), np.errstate(all="ignore"):
                warnings.simplefilter("ignore")
                fitted, _ = curve_fit(
                    lambda x, a, b, c: a - b ** (c - x),
                    np.arange(1.0, len(y) + 1),
                    y,
                    self.start,
                    bounds=bounds,
                )
        except (RuntimeError, ValueError):
            return Fit(Status.evaluation_limit)
        parameters = dict(zip("abc", map(float, fitted), strict=True))
        return Fit(Status.saturated if parameters["a"] >= self.saturated else Status.converged, parameters)

    def latest(
        self, values: Sequence[float], horizon: int, finished: Sequence[Sequence[float]] = ()
    ) -> EpochPrediction:
        """See PredictionEngine. What is cleared, and so what agrees, depends on the whole curve."""
        *_, newest = self._states(values, horizon, finished)
        return newest

    def trace(
        self, values: Sequence[float], horizon: int, finished: Sequence[Sequence[float]] = ()
    ) -> list[EpochPrediction]:
        """See PredictionEngine; with the criterion of this engine."""
        _, *trace = self._states(values, horizon, finished)
        if trace and not any(state.converged for state in trace):
            last = Prediction(float(values[-1]), status=Status.no_agreement, function="last value")
            trace[-1] = replace(trace[-1], prediction=last)
        return trace

    def _states(
        self, values: Sequence[float], horizon: int, finished: Sequence[Sequence[float]]
    ) -> Iterator[EpochPrediction]:
        """Where the engine stands before the first value and after each."""
        kept: tuple[float, ...] = ()
        for count in range(len(values) + 1):
            prediction = self.predict(values[:count], horizon, finished)
            if prediction.status == Status.saturated:
                kept = ()
            elif prediction.value is not None:
                kept = (*kept, prediction.value)[-self.window :]
                yield EpochPrediction(count, prediction, kept, self._agree(kept))
                continue
            yield EpochPrediction(count, prediction, kept, converged=False)

    def _agree(self, window: Sequence[float | None]) -> bool:
        known = [value for value in window if value is not None]
        if len(known) < self.window:
            return False
        middle = median(known)
        return all(abs(v - middle) <= self.tolerance and 0 < v <= 100 for v in known)
