"""The interface of a prediction engine: the values of a curve in, a prediction of its final value out.

Nothing is remembered between calls. ``engines.py`` knows all engines by name.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Annotated, ClassVar

from pydantic import Field, model_validator

from a4nn_core.component import Component, Unit
from a4nn_core.errors import BadInput
from a4nn_core.penguin.functions import ParametricFunction
from a4nn_core.penguin.outcome import Fit
from a4nn_core.penguin.status import Status
from a4nn_core.vocabulary import Bounds, Direction


@dataclass(frozen=True)
class Prediction:
    """What an engine predicts after an epoch.

    Attributes:
        value: predicted value of the metric at the horizon; None if there is no prediction.
        low, high: ends of the 90 % interval; None where the engine returns no interval.
        status: how the prediction came about.
        function: what the value rests on: the name of a parametric function, or ``error-law``, ``functions``,
            ``peers``, ``measured``.
        expression: that function or law as text.
        evidence: the numbers it rests on, by name: the fitted parameters of the function, or what was read
            off the curve.
        candidates: the value that each function predicts, by name, where ``value`` is the median of several.
        fit: of the parametric function, None where the value does not rest on a single one.
        first: x of the first epoch, where there is a fit.
    """

    value: float | None
    low: float | None = None
    high: float | None = None
    status: Status = Status.predicted
    function: str = ""
    expression: str = ""
    evidence: Mapping[str, float] = field(default_factory=dict)
    candidates: Mapping[str, float] = field(default_factory=dict)
    fit: Fit | None = field(default=None, compare=False)  # it holds the time that it took
    first: int = 0

    @classmethod
    def of_fit(
        cls, fit: Fit, function: ParametricFunction, value: float, first: int | None = None
    ) -> Prediction:
        """What the fit of one parametric function predicts.

        Args:
            fit: the fit.
            function: the function that was fitted.
            value: its value at the horizon; one that is not finite is no prediction.
            first: x of the first epoch; by default that of the function.
        """
        return cls(
            value if math.isfinite(value) else None,
            status=fit.status,
            function=function.name,
            expression=function.expression,
            evidence=fit.parameters,
            fit=fit,
            first=function.first if first is None else first,
        )

    @property
    def interval(self) -> tuple[float, float] | None:
        """Low and high; None where the engine returns no interval."""
        return None if self.low is None or self.high is None else (self.low, self.high)


@dataclass(frozen=True)
class EpochPrediction:
    """Where an engine stands after one epoch of a curve.

    Attributes:
        epoch: counted from 1.
        prediction: what the engine predicts after this epoch.
        window: values of the newest predictions, the latest last; at most as many as must agree.
        converged: whether the predictions in the window agree.
    """

    epoch: int
    prediction: Prediction
    window: tuple[float | None, ...]
    converged: bool

    @property
    def median(self) -> float | None:
        """Median of the values in the window, None if it holds none."""
        known = [value for value in self.window if value is not None]
        return median(known) if known else None


class PredictionEngine(Component):
    """An engine and its settings. To add one, subclass it and name the class in the entry point group
    ``a4nn.engines``."""

    gives_intervals: ClassVar[bool] = False
    """whether its predictions have a low and a high end"""

    window: Annotated[int, Unit("predictions")] = Field(3, ge=1)
    """how many of the newest predictions must agree"""
    tolerance: Annotated[float, Unit("the metric's")] = Field(0.5, ge=0)
    """how far one may lie from their median"""
    minimum: Annotated[int, Unit("values")] = Field(1, ge=1)
    """fewest values before the first prediction"""
    bounds: Annotated[Bounds, Unit("the metric's")] = (0.0, 100.0)
    """least and greatest value the metric can take, open where null"""
    direction: Direction = Direction.maximise
    """whether greater or smaller values are better"""

    @model_validator(mode="after")
    def _ordered_bounds(self) -> PredictionEngine:
        low, high = self.bounds
        if low is not None and high is not None and not low < high:
            raise ValueError(f"bounds = ({low}, {high}) leave nothing between them")
        return self

    @abstractmethod
    def predict(
        self, values: Sequence[float], horizon: int, finished: Sequence[Sequence[float]] = ()
    ) -> Prediction:
        """The predicted final value after the last of the values.

        Args:
            values: the curve, one value per epoch, from epoch 1.
            horizon: the last epoch of the budget, counted from 1.
            finished: whole curves of networks of the same run, for engines that use them.

        Raises:
            BadInput: the horizon is below 1.
        """

    def latest(
        self, values: Sequence[float], horizon: int, finished: Sequence[Sequence[float]] = ()
    ) -> EpochPrediction:
        """Where the engine stands after the last of the values: the last entry of ``trace``, for the price of
        the predictions in one window. Arguments and errors are those of ``predict``."""
        epochs = len(values)
        first = max(1, epochs - self.window + 1)
        newest = [self.predict(values[:k], horizon, finished) for k in range(first, epochs + 1)]
        window = tuple(prediction.value for prediction in newest)
        last = newest[-1] if newest else self.predict(values, horizon, finished)
        return EpochPrediction(epochs, last, window, self._agree(window))

    def trace(
        self, values: Sequence[float], horizon: int, finished: Sequence[Sequence[float]] = ()
    ) -> list[EpochPrediction]:
        """Where the engine would have stood after each epoch. Arguments and errors are those of ``predict``.

        Predictions agree when the last ``window`` of them all exist, lie within the bounds and within
        ``tolerance`` of their median (inclusive): the criterion of ICPP 2023.
        """
        trace: list[EpochPrediction] = []
        window: tuple[float | None, ...] = ()
        for epoch in range(1, len(values) + 1):
            prediction = self.predict(values[:epoch], horizon, finished)
            window = (*window, prediction.value)[-self.window :]
            trace.append(EpochPrediction(epoch, prediction, window, self._agree(window)))
        return trace

    def _agree(self, window: Sequence[float | None]) -> bool:
        known = [v for v in window if v is not None and inside(v, self.bounds)]
        if len(known) < self.window:
            return False
        middle = median(known)
        return all(abs(v - middle) <= self.tolerance for v in known)


def inside(value: float, bounds: Bounds) -> bool:
    """Whether a value is finite and within bounds that may be open."""
    low, high = bounds
    return math.isfinite(value) and (low is None or value >= low) and (high is None or value <= high)


def check_horizon(horizon: int) -> None:
    """Raise BadInput unless there is a last epoch."""
    if horizon < 1:
        raise BadInput(f"horizon = {horizon} is below 1: it is the last epoch of the budget")
