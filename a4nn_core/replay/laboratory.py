"""What a termination rule would have done to a search whose networks were all trained to the end.

The networks come in the recorded order, generation by generation or as soon as a device is free; each takes
the time of its epochs on a virtual clock. After every epoch the rule is asked, with the front of what had
been reported when the network started, as in a search; a rule that compares networks is asked whenever
networks wait for its judgement. The search itself is not repeated: the networks are the ones that the run
had.

How good a rule is shows in what it costs (epochs, multiply-adds, seconds) and in what is lost: the *regret*,
the largest deficit of the best network that is kept at no more cost, over the members of the true front.
"""

from __future__ import annotations

import heapq
import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from a4nn_core.errors import BadInput
from a4nn_core.hypervolume import hypervolume
from a4nn_core.metrics import DEFAULT_OBJECTIVES as OBJECTIVES
from a4nn_core.metrics import on_front
from a4nn_core.penguin.observed import Past
from a4nn_core.replay.histories import History, RunHistory
from a4nn_core.replay.recorded import AsRecorded
from a4nn_core.termination.base import Context, FrontSnapshot, Learning, TerminationRule
from a4nn_core.termination.fixed import Fixed
from a4nn_core.termination.peers import Member, PeerRule, Population
from a4nn_core.vocabulary import Action


@dataclass(frozen=True)
class Replayed:
    """One rule on one run.

    Attributes:
        run: its id.
        rule: name for people, with the settings that tell it from others.
        family: name of the rule.
        epochs: that each network was trained, in the order of the run.
        seconds: from the first epoch to the last on the virtual clock.
        device_use_percent: share of the devices' time in which they trained.
        epochs_saved_percent, flop_epochs_saved_percent, seconds_saved_percent: of what training every
            network to the end takes; the second weighs epochs with their multiply-adds. The third is None
            for a run of which networks were ended early, as are all that follow up to ``best_kept``.
        front_regret_points: largest deficit of the best kept network at no more cost, over the true front's
            members. True is the best validation accuracy by the last epoch; kept is the front that the rule's
            own scores select.
        front_regret_se, mean_regret_se: the largest and the mean deficit in standard errors of the true
            member's accuracy; None if the number of images is not known.
        hypervolume_share: of the kept front's hypervolume in the true front's, with the reference at the
            true front's worst corner; 1.0 for a front of one or two networks, which has no volume.
        finishing_epochs: that would still train the kept front to the end.
        front_finished, front_size: members of the true front that were trained to the end, and all.
        best_kept: whether the network with the best accuracy, or one as good, was trained to the end.
        modelled_seconds: whether times were modelled, see RunHistory.
        fixed_regret_se, fixed_hypervolume_share: of the rule that trains every network for the same epochs,
            at the same cost in epochs: between the two neighbouring numbers of epochs. None before
            ``with_fixed``.
    """

    run: str
    rule: str
    family: str
    epochs: tuple[int, ...]
    seconds: float
    device_use_percent: float
    epochs_saved_percent: float
    flop_epochs_saved_percent: float
    modelled_seconds: bool
    seconds_saved_percent: float | None = None
    front_regret_points: float | None = None
    front_regret_se: float | None = None
    mean_regret_se: float | None = None
    hypervolume_share: float | None = None
    finishing_epochs: int | None = None
    front_finished: int | None = None
    front_size: int | None = None
    best_kept: bool | None = None
    fixed_regret_se: float | None = None
    fixed_hypervolume_share: float | None = None


def with_fixed(history: RunHistory, done: Replayed) -> Replayed:
    """A replay with the figures of the rule ``fixed`` at the same cost beside its own."""
    if history.cut_short is not None:
        return done
    each = sum(done.epochs) / len(done.epochs)
    below = max(1, math.floor(each))
    above = min(history.epochs, below + 1)
    low, high = (replay(history, Fixed(epochs=epochs)) for epochs in (below, above))
    share = min(max(each - below, 0.0), 1.0)

    def between(one: float | None, other: float | None) -> float | None:
        return None if one is None or other is None else (1 - share) * one + share * other

    return replace(
        done,
        fixed_regret_se=between(low.front_regret_se, high.front_regret_se),
        fixed_hypervolume_share=between(low.hypervolume_share, high.hypervolume_share),
    )


