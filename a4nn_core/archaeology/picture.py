"""What the pictures of a run show, gathered from a commons."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING

from a4nn_core.commons.records import Epoch, EpochCount, Event, Network, Run, best_accuracy, front_among
from a4nn_core.precision import Images, in_percent
from a4nn_core.termination.endings import Ending, Endings
from a4nn_core.termination.endings import summary as why_ended
from a4nn_core.vocabulary import NetworkStatus, RunStatus

if TYPE_CHECKING:
    from a4nn_core.commons import Commons

WHISKERS = "± one standard error"
INTERVALS = "stopped early, interval predicted"
MOST_WHISKERS = 40
MOST_INTERVALS = 200
"""stopped networks whose predicted intervals are drawn; more would cover everything else"""


@dataclass(frozen=True)
class Curve:
    """One network's learning curve.

    Attributes:
        network: its number.
        generation: in which it was created; None if unknown.
        epochs, values: epochs from 1 and validation accuracy in percent.
        stopped: whether its rule ended it before the budget.
        predicted: what the last verdict expected at the end of the budget, percent;
            None if it made no prediction.
        finished: whether it has final records.
    """

    network: int
    generation: int | None
    epochs: list[int]
    values: list[float]
    stopped: bool
    predicted: float | None
    finished: bool


@dataclass(frozen=True)
class Point:
    """A network whose cost and accuracy are known.

    Attributes:
        record: the network's record.
        flops: multiply-adds for one image, above 0.
        accuracy_percent: best validation accuracy.
    """

    record: Network
    flops: int
    accuracy_percent: float

    @classmethod
    def of(cls, network: Network) -> Point | None:
        """The point of a network; None if its cost or its accuracy is not known."""
        if not network.flops or network.best_accuracy_percent is None:
            return None
        return cls(network, network.flops, network.best_accuracy_percent)

    @property
    def network(self) -> int:
        """Its number."""
        return self.record.network

    @property
    def generation(self) -> int:
        """Its generation; 0 where none was recorded."""
        return self.record.generation or 0

    @property
    def mflops(self) -> float:
        """Million multiply-adds for one image."""
        return self.flops / 1e6


@dataclass(frozen=True)
class Whisker:
    """One standard error to either side of a network's best validation accuracy.

    Attributes:
        point: the network it belongs to.
        below, above: percentage points; no accuracy is below 0 % or above 100 %.
    """

    point: Point
    below: float
    above: float


@dataclass(frozen=True)
class Interval:
    """Where a stopped network's accuracy was predicted to end.

    Attributes:
        point: the network it belongs to.
        low, high: percent, from 0 to 100.
    """

    point: Point
    low: float
    high: float

    @classmethod
    def of(cls, point: Point) -> Interval | None:
        """The interval of a stopped network; None if it was trained to the end, or nothing was predicted."""
        low, high = point.record.predicted_low, point.record.predicted_high
        if point.record.status is not NetworkStatus.stopped or low is None or high is None:
            return None
        return cls(point, min(max(low, 0.0), 100.0), min(max(high, 0.0), 100.0))


@dataclass
class Picture:
    """What the figures of one run show.

    Attributes:
        run: its id.
        title, summary: above the figures; the title is the run's id.
        horizon: last epoch of the budget.
        points: networks that were trained and whose cost and accuracy are known.
        front: those of them on the Pareto front.
        failed, finished: number of networks that did.
        curves: learning curves, also of networks in training.
        images: those on which accuracies were measured.
        endings: why networks were ended early.
        chance_percent: validation accuracy of always predicting the most frequent class; None if unknown.
    """

    run: str
    title: str
    summary: str
    horizon: int
    points: list[Point] = field(default_factory=list)
    front: list[Point] = field(default_factory=list)
    failed: int = 0
    finished: int = 0
    curves: list[Curve] = field(default_factory=list)
    images: Images = field(default_factory=Images)
    endings: list[Ending] = field(default_factory=list)
    chance_percent: float | None = None

    @property
    def caption(self) -> list[str]:
        """Which rules ended training, with an example; a line each."""
        return why_ended(self.endings)

    @property
    def generations(self) -> tuple[int, int]:
        """First and last generation."""
        known = [c.generation for c in self.curves if c.generation is not None]
        known += [p.generation for p in self.points]
        return (min(known), max(known)) if known else (0, 0)

    @property
    def intervals(self) -> list[Interval]:
        """Predicted intervals of the stopped networks; none if these are too many."""
        found = [one for point in self.points if (one := Interval.of(point)) is not None]
        return found if len(found) <= MOST_INTERVALS else []

    @property
    def whiskers(self) -> list[Whisker]:
        """Whiskers of the points that have no interval; if these are many, of those on the front only, as
        all would overlap."""
        shown = self.points if len(self.points) <= MOST_WHISKERS else self.front
        predicted = {one.point.network for one in self.intervals}
        plain = [point for point in shown if point.network not in predicted]
        errors = [(p, self.images.validation_error(p.accuracy_percent)) for p in plain]
        return [Whisker(p, *_reach(p.accuracy_percent, se)) for p, se in errors if se is not None]

    @property
    def accuracies(self) -> list[float]:
        """All accuracies that the points show, with their whiskers and intervals, in percent."""
        ends = [
            end
            for w in self.whiskers
            for end in (w.point.accuracy_percent - w.below, w.point.accuracy_percent + w.above)
        ]
        ends += [end for one in self.intervals for end in (one.low, one.high)]
        return [point.accuracy_percent for point in self.points] + ends

    @property
    def measurements(self) -> list[float]:
        """All accuracies that the curves show, with their predictions, in percent."""
        values = [value for curve in self.curves for value in curve.values]
        return values + [c.predicted for c in self.predicted if c.predicted is not None]

    def band(self, curve: Curve) -> list[tuple[float, float]]:
        """One standard error to either side of a curve, percent; empty if it is not known."""
        errors = [self.images.validation_error(value) for value in curve.values]
        return [
            (value - below, value + above)
            for value, se in zip(curve.values, errors, strict=True)
            if se is not None
            for below, above in [_reach(value, se)]
        ]

    @property
    def predicted(self) -> list[Curve]:
        """Curves that ended early, or go on, with a prediction that can be an accuracy."""
        return [
            c
            for c in self.curves
            if c.predicted is not None and 0 <= c.predicted <= 100 and (c.stopped or not c.finished)
        ]


def accuracy_range(drawn: Iterable[float]) -> tuple[float, float]:
    """Where an axis of accuracies begins and ends: a little beside what is drawn, never beyond 0 to 100 %.

    Args:
        drawn: all that the axis has to show, in percent; anything outside 0 to 100 is no accuracy.
    """
    values = [value for value in drawn if 0 <= value <= 100]
    low, high = min(values, default=0.0), max(values, default=100.0)
    margin = 0.07 * (high - low) or 1.0
    return max(0.0, low - margin), min(100.0, high + margin)


def whole_generations(first: int, last: int, most: int = 10) -> list[int]:
    """Generations to name beside a colour bar: whole ones, evenly spaced, the first among them."""
    return list(range(first, last + 1, -(-(last - first + 1) // most)))


def cost_floor(costs: list[float]) -> float:
    """Where the cost axis begins: a few networks far below all others are drawn there, with their cost.

    A genome without any connection costs ten thousand times less than the rest, and would leave them no room.
    """
    ordered = sorted(costs)
    usual = ordered[len(ordered) // 20]
    return usual / 2 if ordered[0] < usual / 10 else 0.0


def is_staircase(front: list[Point]) -> bool:
    """Whether accuracy rises with cost along the front: it does if these two are the objectives."""
    ordered = sorted(front, key=lambda n: (n.flops, n.accuracy_percent))
    values = [n.accuracy_percent for n in ordered]
    return all(a <= b for a, b in pairwise(values))


def _reach(accuracy_percent: float, se_points: float) -> tuple[float, float]:
    return min(se_points, accuracy_percent), min(se_points, 100 - accuracy_percent)


def picture(commons: Commons, run: str) -> Picture:
    """Gather what the figures of a run show.

    Raises:
        BadInput: the commons has no such run.
    """
    return picture_of(commons.run(run), commons.networks(run), commons.epochs(run), commons.events(run))


def picture_of(
    header: Run, networks: Sequence[Network], epochs: Sequence[Epoch], events: Sequence[Event]
) -> Picture:
    """What the figures of a run show, from its records."""
    front = {network.network for network in front_among(networks, header.objectives or {})}
    budgets = [budget for n in networks if (budget := n.epochs_budget)]
    points = [point for n in networks if n.trained and (point := Point.of(n)) is not None]
    return Picture(
        run=header.run,
        title=header.run,
        summary=_summary(header, networks, epochs),
        horizon=max([*budgets, *(e.epoch for e in epochs), header.epochs_budget or 1]),
        points=points,
        front=[point for point in points if point.network in front],
        failed=sum(n.status is NetworkStatus.failed for n in networks),
        finished=sum(n.status in (NetworkStatus.completed, NetworkStatus.stopped) for n in networks),
        curves=_curves(networks, epochs, events),
        images=header.images,
        endings=Endings.of(header, {network.network: network for network in networks}).all(),
        chance_percent=header.chance_percent,
    )


def _curves(networks: Sequence[Network], epochs: Sequence[Epoch], events: Sequence[Event]) -> list[Curve]:
    asked = {event.network: event.generation for event in events}
    recorded = {network.network: network for network in networks}
    measured: dict[int, list[tuple[Epoch, float]]] = {}
    for epoch in epochs:
        if epoch.validation_accuracy_percent is not None:
            measured.setdefault(epoch.network, []).append((epoch, epoch.validation_accuracy_percent))
    curves = []
    for number, measurements in sorted(measured.items()):
        final = recorded.get(number)
        last, _ = measurements[-1]
        curves.append(
            Curve(
                network=number,
                generation=final.generation if final else asked.get(number),
                epochs=[epoch.epoch for epoch, _ in measurements],
                values=[value for _, value in measurements],
                stopped=final is not None and final.status is NetworkStatus.stopped,
                predicted=final.predicted_accuracy_percent if final else last.predicted,
                finished=final is not None,
            )
        )
    return curves


def _summary(header: Run, networks: Sequence[Network], epochs: Sequence[Epoch]) -> str:
    best = best_accuracy(networks)
    trained = sum(bool(n.epochs_trained) and n.equal_to is None for n in networks)
    count = EpochCount.of(networks, header.epochs_budget)
    failed = sum(n.status is NetworkStatus.failed for n in networks)
    outside = sum(n.status is NetworkStatus.infeasible for n in networks)
    parts = [
        header.name if header.name and header.name != header.run else "",
        f"data: {header.dataset}" if header.dataset else "",
        f"{trained} network{'' if trained == 1 else 's'} trained",
        f"{failed} failed" if failed else "",
        f"{outside} outside the bounds" if outside else "",
        f"best {in_percent(best, header.images.validation_error(best))}" if best is not None else "",
        f"{count.trained} of {count.budget} epochs ({count.saved_percent:.1f} % saved)"
        if count.trained
        else f"{len(epochs)} epochs",
        "" if header.status is RunStatus.completed else header.status or "",
    ]
    return "  ·  ".join(part for part in parts if part)
