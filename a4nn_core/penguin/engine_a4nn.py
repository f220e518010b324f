"""The engine of this project: error law, finished networks, or parametric functions, and an interval."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar, Literal

import numpy as np

from a4nn_core.penguin.base import Prediction, PredictionEngine, check_horizon, inside
from a4nn_core.penguin.batch import fit_many
from a4nn_core.penguin.combine import extrapolate, interval, uncertainty, within
from a4nn_core.penguin.functions import FUNCTIONS, FunctionName, function
from a4nn_core.penguin.law import COEFFICIENTS, learn_from, traits_of, value_of
from a4nn_core.penguin.status import Status
from a4nn_core.vocabulary import Curves, Direction, Schedule

_EXPRESSIONS = {
    "error-law": "log e(n) = log e(k) - g log(n / k)",
    "peers": "log e(n) = offset + slope log e(k)",
    "functions": "median of the parametric functions",
    "measured": "the last value",
}


class A4nnEngine(PredictionEngine):
    """Predict the final value from the best value so far.

    - With the finished networks of the same run (eight or more): a line from their errors at this epoch to
      their final errors, and the scatter about it (``peers``).
    - Else, where the metric has a best possible value: the error law (``error-law``, see ``law.py``).
    - Else, or where the learning rate is known to stay constant: the median of the parametric functions that
      keep to the bounds (``functions``, see ``combine.py``).
    """

    gives_intervals: ClassVar[bool] = True

    name: Literal["a4nn"] = "a4nn"
    schedule: Schedule | None = None
    """what is known of the learning rate. ``constant`` rules out the rise that the law predicts; ``annealed``
    (to about nothing by the last epoch) rules out that the curve falls back to its noise"""
    curves: Curves = "as-trained"
    """what was measured after an epoch, for the error law"""
    function: FunctionName | None = None
    """use this parametric function only, by the compiled fitter; then there is no interval"""

    def predict(
        self, values: Sequence[float], horizon: int, finished: Sequence[Sequence[float]] = ()
    ) -> Prediction:
        """See PredictionEngine. From the last epoch on the prediction is the last value itself."""
        check_horizon(horizon)
        if len(values) < self.minimum:
            return Prediction(None, status=Status.too_few_points)
        if not all(math.isfinite(v) for v in values):
            return Prediction(None, status=Status.not_finite)
        outside = [v for v in values if not inside(v, self.bounds)]
        if outside:
            return Prediction(None, status=Status.out_of_bounds, evidence={"value": float(outside[0])})
        if len(values) >= horizon:
            last = float(values[horizon - 1])
            return Prediction(last, last, last, Status.measured, "measured", _EXPRESSIONS["measured"])
        if self.function is not None:
            return self._function(values, horizon, self.function)
        low, high = self.bounds
        if low is None or high is None or self.schedule == "constant":
            prediction = self._functions(values, horizon)
        else:
            scale = (low, high) if self._upwards else (high, low)
            prediction = self._law(values, horizon, scale, finished)
        return self._if_fallen(values, prediction)

    @property
    def _upwards(self) -> bool:
        return self.direction is Direction.maximise

    def _best(self, values: Sequence[float]) -> float:
        return float(max(values) if self._upwards else min(values))

    def _if_fallen(self, values: Sequence[float], prediction: Prediction) -> Prediction:
        """A curve that collapsed may stay where it is: the interval then reaches down to there.

        It has collapsed if the whole newest quarter (three epochs at least) lies further from the best value
        than any epoch before did. The prediction stays, as nearly all published curves recover when the
        learning rate falls.
        """
        sign = 1.0 if self._upwards else -1.0
        up = sign * np.asarray(values, dtype=np.float64)
        newest = max(3, len(up) // 4)
        if len(up) <= newest or prediction.low is None or prediction.high is None:
            return prediction
        before, now = up[:-newest], float(up[-newest:].max())
        best = np.maximum.accumulate(before)
        if best[-1] - now <= np.max(best - before):
            return prediction
        low, high = min(prediction.low, sign * now), max(prediction.high, sign * now)
        evidence = {**prediction.evidence, "now": sign * now}
        return replace(prediction, low=low, high=high, status=Status.fallen, evidence=evidence)

    def _law(
        self,
        values: Sequence[float],
        horizon: int,
        scale: tuple[float, float],
        finished: Sequence[Sequence[float]],
    ) -> Prediction:
        epochs, ahead = len(values), math.log(horizon / len(values))
        best = self._best(values)
        traits = traits_of(values, scale)
        error = traits.error
        whole = [c for c in finished if len(c) == horizon]
        peers = learn_from(whole, epochs, scale)
        if peers is not None:
            at = peers.offset + peers.slope * error
            low, high = at + peers.low, at + peers.high
            evidence = {"best": best, "peers": peers.count, "slope": peers.slope, "offset": peers.offset}
        else:
            law, band = COEFFICIENTS[self.curves]
            at = float(law.predict(error, ahead))
            low, high = (error + d for d in band.of(traits, ahead, self.schedule == "annealed"))
            evidence = {"best": best, "rate": traits.rate, "noise": traits.noise}
        middle, good, bad = (float(value_of(e, scale)) for e in (at, min(low, at), max(high, at)))
        if peers is None:  # a perfect value stays perfect, which the floor of the logarithm forgets
            better = max if scale[1] > scale[0] else min
            middle, good = better(middle, best), better(good, best)
        name = "error-law" if peers is None else "peers"
        return Prediction(
            middle, min(good, bad), max(good, bad), Status.predicted, name, _EXPRESSIONS[name], evidence
        )

    def _function(self, values: Sequence[float], horizon: int, name: str) -> Prediction:
        model = function(name)
        fits = fit_many([model], [np.asarray(values, dtype=np.float64)])
        value = float(extrapolate(fits, 0, horizon)[0])
        return Prediction.of_fit(fits.fit(0, 0), model, value)

    def _functions(self, values: Sequence[float], horizon: int) -> Prediction:
        models = list(FUNCTIONS.values())
        predictions = extrapolate(fit_many(models, [np.asarray(values, dtype=np.float64)]), 0, horizon)
        best = self._best(values)
        # mirrored where smaller values are better, so that greater is always better
        sign = 1.0 if self._upwards else -1.0
        kept = sign * within(predictions, self.bounds)
        middle = max(float(np.median(kept)), sign * best) if len(kept) else sign * best
        terms = uncertainty([sign * v for v in values], kept, middle, horizon)
        low, high = self.bounds
        mirrored = (low, high) if sign > 0 else tuple(None if b is None else -b for b in (high, low))
        one, other = interval(terms, middle, (mirrored[0], mirrored[1]))
        return Prediction(
            sign * middle,
            min(sign * one, sign * other),
            max(sign * one, sign * other),
            Status.predicted if len(kept) else Status.best_so_far,
            "functions",
            _EXPRESSIONS["functions"],
            {"best": best},
            {m.name: float(v) for m, v in zip(models, predictions, strict=True) if math.isfinite(v)},
        )