def replay(
    history: RunHistory,
    rule: TerminationRule,
    *,
    devices: int = 1,
    steady: bool = False,
    name: str = "",
    past: tuple[Past, ...] = (),
) -> Replayed:
    """Run a rule over the complete curves of a run.

    Args:
        history: of the run.
        rule: to judge by.
        devices: that train at the same time.
        steady: start the next network as soon as a device is free, rather than after its generation's
            predecessors have ended.
        name: of the rule for people; by default its own.
        past: earlier runs that a rule may learn from.

    Raises:
        BadInput: a network was not trained to the end, and the rule is not ``as-recorded``; or the rule does
            not let a network go on from where it judges it.
    """
    if not isinstance(rule, AsRecorded):
        history.check_complete()
    cluster = _Cluster(history, rule, devices, past)
    if steady:
        cluster.run_steadily()
    else:
        cluster.run_generations()
    return _result(history, cluster, name or rule.name)


@dataclass(frozen=True, order=True, slots=True)
class _Training:
    """A network in training: when it ends, which one, after how many epochs, and whether for good."""

    end: float
    network: int
    epochs: int
    over: bool


class _Cluster:
    """The virtual devices, and what is known of the networks so far."""

    def __init__(
        self, history: RunHistory, rule: TerminationRule, devices: int, past: tuple[Past, ...]
    ) -> None:
        self.history = history
        self.rule = rule
        self.devices = devices
        self.now = 0.0
        self.busy = 0.0
        self.epochs = {one.network: 0 for one in history.networks}
        self._past = past
        self._peers = rule if isinstance(rule, PeerRule) else None
        self._judge = self._peers.begin() if self._peers else None
        self._networks = {one.network: one for one in history.networks}
        self._members: dict[int, Member] = {}
        self._waiting: set[int] = set()
        self._running: list[_Training] = []
        self._queue: deque[int] = deque()  # of those that are to be trained on, on a steady schedule
        self._results = 0
        self._front = FrontSnapshot(0, (), OBJECTIVES)

    def run_generations(self) -> None:
        """Each generation is trained until the rule promotes none of it, nor of those before it."""
        groups: dict[int, list[int]] = {}
        for one in self.history.networks:
            groups.setdefault(one.generation, []).append(one.network)
        for group in groups.values():
            front = self._snapshot()
            self._train_all(group, front)
            while promoted := self._promoted():
                self._train_all(promoted, front)
        while promoted := self._promoted(final=True):
            self._train_all(promoted, self._snapshot())

    def run_steadily(self) -> None:
        """A free device takes a promoted network, else the next new one; the rule is asked whenever a network
        has reached its judgement, for the final time as soon as all networks have reached their first."""
        new = deque(one.network for one in self.history.networks)
        while True:
            while len(self._running) < self.devices and (self._queue or new):
                self._start(self._queue.popleft() if self._queue else new.popleft(), self._snapshot())
            if self._running:
                self._wait()
            self._queue.extend(self._promoted(final=len(self._members) == len(self._networks)))
            if not self._running and not self._queue and not new:
                return

    def _train_all(self, networks: Sequence[int], front: FrontSnapshot) -> None:
        for network in networks:
            if len(self._running) == self.devices:
                self._wait()
            self._start(network, front)
        while self._running:
            self._wait()

    def _promoted(self, final: bool = False) -> list[int]:
        """The networks that wait and are to go on; those that are ended no longer wait."""
        if self._judge is None or not self._waiting:
            return []
        members = tuple(self._members[n] for n in self._networks if n in self._members)
        population = Population(
            members,
            frozenset(self._waiting),
            self.history.epochs,
            self.history.measure,
            self.history.curves,
            final,
            self._past,
            frozenset(self._members.keys() & {*self._queue, *(one.network for one in self._running)}),
        )
        verdicts = self._judge.compare(population)
        waiting = [member.number for member in population.candidates]
        promoted = [number for number in waiting if verdicts[number].action is Action.proceed]
        self._waiting -= {number for number in waiting if verdicts[number].action is not Action.pause}
        return promoted

    def _start(self, network: int, front: FrontSnapshot) -> None:
        one = self._networks[network]
        before = self.epochs[network]
        epochs, over = self._trained(one, before, front)
        seconds = sum(one.seconds[before:epochs])
        self.busy += seconds
        heapq.heappush(self._running, _Training(self.now + seconds, network, epochs, over))

    def _wait(self) -> None:
        """Until the next network has been trained as far as it was to be."""
        done = heapq.heappop(self._running)
        one = self._networks[done.network]
        self.now = done.end
        self.epochs[done.network] = done.epochs
        self._members[done.network] = Member(
            done.network, one.generation, one.observed(done.epochs), {"mflops": one.mflops}
        )
        self._results += 1
        if not done.over:
            self._waiting.add(done.network)

    def _snapshot(self) -> FrontSnapshot:
        if self._front.version != self._results:
            points = [
                _point(max(member.observed.validation), member.costs["mflops"])
                for member in self._members.values()
            ]
            self._front = FrontSnapshot.of(self._results, points, OBJECTIVES)
        return self._front

    def _trained(self, one: History, before: int, front: FrontSnapshot) -> tuple[int, bool]:
        """Epochs after which the training of a network is interrupted, and whether for good."""
        horizon = len(one.accuracy_percent)
        until = self._peers.next_judgement(before, horizon) if self._peers else horizon
        if until <= before:
            raise BadInput(
                f"the rule {self.rule.name!r} judges a network of {before} epochs again after {until}"
            )
        for epoch in range(before + 1, min(until, horizon - 1) + 1):
            context = self._context(one, epoch, front)
            action = self.rule.judge(one.accuracy_percent[:epoch], context).action
            if action is not Action.proceed:
                return epoch, True
        return until, until == horizon

    def _context(self, one: History, epoch: int, front: FrontSnapshot) -> Context:
        images = self.history.images.validation
        learning = None
        if images is not None:  # neither chance level nor training images are known to a replay
            learning = Learning(one.training_accuracy_percent[:epoch], 0.0, 0, images)
        return Context(
            horizon=self.history.epochs,
            schedule="annealed",
            curves=self.history.curves,
            fixed={"mflops": one.mflops},
            front=front,
            learning=learning,
        )


