"""The two published engines. Their numbers depend on the path of SciPy's solver, so they call SciPy."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import median

import numpy as np
from numpy.typing import NDArray

from a4nn_core.penguin.engine import Prediction, PredictionEngine, Step, check_horizon
from a4nn_core.penguin.functions import function
from a4nn_core.penguin.reference import fit_scipy, value_at


@dataclass(frozen=True)
class Icpp23Engine(PredictionEngine):
    """The engine of ICPP 2023 (TauferLab/A4NN_workflow, ``penguin/penguino.py``).

    From the fourth epoch on a function is fitted to the whole curve, x counted from 0 (from 1 for a function
    with no value at 0), and the prediction is its value at x = horizon.

    Attributes:
        function: name, alias or expression of the parametric function.
        minimum: fewest epochs before the first prediction.
    """

    function: str = "default"
    minimum: int = 4

    def __post_init__(self) -> None:
        super().__post_init__()
        function(self.function)

    def predict(
        self,
        values: Sequence[float],
        horizon: int,
        finished: Sequence[Sequence[float]] = (),  # noqa: ARG002
    ) -> Prediction:
        check_horizon(horizon)
        model = function(self.function)
        if len(values) < self.minimum:
            return Prediction(None, function=model.name, status="too_few_points")
        done = fit_scipy(model, np.arange(model.first, model.first + len(values)), values)
        foreseen = value_at(model, done.parameters, horizon) if done.parameters else float("nan")
        return Prediction(
            foreseen if np.isfinite(foreseen) else None,
            function=model.name,
            status=done.status,
            evidence={"parameters": dict(done.parameters)},
        )


@dataclass(frozen=True)
class Tpds22Engine(PredictionEngine):
    """The stand-alone engine of TPDS 2022 (TauferLab/PENGUIN, ``main`` branch): half epochs.

    The curve has two values an epoch; a - b**(c - x) is fitted by SciPy from (10, 1.001, 100) with x counted
    from 1 and carried on to x = horizon, which also counts half epochs. A fit without result is skipped; one
    whose ``a`` reaches its upper bound clears what was predicted before; agreeing predictions must be above 0
    and at most 100. If they never agree the prediction is the last measured value.

    Attributes:
        minimum: half epochs before the first prediction; as published, two points are fitted already.
    """

    minimum: int = 2
    start: tuple[float, float, float] = (10.0, 1.001, 100.0)
    saturated: float = 199.99

    def predict(
        self,
        values: Sequence[float],
        horizon: int,
        finished: Sequence[Sequence[float]] = (),  # noqa: ARG002
    ) -> Prediction:
        check_horizon(horizon)
        if len(values) < self.minimum:
            return Prediction(None, function="default", status="too_few_points")
        y = np.asarray(values, dtype=np.float64)
        if not np.isfinite(y).all():
            return Prediction(None, function="default", status="not_finite")
        from scipy.optimize import curve_fit

        model = function("default")
        bounds = ([p.lower for p in model.parameters], [p.upper for p in model.parameters])
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
            return Prediction(None, function="default", status="evaluation_limit")
        parameters = dict(zip("abc", map(float, fitted), strict=True))
        foreseen = value_at(model, parameters, horizon)
        return Prediction(
            foreseen if np.isfinite(foreseen) else None,
            function="default",
            status="saturated" if parameters["a"] >= self.saturated else "converged",
            evidence={"parameters": parameters},
        )

    def trace(
        self, values: Sequence[float], horizon: int, finished: Sequence[Sequence[float]] = ()
    ) -> list[Step]:
        """See PredictionEngine; with the rules of this engine."""
        steps: list[Step] = []
        kept: list[float] = []
        for k in range(1, len(values) + 1):
            prediction = self.predict(values[:k], horizon, finished)
            agree = False
            if prediction.status == "saturated":
                kept.clear()
            elif prediction.value is not None:
                kept.append(prediction.value)
                if len(kept) >= self.window:
                    middle = median(kept)
                    agree = all(abs(v - middle) <= self.tolerance and 0 < v <= 100 for v in kept)
                    kept.pop(0)
            steps.append(Step(k, prediction, agree))
        if steps and not any(step.converged for step in steps):
            last = Prediction(float(values[-1]), function="last value", status="no_agreement")
            steps[-1] = replace(steps[-1], prediction=last)
        return steps


def _default(x: NDArray[np.float64], a: float, b: float, c: float) -> NDArray[np.float64]:
    out: NDArray[np.float64] = a - b ** (c - x)
    return out
