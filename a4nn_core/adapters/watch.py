"""A watch over one training run: one value per epoch in, a verdict out. The other adapters build on it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypedDict

from a4nn_core.adapters.reported import doubt, reported
from a4nn_core.errors import BadInput
from a4nn_core.termination.base import RULES, Context, FrontSnapshot, Verdict
from a4nn_core.termination.peers import PeerRule
from a4nn_core.vocabulary import Bounds, Curves, Direction, Schedule

LITTLE = 0.005
"""Share of the metric's range that is not worth training for, unless a rule says otherwise."""

Rule = str | Mapping[str, object]
"""Name or settings of a termination rule."""


class WatchSettings(TypedDict, total=False):
    """Arguments that adapters pass on to ``Watch``, which documents them."""

    rule: Rule | None
    direction: Direction | str
    schedule: Schedule | None
    curves: Curves
    incumbent: float | None
    front: Sequence[Mapping[str, float]]
    objectives: Mapping[str, Direction | str]
    fixed: Mapping[str, float]


@dataclass
class Watch:
    """One network's training, watched by a termination rule.

    Attributes:
        horizon: the last epoch of the budget, counted from 1.
        rule: name or settings of a termination rule; by default ``interval``, which ends training when the
            front or the incumbent is out of reach, or when no more than half a percent of the metric's range
            can be gained.
        metric: name of the metric.
        bounds: the least and greatest value the metric can take, None where open; (0, 1) for a share.
        direction: whether greater or smaller values are better: ``maximise`` or ``minimise``, also written
            ``max`` or ``min``.
        schedule: what is known of the learning rate: ``annealed`` (it falls to nearly zero by the horizon)
            or ``constant``. Knowing it makes the interval narrower.
        curves: what is measured after an epoch: the newest weights (``as-trained``), or an average of them
            with recomputed statistics of batch normalisation (``averaged``), whose curves are smoother.
        incumbent: the best value so far of other networks, which this one has to beat.
        front: instead of one incumbent, the current Pareto front in several objectives: one mapping of
            objective name to value per member.
        objectives: objective name to direction, for the front.
        fixed: objectives of this network that are known before training, such as its cost: name to value.
        curve: the values so far, one per epoch.

    Raises:
        BadInput: an unknown rule, a wrong setting, a horizon below 1, or a value that is no number or out of
            bounds.
    """

    horizon: int
    rule: Rule | None = None
    metric: str = "accuracy_percent"
    bounds: Bounds = (0.0, 100.0)
    direction: Direction | str = Direction.maximise
    schedule: Schedule | None = None
    curves: Curves = "as-trained"
    incumbent: float | None = None
    front: Sequence[Mapping[str, float]] = ()
    objectives: Mapping[str, Direction | str] = field(default_factory=dict)
    fixed: Mapping[str, float] = field(default_factory=dict)
    curve: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        if self.horizon < 1:
            raise BadInput(f"horizon = {self.horizon} is below 1: it is the last epoch of the budget")
        if self.incumbent is not None and self.front:
            raise BadInput("give either an incumbent or a front, not both")
        self.direction = read_direction(self.direction, "direction")
        self._objectives = {
            name: read_direction(direction, f"direction of the objective {name!r}")
            for name, direction in self.objectives.items()
        }
        self._judge = RULES.make(default_rule(self.bounds) if self.rule is None else self.rule, "rule")
        if isinstance(self._judge, PeerRule):
            raise BadInput(
                f"the rule {self._judge.name!r} compares the networks of a search; one curve can be watched "
                "by a rule such as 'interval', 'converged' or 'patience', and several networks by Peers"
            )
        if self.incumbent is not None:
            self.incumbent = self._checked(self.incumbent, "incumbent")
        for place, point in enumerate(self.front, 1):
            if self.metric in point:
                self._checked(point[self.metric], f"front {place}: {self.metric}")
        self.curve[:] = [
            self._checked(value, f"{self.metric} of epoch {epoch}")
            for epoch, value in enumerate(self.curve, 1)
        ]
        doubt(self.curve, self.bounds, self.metric)
        self.verdict()  # so that wrong settings are refused now, not after the first epochs

    def __call__(self, value: float) -> Verdict:
        """The verdict after one more epoch.

        Args:
            value: value of the metric after that epoch; NaN if it was not measured.

        Raises:
            BadInput: it is no number, or out of bounds.

        Warns:
            UserWarning: the scale is probably wrong, or there are no numbers for several epochs.
        """
        self.curve.append(self._checked(value, f"{self.metric} of epoch {len(self.curve) + 1}"))
        doubt(self.curve, self.bounds, self.metric)
        return self.verdict()

    def verdict(self) -> Verdict:
        """The verdict after the epochs so far. In the last epoch of the budget there is nothing to end."""
        points = tuple(self.front) if self.incumbent is None else ({self.metric: self.incumbent},)
        context = Context(
            horizon=self.horizon,
            metric=self.metric,
            direction=Direction(self.direction),
            bounds=self.bounds,
            schedule=self.schedule,
            curves=self.curves,
            fixed=self.fixed,
            front=FrontSnapshot(0, points, self._objectives),
        )
        return self._judge.judge(self.curve, context)

    def _checked(self, value: object, place: str) -> float:
        return reported(value, self.bounds, place)


def read_direction(text: str, place: str) -> Direction:
    """Parse a direction as people write it.

    Raises:
        BadInput: it is not a direction; the message names the place.
    """
    try:
        return Direction(text)
    except ValueError:
        raise BadInput(f"{place} = {text!r} is neither 'maximise' nor 'minimise'") from None


def default_rule(bounds: Bounds) -> dict[str, object]:
    """The rule ``interval``, with the gain that is too small to train for."""
    low, high = bounds
    gain = 0.0 if low is None or high is None else max(LITTLE * (high - low), 0.0)
    return {"name": "interval", "gain": gain}


def missing(module: str, package: str, extra: str) -> ImportError:
    """The error to raise where an adapter's package is not installed."""
    return ImportError(f"{module} needs {package}: pip install 'a4nn[{extra}]'")
