"""What a termination rule would have done to a search whose networks were all trained to the end.

The networks come in the recorded order, generation by generation or as soon as a device is free; each takes
the time of its epochs on a virtual clock. After every epoch the rule is asked, with the front of what had
been reported when the network started, as in a search. The search itself is not repeated: the networks are
the ones that the run had.

How good a rule is shows in what it costs (epochs, multiply-adds, seconds) and in what is lost: the *regret*,
the largest deficit of the best network that is kept at no more cost, over the members of the true front.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from a4nn_core.metrics import DEFAULT_OBJECTIVES as OBJECTIVES
from a4nn_core.metrics import on_front
from a4nn_core.replay.histories import History, RunHistory
from a4nn_core.termination.base import Context, FrontSnapshot, TerminationRule
from a4nn_core.termination.fixed import Fixed
from a4nn_core.vocabulary import Action


@dataclass(frozen=True)
class Replayed:
    """One rule on one run.

    Attributes:
        run: its id.
        rule: name for people.
        epochs: that each network was trained, in the order of the run.
        seconds: from the first epoch to the last on the virtual clock.
        device_use_percent: share of the devices' time in which they trained.
        epochs_saved_percent, flop_epochs_saved_percent, seconds_saved_percent: of what training every
            network to the end takes; the second weighs epochs with their multiply-adds.
        front_regret_points: largest deficit of the best kept network at no more cost, over the true front's
            members. True is the best validation accuracy by the last epoch; kept is the front that the rule's
            own scores select.
        front_regret_se, mean_regret_se: the largest and the mean deficit in standard errors of the true
            member's accuracy; None if the number of images is not known.
        hypervolume_share: of the kept front's hypervolume in the true front's, with the reference at the
            true front's worst corner; 1.0 for a front of one or two networks, which has no volume.
        front_finished, front_size: members of the true front that were trained to the end, and all.
        best_kept: whether the network with the best accuracy, or one as good, was trained to the end.
        modelled_seconds: whether times were modelled, see RunHistory.
        fixed_regret_se, fixed_hypervolume_share: of the rule that trains every network for the same epochs,
            at the same cost in epochs: between the two neighbouring numbers of epochs. None before
            ``with_fixed``.
    """

    run: str
    rule: str
    epochs: tuple[int, ...]
    seconds: float
    device_use_percent: float
    epochs_saved_percent: float
    flop_epochs_saved_percent: float
    seconds_saved_percent: float
    front_regret_points: float
    front_regret_se: float | None
    mean_regret_se: float | None
    hypervolume_share: float
    front_finished: int
    front_size: int
    best_kept: bool
    modelled_seconds: bool
    fixed_regret_se: float | None = None
    fixed_hypervolume_share: float | None = None


def with_fixed(history: RunHistory, done: Replayed) -> Replayed:
    """A replay with the figures of the rule ``fixed`` at the same cost beside its own."""
    each = sum(done.epochs) / len(done.epochs)
    below = max(1, math.floor(each))
    above = min(history.epochs, below + 1)
    low, high = (replay(history, Fixed(epochs=epochs)) for epochs in (below, above))
    share = min(max(each - below, 0.0), 1.0)

    def between(one: float, other: float) -> float:
        return (1 - share) * one + share * other

    regret = None
    if low.front_regret_se is not None and high.front_regret_se is not None:
        regret = between(low.front_regret_se, high.front_regret_se)
    return replace(
        done,
        fixed_regret_se=regret,
        fixed_hypervolume_share=between(low.hypervolume_share, high.hypervolume_share),
    )


def replay(
    history: RunHistory, rule: TerminationRule, *, devices: int = 1, steady: bool = False, name: str = ""
) -> Replayed:
    """Run a rule over the complete curves of a run.

    Args:
        history: of the run.
        rule: to judge by.
        devices: that train at the same time.
        steady: start the next network as soon as a device is free, rather than after its generation's
            predecessors have ended.
        name: of the rule for people; by default its own.
    """
    clock = _Clock(history, rule, devices)
    clock.run(steady)
    return _result(history, clock, name or rule.name, devices)


class _Clock:
    """The virtual cluster."""

    def __init__(self, history: RunHistory, rule: TerminationRule, devices: int) -> None:
        self.history = history
        self.rule = rule
        self.devices = devices
        self.epochs: dict[int, int] = {}
        self.now = 0.0
        self.busy = 0.0
        self._reported: list[dict[str, float]] = []
        self._front = FrontSnapshot(0, (), OBJECTIVES)
        self._running: list[tuple[float, int, History]] = []

    def run(self, steady: bool) -> None:
        """Train every network as far as the rule lets it."""
        groups: list[list[History]] = []
        for one in self.history.networks:
            if not groups or (not steady and one.generation != groups[-1][0].generation):
                groups.append([])
            groups[-1].append(one)
        for group in groups:
            front = self._snapshot()
            for one in group:
                if len(self._running) == self.devices:
                    self._wait()
                self._start(one, self._snapshot() if steady else front)
            while self._running:
                self._wait()

    def _start(self, one: History, front: FrontSnapshot) -> None:
        epochs = self._trained(one, front)
        self.epochs[one.network] = epochs
        seconds = sum(one.seconds[:epochs])
        self.busy += seconds
        heapq.heappush(self._running, (self.now + seconds, one.network, one))

    def _wait(self) -> None:
        self.now, _, one = heapq.heappop(self._running)
        best = max(one.accuracy_percent[: self.epochs[one.network]])
        self._reported.append(_point(best, one.mflops))

    def _snapshot(self) -> FrontSnapshot:
        if self._front.version != len(self._reported):
            self._front = FrontSnapshot.of(len(self._reported), self._reported, OBJECTIVES)
        return self._front

    def _trained(self, one: History, front: FrontSnapshot) -> int:
        """Epochs after which the rule ends a network."""
        horizon = self.history.epochs
        context = Context(horizon=horizon, schedule="annealed", fixed={"mflops": one.mflops}, front=front)
        for epoch in range(1, horizon):
            if self.rule.judge(one.accuracy_percent[:epoch], context).action != Action.proceed:
                return epoch
        return horizon


def _result(history: RunHistory, clock: _Clock, name: str, devices: int) -> Replayed:
    networks = history.networks
    horizon = history.epochs
    epochs = [clock.epochs[one.network] for one in networks]
    final = [max(one.accuracy_percent) for one in networks]
    scores = [max(one.accuracy_percent[:count]) for one, count in zip(networks, epochs, strict=True)]
    costs = [one.mflops for one in networks]
    true, kept = _front(final, costs), _front(scores, costs)
    deficits = [
        max(0.0, final[member] - max((final[k] for k in kept if costs[k] <= costs[member]), default=0.0))
        for member in true
    ]
    errors = [history.images.validation_error(final[member]) for member in true]
    in_se = [d / e for d, e in zip(deficits, errors, strict=True) if e]
    spent = [sum(one.seconds[:count]) for one, count in zip(networks, epochs, strict=True)]
    volume = _hypervolume(true, final, costs, true)
    return Replayed(
        run=history.run,
        rule=name,
        epochs=tuple(epochs),
        seconds=clock.now,
        device_use_percent=100 * clock.busy / (devices * clock.now) if clock.now else 100.0,
        epochs_saved_percent=100 - 100 * sum(epochs) / (horizon * len(epochs)),
        flop_epochs_saved_percent=100 - 100 * float(np.dot(epochs, costs)) / (horizon * sum(costs)),
        seconds_saved_percent=100 - 100 * sum(spent) / sum(sum(one.seconds) for one in networks),
        front_regret_points=max(deficits),
        front_regret_se=max(in_se) if in_se else None,
        mean_regret_se=sum(in_se) / len(in_se) if in_se else None,
        hypervolume_share=_hypervolume(kept, final, costs, true) / volume if volume else 1.0,
        front_finished=sum(epochs[member] == horizon for member in true),
        front_size=len(true),
        best_kept=any(
            count == horizon and value == max(final) for count, value in zip(epochs, final, strict=True)
        ),
        modelled_seconds=history.modelled_seconds,
    )


def _front(accuracies: Sequence[float], costs: Sequence[float]) -> list[int]:
    """Indices of the networks on the front, the cheapest first."""
    points = [_point(*network) for network in zip(accuracies, costs, strict=True)]
    stay = on_front(points, OBJECTIVES)
    return sorted((index for index, stays in enumerate(stay) if stays), key=lambda i: costs[i])


def _point(accuracy_percent: float, mflops: float) -> dict[str, float]:
    """A network as its objectives."""
    return {"error_percent": 100 - accuracy_percent, "mflops": mflops}


def _hypervolume(
    members: Sequence[int], accuracies: Sequence[float], costs: Sequence[float], true: Sequence[int]
) -> float:
    """Area that networks dominate, up to the worst corner of the true front."""
    worst_cost = max(costs[i] for i in true)
    worst_accuracy = min(accuracies[i] for i in true)
    area, before, reached = 0.0, -math.inf, worst_accuracy
    for index in sorted(members, key=lambda i: costs[i]):
        if costs[index] > worst_cost:
            break
        if before > -math.inf:
            area += (costs[index] - before) * (reached - worst_accuracy)
        before, reached = costs[index], max(reached, accuracies[index])
    return area + (worst_cost - before) * (reached - worst_accuracy) if before > -math.inf else 0.0
