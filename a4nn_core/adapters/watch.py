"""A training run under watch: a value an epoch in, a verdict out. The other adapters stand on it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from a4nn_core.errors import BadInput
from a4nn_core.termination.base import RULES, Context, FrontSnapshot, Verdict

if TYPE_CHECKING:
    from a4nn_core.penguin.law import Curves

LITTLE = 0.005
"""Share of the metric's range that is not worth training for, unless a rule says otherwise."""


@dataclass
class Watch:
    """One network's training, watched by a termination rule.

    Attributes:
        horizon: the last epoch of the budget, counted from 1.
        rule: name or settings of a termination rule; by default PENGUIN's own engine, which ends training
            when the front or the value to beat is out of reach, or when no more than half a percent of the
            metric's range can be gained.
        metric: its name.
        bounds: the least and greatest value it can take, None where open. A share has (0, 1).
        direction: whether a greater or a smaller value is the better one.
        schedule: what is known of the learning rate: ``annealed`` (it falls to about nothing by the horizon)
            or ``constant``. Knowing it makes the interval narrower.
        curves: what is measured after an epoch: the newest weights (``as-trained``), or an average of them
            with statistics of batch normalisation taken anew (``averaged``), whose curves are smoother.
        beat: a value that is already had, such as the best of earlier networks.
        front: in place of one value to beat, what is had already in several objectives: a mapping of name to
            value each.
        objectives: name to ``minimise`` or ``maximise``, for the front.
        fixed: objectives of this network that are known before training, such as its cost.
        curve: the values so far.

    Raises:
        BadInput: an unknown rule, a wrong setting, or a horizon below 1.
    """

    horizon: int
    rule: str | Mapping[str, Any] | None = None
    metric: str = "accuracy_percent"
    bounds: tuple[float | None, float | None] = (0.0, 100.0)
    direction: Literal["max", "min"] = "max"
    schedule: Literal["annealed", "constant"] | None = None
    curves: Curves = "as-trained"
    beat: float | None = None
    front: Sequence[Mapping[str, float]] = ()
    objectives: Mapping[str, Literal["minimise", "maximise"]] = field(default_factory=dict)
    fixed: Mapping[str, float] = field(default_factory=dict)
    curve: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        if self.horizon < 1:
            raise BadInput(f"horizon = {self.horizon} is below 1: it is the last epoch of the budget")
        if self.beat is not None and self.front:
            raise BadInput("give either a value to beat or a front, not both")
        self._judge = RULES.make(default_rule(self.bounds) if self.rule is None else self.rule, "rule")
        self.verdict()  # what is wrong with the settings is said now, not after the first epochs

    def __call__(self, value: float) -> Verdict:
        """The verdict after one more epoch.

        Args:
            value: of the metric after that epoch.
        """
        self.curve.append(float(value))
        return self.verdict()

    def verdict(self) -> Verdict:
        """The verdict after the epochs so far. In the last epoch of the budget there is nothing to end."""
        points = tuple(self.front) if self.beat is None else ({self.metric: self.beat},)
        context = Context(
            horizon=self.horizon,
            metric=self.metric,
            direction=self.direction,
            bounds=self.bounds,
            schedule=self.schedule,
            curves=self.curves,
            fixed=self.fixed,
            front=FrontSnapshot(0, points, self.objectives),
        )
        return self._judge.judge(self.curve, context)


def default_rule(bounds: tuple[float | None, float | None]) -> dict[str, Any]:
    """PENGUIN with its own engine, and what is too little to train for."""
    low, high = bounds
    gain = 0.0 if low is None or high is None else max(LITTLE * (high - low), 0.0)
    return {"name": "penguin", "engine": "a4nn", "gain": gain}


def missing(module: str, package: str, extra: str) -> ImportError:
    """What to raise where an adapter's package is not installed."""
    return ImportError(f"{module} needs {package}: pip install 'a4nn[{extra}]'")
