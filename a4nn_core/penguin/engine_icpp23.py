"""The published engine of ICPP 2023 (doi 10.1145/3605573.3605636)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from a4nn_core.component import Unit
from a4nn_core.penguin.base import Prediction, PredictionEngine, check_horizon
from a4nn_core.penguin.fit import fit
from a4nn_core.penguin.functions import FunctionName, function
from a4nn_core.penguin.published_fit import fit_published
from a4nn_core.penguin.status import Status

Fitter = Literal["lm", "scipy"]
"""What fits a function: the compiled fitter, or the published call of SciPy's ``curve_fit``, about a thousand
times slower, on whose path the published numbers depend."""


class Icpp23Engine(PredictionEngine):
    """The engine of ICPP 2023 (``penguino.py`` of TauferLab/A4NN_workflow).

    From the fourth epoch on a function is fitted to the whole curve, and the prediction is its value at
    x = horizon. As published, x runs from 0 (from 1 for a function with no value at 0), so that this is one
    epoch beyond the last. A fit without a finite value at the horizon yields no prediction.
    """

    name: Literal["icpp23"] = "icpp23"
    minimum: Annotated[int, Unit("epochs")] = Field(4, ge=1)
    """fewest epochs before the first prediction"""
    function: FunctionName = "default"
    """the parametric function, by name, published alias or expression"""
    fitter: Fitter = "lm"
    """``lm`` is the compiled fitter; ``scipy`` the published call of ``curve_fit``, about a thousand times
    slower, which reproduces the published numbers"""

    def predict(
        self,
        values: Sequence[float],
        horizon: int,
        finished: Sequence[Sequence[float]] = (),  # noqa: ARG002
    ) -> Prediction:
        """See PredictionEngine."""
        check_horizon(horizon)
        model = function(self.function)
        if len(values) < self.minimum:
            return Prediction(
                None, status=Status.too_few_points, function=model.name, expression=model.expression
            )
        x = np.arange(model.first, model.first + len(values), dtype=np.float64)
        y = np.asarray(values, dtype=np.float64)
        done = fit(model, x, y) if self.fitter == "lm" else fit_published(model, x, y)
        value = model.value_at(done.parameters, horizon) if done.parameters else math.nan
        return Prediction.of_fit(done, model, value)
