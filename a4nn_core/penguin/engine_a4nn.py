"""The engine of this project: error law, finished networks, or parametric functions, and an interval."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from a4nn_core.errors import BadInput
from a4nn_core.penguin.batch import fit_many
from a4nn_core.penguin.combine import extrapolate, median_of
from a4nn_core.penguin.engine import Prediction, PredictionEngine, check_horizon
from a4nn_core.penguin.functions import FUNCTIONS, function
from a4nn_core.penguin.law import BAND, LAW, learn_from, log_error, value_of


@dataclass(frozen=True)
class A4nnEngine(PredictionEngine):
    """Predict the final value from the best value so far.

    - With the finished networks of the same run (eight or more): a line from their errors at this epoch to
      their final errors, and the scatter about it (``peers``).
    - Else, where the metric has a best possible value: the error law (``error-law``, see ``law.py``).
    - Else, or where the learning rate is known to stay constant: the median of the parametric functions that
      keep to the bounds (``functions``). It has no interval.

    Attributes:
        schedule: what is known of the learning rate. ``constant`` rules out the rise that the law foresees.
        function: use this parametric function only, by the compiled fitter.
    """

    schedule: Literal["annealed", "constant"] | None = None
    function: str | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.schedule not in ("annealed", "constant", None):
            raise BadInput(f"schedule = {self.schedule!r} is neither 'annealed' nor 'constant'")
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
            return self._functions(values, horizon, list(FUNCTIONS), floor=best)
        scale = (low, high) if self.direction == "max" else (high, low)
        return self._law(best, len(values), horizon, scale, finished)

    def _law(
        self,
        best: float,
        epochs: int,
        horizon: int,
        scale: tuple[float, float],
        finished: Sequence[Sequence[float]],
    ) -> Prediction:
        error, ahead = float(log_error(best, scale)), math.log(horizon / epochs)
        whole = [c for c in finished if len(c) == horizon]
        peers = learn_from(whole, epochs, scale)
        if peers is not None:
            at = peers.offset + peers.slope * error
            ends, name = (peers.low, peers.high), "peers"
            evidence = {"best": best, "peers": peers.count, "slope": peers.slope, "offset": peers.offset}
        else:
            at = float(LAW.foresee(error, ahead))
            ends, name = BAND.of(error, ahead), "error-law"
            evidence = {"best": best}
        middle, one, other = (float(value_of(at + d, scale)) for d in (0.0, *ends))
        if peers is None:  # a perfect value stays perfect, which the floor of the logarithm forgets
            better = max if scale[1] > scale[0] else min
            middle, one = better(middle, best), better(one, best)
        return Prediction(middle, min(one, other), max(one, other), name, "predicted", evidence)

    def _functions(
        self, values: Sequence[float], horizon: int, names: Sequence[str], floor: float | None
    ) -> Prediction:
        models = [function(name) for name in names]
        fits = fit_many(models, [np.asarray(values, dtype=np.float64)])
        foreseen = extrapolate(fits, 0, horizon)
        name = models[0].name if floor is None else "functions"
        if floor is None:
            one = float(foreseen[0])
            status = fits.fit(0, 0).status
            return Prediction(one if math.isfinite(one) else None, function=name, status=status)
        middle = median_of(foreseen, self.bounds)
        if middle is None:
            return Prediction(floor, function=name, status="best_so_far", evidence={"best": floor})
        middle = max(middle, floor) if self.direction == "max" else min(middle, floor)
        known = {m.name: float(v) for m, v in zip(models, foreseen, strict=True) if math.isfinite(v)}
        return Prediction(middle, function=name, status="predicted", evidence={"functions": known})