def _result(history: RunHistory, cluster: _Cluster, name: str) -> Replayed:
    networks = history.networks
    horizon = history.epochs
    epochs = [cluster.epochs[one.network] for one in networks]
    costs = [one.mflops for one in networks]
    done = Replayed(
        run=history.run,
        rule=name,
        family=cluster.rule.name,
        epochs=tuple(epochs),
        seconds=cluster.now,
        device_use_percent=100 * cluster.busy / (cluster.devices * cluster.now) if cluster.now else 100.0,
        epochs_saved_percent=100 - 100 * sum(epochs) / (horizon * len(epochs)),
        flop_epochs_saved_percent=100
        - 100 * float(np.dot(epochs, costs) / np.dot([horizon] * len(costs), costs)),
        modelled_seconds=history.modelled_seconds,
    )
    if history.cut_short is not None:  # how good its networks would have become is not known
        return done
    final = [max(one.accuracy_percent) for one in networks]
    scores = [max(one.accuracy_percent[:count]) for one, count in zip(networks, epochs, strict=True)]
    true, kept = _front(final, costs), _front(scores, costs)
    deficits = [
        max(0.0, final[member] - max((final[k] for k in kept if costs[k] <= costs[member]), default=0.0))
        for member in true
    ]
    errors = [history.images.validation_error(final[member]) for member in true]
    in_se = [d / e for d, e in zip(deficits, errors, strict=True) if e]
    spent = [sum(one.seconds[:count]) for one, count in zip(networks, epochs, strict=True)]
    errors_and_costs = np.column_stack([100 - np.array(final), costs])
    corner = errors_and_costs[true].max(axis=0).tolist()
    volume = hypervolume(errors_and_costs[true], corner)
    return replace(
        done,
        seconds_saved_percent=100 - 100 * sum(spent) / sum(sum(one.seconds) for one in networks),
        front_regret_points=max(deficits),
        front_regret_se=max(in_se) if in_se else None,
        mean_regret_se=sum(in_se) / len(in_se) if in_se else None,
        hypervolume_share=hypervolume(errors_and_costs[kept], corner) / volume if volume else 1.0,
        finishing_epochs=sum(horizon - epochs[member] for member in kept),
        front_finished=sum(epochs[member] == horizon for member in true),
        front_size=len(true),
        best_kept=any(
            count == horizon and value == max(final) for count, value in zip(epochs, final, strict=True)
        ),
    )


def _front(accuracies: Sequence[float], costs: Sequence[float]) -> list[int]:
    """Indices of the networks on the front, the cheapest first."""
    points = [_point(*network) for network in zip(accuracies, costs, strict=True)]
    stay = on_front(points, OBJECTIVES)
    return sorted((index for index, stays in enumerate(stay) if stays), key=lambda i: costs[i])


def _point(accuracy_percent: float, mflops: float) -> dict[str, float]:
    """A network as its objectives."""
    return {"error_percent": 100 - accuracy_percent, "mflops": mflops}
