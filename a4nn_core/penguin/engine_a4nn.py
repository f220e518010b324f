"""The engine of this project: error law, finished networks, or parametric functions, and an interval."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from a4nn_core.errors import BadInput
from a4nn_core.penguin.batch import fit_many
from a4nn_core.penguin.combine import extrapolate, interval, uncertainty, within
from a4nn_core.penguin.engine import Prediction, PredictionEngine, check_horizon
from a4nn_core.penguin.functions import FUNCTIONS, function
from a4nn_core.penguin.law import COEFFICIENTS, Curves, learn_from, traits_of, value_of


@dataclass(frozen=True)
class A4nnEngine(PredictionEngine):
    """Predict the final value from the best value so far.

    - With the finished networks of the same run (eight or more): a line from their errors at this epoch to
      their final errors, and the scatter about it (``peers``).
    - Else, where the metric has a best possible value: the error law (``error-law``, see ``law.py``).
    - Else, or where the learning rate is known to stay constant: the median of the parametric functions that
      keep to the bounds (``functions``, see ``combine.py``).

    Attributes:
        schedule: what is known of the learning rate. ``constant`` rules out the rise that the law foresees;
            ``annealed`` (to about nothing by the last epoch) rules out that the curve falls back to its
            noise.
        curves: what was measured after an epoch, for the error law.
        function: use this parametric function only, by the compiled fitter.
    """

    schedule: Literal["annealed", "constant"] | None = None
    curves: Curves = "as-trained"
    function: str | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.schedule not in ("annealed", "constant", None):
            raise BadInput(f"schedule = {self.schedule!r} is neither 'annealed' nor 'constant'")
        if self.curves not in COEFFICIENTS:
            raise BadInput(f"curves = {self.curves!r} is none of: {', '.join(COEFFICIENTS)}")
        if self.function is not None:
            function(self.function)

    def predict(
        self, values: Sequence[float], horizon: int, finished: Sequence[Sequence[float]] = ()
    ) -> Prediction:
        """See PredictionEngine. From the last epoch on the prediction is the last value itself."""
        check_horizon(horizon)
        if not len(values):
            return Prediction(None, status="too_few_points")
        if not all(math.isfinite(v) for v in values):
            return Prediction(None, status="not_finite")
        low, high = self.bounds
        outside = [v for v in values if (low is not None and v < low) or (high is not None and v > high)]
        if outside:
            return Prediction(None, status="out_of_bounds", evidence={"value": outside[0]})
        best = float(max(values) if self.direction == "max" else min(values))
        if len(values) >= horizon:
            last = float(values[horizon - 1])
            return Prediction(last, last, last, "measured", "measured")
        if self.function is not None:
            return self._functions(values, horizon, [self.function], floor=None)
        if low is None or high is None or self.schedule == "constant":
            told = self._functions(values, horizon, list(FUNCTIONS), floor=best)
        else:
            scale = (low, high) if self.direction == "max" else (high, low)
            told = self._law(values, horizon, scale, finished)
        return self._if_fallen(values, told)

    def _if_fallen(self, values: Sequence[float], told: Prediction) -> Prediction:
        """A curve that collapsed may stay where it is: the interval then reaches down to there.

        It has collapsed if the whole newest quarter (three epochs at least) lies further from the best value
        than any epoch before did. The prediction stays, as nearly all published curves recover when the
        learning rate falls.
        """
        sign = 1.0 if self.direction == "max" else -1.0
        up = sign * np.asarray(values, dtype=np.float64)
        newest = max(3, len(up) // 4)
        if len(up) <= newest or told.low is None or told.high is None:
            return told
        before, now = up[:-newest], float(up[-newest:].max())
        best = np.maximum.accumulate(before)
        if best[-1] - now <= np.max(best - before):
            return told
        low, high = min(told.low, sign * now), max(told.high, sign * now)
        return replace(
            told, low=low, high=high, status="fallen", evidence={**told.evidence, "now": sign * now}
        )

    def _law(
        self,
        values: Sequence[float],
        horizon: int,
        scale: tuple[float, float],
        finished: Sequence[Sequence[float]],
    ) -> Prediction:
        epochs, ahead = len(values), math.log(horizon / len(values))
        best = float(max(values) if self.direction == "max" else min(values))
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
            at = float(law.foresee(error, ahead))
            low, high = (error + d for d in band.of(traits, ahead, self.schedule == "annealed"))
            evidence = {"best": best, "rate": traits.rate, "noise": traits.noise}
        middle, good, bad = (float(value_of(e, scale)) for e in (at, min(low, at), max(high, at)))
        if peers is None:  # a perfect value stays perfect, which the floor of the logarithm forgets
            better = max if scale[1] > scale[0] else min
            middle, good = better(middle, best), better(good, best)
        name = "error-law" if peers is None else "peers"
        return Prediction(middle, min(good, bad), max(good, bad), name, "predicted", evidence)

    def _functions(
        self, values: Sequence[float], horizon: int, names: Sequence[str], floor: float | None
    ) -> Prediction:
        models = [function(name) for name in names]
        fits = fit_many(models, [np.asarray(values, dtype=np.float64)])
        foreseen = extrapolate(fits, 0, horizon)
        if floor is None:
            one = float(foreseen[0])
            done = fits.fit(0, 0)
            return Prediction(
                one if math.isfinite(one) else None,
                function=models[0].name,
                status=done.status,
                evidence={"parameters": dict(done.parameters)},
            )
        # mirrored where smaller values are better, so that there is one way up
        sign = 1.0 if self.direction == "max" else -1.0
        kept = sign * within(foreseen, self.bounds)
        middle = max(float(np.median(kept)), sign * floor) if len(kept) else sign * floor
        terms = uncertainty([sign * v for v in values], kept, middle, horizon)
        low, high = self.bounds
        mirrored = (low, high) if sign > 0 else tuple(None if b is None else -b for b in (high, low))
        one, other = interval(terms, middle, (mirrored[0], mirrored[1]))
        known = {m.name: float(v) for m, v in zip(models, foreseen, strict=True) if math.isfinite(v)}
        return Prediction(
            sign * middle,
            min(sign * one, sign * other),
            max(sign * one, sign * other),
            "functions",
            "predicted" if len(kept) else "best_so_far",
            {"best": floor, "functions": known},
        )
