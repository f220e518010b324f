"""Bounds on what networks may cost: those outside are never trained."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from pydantic import Field, model_validator

from a4nn_core.component import Settings
from a4nn_core.errors import BadInput
from a4nn_core.metrics import BEFORE_TRAINING, Evaluate, Metric, find_metric, values
from a4nn_core.spaces.architecture import Architecture

NO_NUMBER = 1e300
"""Violation of a network whose metric is NaN: greater than any other, and still finite."""


class Bound(Settings):
    """The range of a metric that a network may have, both ends included."""

    least: float | None = Field(default=None, allow_inf_nan=False)
    """no less than this, in the metric's unit"""
    most: float | None = Field(default=None, allow_inf_nan=False)
    """no more than this"""

    @model_validator(mode="after")
    def _leaves_something(self) -> Bound:
        if self.least is None and self.most is None:
            raise ValueError("a bound needs least, most or both")
        if self.least is not None and self.most is not None and self.least > self.most:
            raise ValueError(f"least = {self.least:.15g} is more than most = {self.most:.15g}")
        return self


@dataclass(frozen=True)
class _Violation:
    """A network's value of a metric, compared with the metric's bound."""

    metric: str
    value: float
    bound: Bound

    @property
    def amount(self) -> float:
        """How far it is outside, relative to the end it exceeds, so that metrics of any unit can be added."""
        if math.isnan(self.value):
            return NO_NUMBER
        least, most = self.bound.least, self.bound.most
        if least is not None and self.value < least:
            return min((least - self.value) / (abs(least) or 1.0), NO_NUMBER)
        if most is not None and self.value > most:
            return min((self.value - most) / (abs(most) or 1.0), NO_NUMBER)
        return 0.0

    def __str__(self) -> str:
        ends = (("least", self.bound.least), ("most", self.bound.most))
        allowed = " and ".join(f"at {name} {end:.15g}" for name, end in ends if end is not None)
        return f"{self.metric} = {self.value:.15g}, {allowed} allowed"


def check_bound(name: str, bound: Bound) -> None:
    """Refuse a bound that cannot be checked before training, or that all or no networks satisfy.

    Raises:
        BadInput: the bound is refused.
    """
    metric = find_metric(name)
    if not metric.before_training:
        raise BadInput(
            f"{name} is known only after training, but bounds are checked before it; known before: "
            f"{', '.join(BEFORE_TRAINING)}"
        )
    low, high = metric.bounds
    for end, value in (("least", bound.least), ("most", bound.most)):
        if value is None:
            continue
        if low is not None and value < low:
            raise BadInput(f"{name} has {end} = {value:.15g}, but is never below {low:.15g}")
        if high is not None and value > high:
            raise BadInput(f"{name} has {end} = {value:.15g}, but is never above {high:.15g}")


@dataclass(frozen=True)
class Constraints:
    """The bounds of one search.

    Attributes:
        bounds: metric name to bound; empty if every network is feasible.
        evaluate: returns the value of a metric before training.
    """

    bounds: Mapping[str, Bound]
    evaluate: Evaluate = Metric.value

    def violation(self, architecture: Architecture) -> float:
        """How far a network is outside: the sum of the relative violations of all bounds; 0.0 within them.

        Raises:
            BadInput: a metric of another package cannot be computed.
        """
        return sum((one.amount for one in self._violations(architecture)), 0.0)

    def explain(self, architecture: Architecture) -> str:
        """The bounds a network violates, such as ``parameters = 70000, at most 64600 allowed``."""
        return "; ".join(map(str, self._violations(architecture)))

    def _violations(self, architecture: Architecture) -> list[_Violation]:
        known = values(map(find_metric, self.bounds), architecture, before=self.evaluate)
        found = [_Violation(name, value, self.bounds[name]) for name, value in known.items()]
        return [one for one in found if one.amount > 0]
