"""Prediction engines: the values of a curve in, a prediction of its final value out. Nothing is remembered.

``a4nn`` is the default; ``icpp23`` and ``tpds22`` are the published engines, for comparison and replay.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any, Literal

from a4nn_core.errors import BadInput

Bounds = tuple[float | None, float | None]


@dataclass(frozen=True)
class Prediction:
    """What an engine says after an epoch.

    Attributes:
        value: of the metric at the horizon; None if there is none.
        low, high: ends of the 90 % interval; None where the engine gives none.
        function: what the value rests on: a parametric function, or ``error-law``, ``functions``, ``peers``.
        status: one word for how it came about.
        evidence: the numbers it rests on, JSON-serialisable.
    """

    value: float | None
    low: float | None = None
    high: float | None = None
    function: str = ""
    status: str = ""
    evidence: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Step:
    """What an engine says of a curve after one of its epochs, and whether training could have ended there.

    Attributes:
        epoch: counted from 1.
        prediction: see Prediction.
        converged: whether the engine's predictions agree by now.
    """

    epoch: int
    prediction: Prediction
    converged: bool


@dataclass(frozen=True)
class PredictionEngine(ABC):
    """An engine and its settings.

    Attributes:
        window: how many of the newest predictions must agree.
        tolerance: how far one may lie from their median, in the metric's unit.
        bounds: least and greatest value the metric can take, None where open.
        direction: whether a greater or a smaller value is the better one.
    """

    window: int = 3
    tolerance: float = 0.5
    bounds: Bounds = (0.0, 100.0)
    direction: Literal["max", "min"] = "max"

    def __post_init__(self) -> None:
        if self.window < 1:
            raise BadInput(f"window = {self.window} is below 1")
        if not self.tolerance >= 0:
            raise BadInput(f"tolerance = {self.tolerance} is negative")
        low, high = self.bounds
        if low is not None and high is not None and not low < high:
            raise BadInput(f"bounds = ({low}, {high}) leave nothing between them")

    @abstractmethod
    def predict(
        self, values: Sequence[float], horizon: int, finished: Sequence[Sequence[float]] = ()
    ) -> Prediction:
        """The final value as foreseen after the last of the values.

        Args:
            values: the curve, one value an epoch, from epoch 1.
            horizon: the last epoch of the budget, counted from 1.
            finished: whole curves of networks of the same run, for engines that use them.

        Raises:
            BadInput: the horizon is below 1.
        """

    def trace(
        self, values: Sequence[float], horizon: int, finished: Sequence[Sequence[float]] = ()
    ) -> list[Step]:
        """What the engine would have said after every epoch.

        Predictions agree when the last ``window`` of them all exist, lie within the bounds and within
        ``tolerance`` of their median (inclusive): the criterion of ICPP 2023.
        """
        steps: list[Step] = []
        newest: list[float | None] = []
        for epoch in range(1, len(values) + 1):
            prediction = self.predict(values[:epoch], horizon, finished)
            newest = [*newest, prediction.value][-self.window :]
            steps.append(Step(epoch, prediction, self._agree(newest)))
        return steps

    def _agree(self, newest: Sequence[float | None]) -> bool:
        known = [v for v in newest if v is not None and inside(v, self.bounds)]
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


def expression(told: Prediction) -> str:
    """What a prediction rests on, as text: the parametric function, or how else its value follows."""
    from a4nn_core.penguin.functions import FUNCTIONS

    if told.function in FUNCTIONS:
        return FUNCTIONS[told.function].expression
    return {
        "error-law": "log e(n) = log e(k) - g log(n / k)",
        "peers": "log e(n) = offset + slope log e(k)",
        "functions": "median of the parametric functions",
        "measured": "the last value",
    }.get(told.function, told.function)


ENGINES = ("a4nn", "icpp23", "tpds22")


def make_engine(name: str, *, function: str | None = None, **settings: Any) -> PredictionEngine:
    """An engine by name.

    Args:
        name: one of ``ENGINES``.
        function: parametric function, by name or as an expression. With ``a4nn`` it takes the place of the
            engine's own choice; ``tpds22`` is published with one function only.
        settings: fields of the engine.

    Raises:
        BadInput: there is no such engine or function, or the engine cannot take the function.
    """
    from a4nn_core.penguin.engine_a4nn import A4nnEngine
    from a4nn_core.penguin.engine_published import Icpp23Engine, Tpds22Engine

    if name == "a4nn":
        return A4nnEngine(function=function, **settings)
    if name == "icpp23":
        return Icpp23Engine(function=function or "default", **settings)
    if name == "tpds22":
        if function not in (None, "default", "accDefaultFn"):
            raise BadInput(f"engine 'tpds22' is published with the function 'default' only, not {function!r}")
        return Tpds22Engine(**settings)
    raise BadInput(f"there is no prediction engine named {name!r}; known: {', '.join(ENGINES)}")
