"""Pause and promote: the networks that promise to better the front are trained on, all others wait.

Every network gets a few epochs. Then, whenever networks reach their next judgement, the final accuracy of all
that wait is forecast (``penguin/predictor.py``). The *promise* of a network is by how much it is expected to
better the best network at no more cost, beyond what cannot be told apart, in standard errors of that one's
accuracy; divided by the share of the training that is still to be paid for it, and greater for networks
whose training costs little. The most promising ones are trained for one epoch, then all are judged anew.
While the search still asks for networks, only a share of them is promoted, as later ones may turn out better;
nobody is ended for good. On the final call the bar is lower and there is no such limit, and what is on the
measured front by then is trained to the end.

A network's score is the best *measured* accuracy; a forecast never enters the front.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from a4nn_core.component import Unit
from a4nn_core.penguin.measure import Kind
from a4nn_core.penguin.predictor import EarlierRuns, Forecast, PerformancePredictor
from a4nn_core.penguin.slopes import TABLES, Slopes
from a4nn_core.penguin.status import Status
from a4nn_core.termination.base import Evidence, FitRecord, Verdict
from a4nn_core.termination.peers import Member, PeerJudge, PeerRule, Population
from a4nn_core.termination.reasons import Reason
from a4nn_core.vocabulary import Action

_EXPRESSION = "log error = mean + offset + slopes (log training, log validation error) + f(architecture)"


class Front(PeerRule):
    """Give every network a few epochs, and train on those that are expected to better the front."""

    name: Literal["front"] = "front"
    epochs: Annotated[int, Unit("epochs")] = Field(2, ge=1)
    """epochs that every network gets; on a short budget fewer, at most a third of it"""
    resolution: Annotated[float, Unit("standard errors")] = Field(0.25, ge=0, allow_inf_nan=False)
    """what cannot be told apart: a smaller improvement counts for nothing; the errors are those of the
    accuracy to be bettered"""
    promise: Annotated[float, Unit("standard errors")] = Field(0.2, ge=0, allow_inf_nan=False)
    """promise from which a network is trained on"""
    final_promise: Annotated[float, Unit("standard errors")] = Field(0.1, ge=0, allow_inf_nan=False)
    """the same when the search asks for no more networks"""
    share: float = Field(0.1, gt=0, le=1)
    """share of the networks asked for so far that may be promoted before the search asks for no more"""
    at_once: Annotated[int, Unit("networks")] = Field(2, ge=1)
    """networks that are trained on at the same time at most"""
    leniency: float = Field(1.0, ge=0, allow_inf_nan=False)
    """the promise counts times this power of the median network's multiply-adds over its own; 0: all alike"""

    def next_judgement(self, epochs: int, horizon: int) -> int:
        """See PeerRule."""
        return min(max(epochs + 1, self.first(horizon)), horizon)

    def first(self, horizon: int) -> int:
        """Epochs that every network gets."""
        return min(self.epochs, max(1, horizon // 3))

    def begin(self, slopes: Mapping[Kind, Slopes] = TABLES) -> PeerJudge:
        """The rule at work on one search.

        Args:
            slopes: what was learned about curves before, by their kind.
        """
        return _Judge(self, slopes)

    def compare(self, population: Population) -> Mapping[int, Verdict]:
        """See PeerJudge."""
        return self.begin().compare(population)


@dataclass(frozen=True)
class _Promise:
    """A network that waits, what is forecast for it, and what that is worth.

    Attributes:
        rival: the best network at no more cost; None if none is.
        forecast: of its final accuracy.
        promise: see above.
    """

    member: Member
    forecast: Forecast
    rival: Member | None
    promise: float

    @property
    def evidence(self) -> Evidence:
        found: dict[str, float | None] = {
            "best": self.member.observed.best,
            "promise": self.promise,
            **self.forecast.evidence,
        }
        if self.rival is not None:
            found |= {"rival": self.rival.number, "rival_accuracy": self.rival.observed.best}
        return found


class _Judge:
    """The rule with what it computed; a forecast depends on the finished networks and the curve alone."""

    def __init__(self, rule: Front, slopes: Mapping[Kind, Slopes]) -> None:
        self.rule, self.slopes = rule, slopes
        self._earlier = EarlierRuns((), slopes)
        self._finished: tuple[int, ...] | None = None
        self._predictor: PerformancePredictor | None = None
        self._forecasts: dict[tuple[int, int], Forecast] = {}

    def compare(self, population: Population) -> Mapping[int, Verdict]:
        """See PeerJudge."""
        started = time.perf_counter()
        promises = self._promises(population)
        microseconds = 1e6 * (time.perf_counter() - started) / max(len(promises), 1)
        bar = self.rule.final_promise if population.final else self.rule.promise
        chosen = {p.member.number for p in self._chosen(promises, population, bar)}
        on_front = set()
        if population.final and all(p.promise < bar for p in promises):
            on_front = {p.member.number for p in promises if _on_front(p.member, population.members)}
        verdicts = {}
        for promise in promises:
            number = promise.member.number
            if number in on_front:
                reason = Reason.on_front
            elif number in chosen:
                reason = Reason.promising
            else:
                reason = Reason.queued if promise.promise >= bar else Reason.outclassed
            goes_on = number in chosen or number in on_front
            verdicts[number] = Verdict(
                Action.proceed if goes_on else Action.pause,
                reason,
                predicted=promise.forecast.value,
                interval=promise.forecast.interval,
                evidence=promise.evidence,
                fits=(_record(promise.forecast, microseconds),),
            )
        return verdicts

    def _chosen(self, promises: Sequence[_Promise], population: Population, bar: float) -> list[_Promise]:
        """Those to be trained on, the most promising first."""
        first = self.rule.first(population.horizon)
        ranked = sorted(
            (p for p in promises if p.promise >= bar), key=lambda p: (-p.promise, p.member.number)
        )
        training = {member.number for member in population.members} & population.training
        places = len(population.members)
        if not population.final:
            promoted = sum(m.epochs > first or m.number in training for m in population.members)
            places = max(1, math.floor(self.rule.share * len(population.members))) - promoted
        chosen: list[_Promise] = []
        for promise in ranked:
            new = promise.member.epochs <= first
            if len(training) + len(chosen) >= self.rule.at_once:
                break
            if new and places <= 0:
                continue
            places -= new
            chosen.append(promise)
        return chosen

    def _promises(self, population: Population) -> list[_Promise]:
        members = population.members
        forecasts = self._forecast(population)
        best = np.array([_best(member) for member in members])
        rivals = np.where(_no_dearer(members), best, -np.inf)
        sizes = [s for member in members if (s := _log_flops(member)) is not None]
        usual = median(sizes) if sizes else 0.0
        found = []
        for place, member in enumerate(members):
            if member.number not in population.waiting:
                continue
            forecast = forecasts[member.number, member.epochs]
            first = int(np.argmax(rivals[place]))
            rival = members[first] if np.isfinite(rivals[place, first]) else None
            bar = float(max(best[place], rivals[place, first]))
            error = population.measure.standard_error(bar)
            gain = forecast.expected_improvement(bar + self.rule.resolution * error)
            size = _log_flops(member)
            lenient = math.exp(self.rule.leniency * (usual - size)) if size is not None else 1.0
            left = 1 - member.epochs / population.horizon
            found.append(_Promise(member, forecast, rival, gain / error * lenient / left))
        return found

    def _forecast(self, population: Population) -> Mapping[tuple[int, int], Forecast]:
        finished = tuple(sorted(m.number for m in population.members if m.epochs >= population.horizon))
        if self._predictor is None or finished != self._finished:
            if self._predictor is None:
                self._earlier = EarlierRuns(population.past, self.slopes)
            self._finished, self._forecasts = finished, {}
            self._predictor = PerformancePredictor(
                [m.observed for m in population.members if m.epochs >= population.horizon],
                population.horizon,
                population.measure,
                population.curves,
                past=self._earlier,
                slopes=self.slopes,
            )
        new = [m for m in population.candidates if (m.number, m.epochs) not in self._forecasts]
        for member, forecast in zip(new, self._predictor.predict([m.observed for m in new]), strict=True):
            self._forecasts[member.number, member.epochs] = forecast
        return self._forecasts


def _record(forecast: Forecast, microseconds: float) -> FitRecord:
    low, high = forecast.interval
    return FitRecord(
        "front-gp",
        _EXPRESSION,
        forecast.evidence,
        forecast.value,
        low,
        high,
        None,
        Status.predicted,
        microseconds,
    )


def _best(member: Member) -> float:
    return member.observed.best or 0.0


def _log_flops(member: Member) -> float | None:
    return member.observed.features.get("log_flops")


def _no_dearer(members: Sequence[Member]) -> NDArray[np.bool_]:
    """Whether the member of the column is another than that of the row, and no worse in any cost; (n, n)."""
    names = sorted({name for member in members for name in member.costs})
    costs = np.array([[member.costs[name] for name in names] for member in members])
    return np.asarray((costs[None] <= costs[:, None]).all(axis=-1) & ~np.eye(len(members), dtype=bool))


def _on_front(member: Member, members: Sequence[Member]) -> bool:
    """Whether no other is better at no more cost, or as good at less."""
    return not any(
        other.costs_no_more_than(member)
        and (_best(other) > _best(member) or (_best(other) == _best(member) and other.costs != member.costs))
        for other in members
        if other is not member
    )
