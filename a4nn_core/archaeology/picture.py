"""What the pictures of a run show, gathered from a commons."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING

from a4nn_core.archaeology.quality import ACCURACY, Quality
from a4nn_core.commons.records import Epoch, EpochCount, Event, Network, Run, best_network, front_among
from a4nn_core.precision import Images
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
        epochs, values: epochs from 1 and validation scores.
        errors: standard error of each score; None where it is not known.
        stopped: whether its rule ended it before the budget.
        predicted: score that the last verdict expected at the end of the budget; None if it made no
            prediction.
        finished: whether it has final records.
    """

    network: int
    generation: int | None
    epochs: list[int]
    values: list[float]
    errors: list[float | None]
    stopped: bool
    predicted: float | None
    finished: bool


@dataclass(frozen=True)
class Point:
    """A network whose cost and score are known.

    Attributes:
        record: the network's record.
        flops: multiply-adds for one image, above 0.
        score: best validation score.
        error: its standard error; None if it is not known.
    """

    record: Network
    flops: int
    score: float
    error: float | None = None

    @classmethod
    def of(cls, network: Network, images: Images) -> Point | None:
        """The point of a network; None if its cost or its score is not known.

        Args:
            network: its record.
            images: those that accuracies of its run were measured on.
        """
        best = network.score(images)
        if not network.flops or best.value is None:
            return None
        return cls(network, network.flops, best.value, best.error)

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
    """One standard error to either side of a network's best validation score.

    Attributes:
        point: the network it belongs to.
        below, above: how far it reaches; an accuracy is not below 0 % or above 100 %.
    """

    point: Point
    below: float
    above: float


@dataclass(frozen=True)
class Interval:
    """Where a stopped network's score was predicted to end.

    Attributes:
        point: the network it belongs to.
        low, high: scores; of accuracies from 0 to 100 %.
    """

    point: Point
    low: float
    high: float

    @classmethod
    def of(cls, point: Point, quality: Quality) -> Interval | None:
        """The interval of a stopped network; None if it was trained to the end, or nothing was predicted."""
        low, high = point.record.predicted_low, point.record.predicted_high
        if point.record.status is not NetworkStatus.stopped or low is None or high is None:
            return None
        return cls(point, quality.within(low), quality.within(high))


@dataclass
class Picture:
    """What the figures of one run show.

    Attributes:
        run: its id.
        title, summary: above the figures; the title is the run's id.
        horizon: last epoch of the budget.
        points: networks that were trained and whose cost and score are known.
        front: those of them on the Pareto front.
        failed, finished: number of networks that did.
        curves: learning curves, also of networks in training.
        quality: what scores are.
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
    quality: Quality = ACCURACY
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
        found = [one for point in self.points if (one := Interval.of(point, self.quality)) is not None]
        return found if len(found) <= MOST_INTERVALS else []

    @property
    def whiskers(self) -> list[Whisker]:
        """Whiskers of the points that have no interval; if these are many, of those on the front only, as
        all would overlap."""
        shown = self.points if len(self.points) <= MOST_WHISKERS else self.front
        predicted = {one.point.network for one in self.intervals}
        plain = [point for point in shown if point.network not in predicted]
        return [Whisker(p, *self._reach(p.score, se)) for p in plain if (se := p.error) is not None]

    @property
    def scores(self) -> list[float]:
        """All scores that the points show, with their whiskers and intervals."""
        ends = [end for w in self.whiskers for end in (w.point.score - w.below, w.point.score + w.above)]
        ends += [end for one in self.intervals for end in (one.low, one.high)]
        return [point.score for point in self.points] + ends

    @property
    def measurements(self) -> list[float]:
        """All scores that the curves show, with their predictions."""
        values = [value for curve in self.curves for value in curve.values]
        return values + [c.predicted for c in self.predicted if c.predicted is not None]

    def band(self, curve: Curve) -> list[tuple[float, float]]:
        """One standard error to either side of a curve; empty if it is not known of every epoch."""
        reaches = [
            (value, self._reach(value, se))
            for value, se in zip(curve.values, curve.errors, strict=True)
            if se is not None
        ]
        if len(reaches) < len(curve.values):
            return []
        return [(value - below, value + above) for value, (below, above) in reaches]

    def _reach(self, score: float, error: float) -> tuple[float, float]:
        """How far a whisker of one standard error reaches down and up, without leaving what is possible."""
        within = self.quality.within
        return min(error, score - within(-math.inf)), min(error, within(math.inf) - score)

    @property
    def predicted(self) -> list[Curve]:
        """Curves that ended early, or go on, with a prediction that can be a score."""
        return [
            c
            for c in self.curves
            if c.predicted is not None
            and self.quality.possible(c.predicted)
            and (c.stopped or not c.finished)
        ]


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
    """Whether scores rise with cost along the front: they do if these two are the objectives."""
    ordered = sorted(front, key=lambda n: (n.flops, n.score))
    values = [n.score for n in ordered]
    return all(a <= b for a, b in pairwise(values))


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
    points = [point for n in networks if n.trained and (point := Point.of(n, header.images)) is not None]
    return Picture(
        run=header.run,
        title=header.run,
        summary=_summary(header, networks, epochs),
        horizon=max([*budgets, *(e.epoch for e in epochs), header.epochs_budget or 1]),
        points=points,
        front=[point for point in points if point.network in front],
        failed=sum(n.status is NetworkStatus.failed for n in networks),
        finished=sum(n.status in (NetworkStatus.completed, NetworkStatus.stopped) for n in networks),
        curves=_curves(header, networks, epochs, events),
        quality=Quality.of(header.task),
        endings=Endings.of(header, {network.network: network for network in networks}).all(),
        chance_percent=header.chance_percent,
    )


def _curves(
    header: Run, networks: Sequence[Network], epochs: Sequence[Epoch], events: Sequence[Event]
) -> list[Curve]:
    asked = {event.network: event.generation for event in events}
    recorded = {network.network: network for network in networks}
    measured: dict[int, list[tuple[Epoch, float]]] = {}
    for epoch in epochs:
        if epoch.validation_score is not None:
            measured.setdefault(epoch.network, []).append((epoch, epoch.validation_score))
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
                errors=[epoch.score(header.images).error for epoch, _ in measurements],
                stopped=final is not None and final.status is NetworkStatus.stopped,
                predicted=final.predicted_score if final else last.predicted,
                finished=final is not None,
            )
        )
    return curves


def _summary(header: Run, networks: Sequence[Network], epochs: Sequence[Epoch]) -> str:
    best = best_network(networks)
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
        f"best {best.score(header.images)}" if best is not None else "",
        f"{count.trained} of {count.budget} epochs ({count.saved_percent:.1f} % saved)"
        if count.trained
        else f"{len(epochs)} epochs",
        "" if header.status is RunStatus.completed else header.status or "",
    ]
    return "  ·  ".join(part for part in parts if part)
