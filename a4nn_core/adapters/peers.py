"""Several networks trained side by side, under a rule that compares them. For loops that are not a search of
A4NN; the adapters for Optuna, Lightning and Ray Tune build on it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from a4nn_core.adapters.reported import doubt, reported
from a4nn_core.adapters.watch import Rule, read_direction
from a4nn_core.errors import BadInput
from a4nn_core.penguin.measure import Accuracy
from a4nn_core.penguin.observed import Observed, Past
from a4nn_core.termination.base import RULES, Context, FrontSnapshot, Verdict
from a4nn_core.termination.peers import Member, PeerRule, Population
from a4nn_core.vocabulary import Action, Curves, Direction

_METRIC = "accuracy_percent"


@dataclass
class _Network:
    """A network; its curves are accuracies in percent, or what corresponds to them.

    Attributes:
        until: the epoch that it is to be trained to before it is judged.
        reported: what was reported of its validation, in the metric's own unit.
        ended: for good.
    """

    number: int
    features: Mapping[str, float]
    costs: Mapping[str, float]
    until: int
    validation: list[float] = field(default_factory=list)
    training: list[float | None] = field(default_factory=list)
    reported: list[float] = field(default_factory=list)
    ended: bool = False

    @property
    def epochs(self) -> int:
        return len(self.validation)

    @property
    def observed(self) -> Observed:
        known = tuple(value for value in self.training if value is not None)
        return Observed(self.features, tuple(self.validation), known if len(known) == self.epochs else ())


@dataclass
class Peers:
    """Several networks, judged by a rule that compares them: pause and promote in one's own loop.

        peers = Peers(horizon=25, images=1000)
        for name, network in networks.items():
            peers.add(name, features={"log_flops": log(network.flops)}, costs={"mflops": network.flops / 1e6})
        while names := peers.next():
            for name in names:
                validation, training = networks[name].train_one_epoch()
                peers.report(name, peers.epochs(name) + 1, validation, training)

    A network that ``next`` does not name waits; keep its weights, as it may be named again.

    Attributes:
        horizon: the last epoch of the budget, counted from 1, the same for all.
        rule: name or settings of a termination rule that compares networks.
        bounds: the least and greatest value of the metric; (0, 1) for a share. Such rules judge accuracies in
            percent, so another metric is mapped to 0 to 100 by its bounds, and verdicts hold the evidence and
            the fits in percent, the prediction and the interval in the metric's own unit.
        direction: whether greater or smaller values are better, see Watch.
        images: number of validation images, by which ``front`` knows what cannot be told apart; None if not
            known.
        curves: what is measured after an epoch, see Watch.
        earlier: networks trained before, from which ``front`` learns; their horizon may differ.

    Raises:
        BadInput: an unknown rule or one that judges a single curve, a wrong setting, an open bound.
    """

    horizon: int
    rule: Rule = "front"
    bounds: tuple[float, float] = (0.0, 100.0)
    direction: Direction | str = Direction.maximise
    images: int | None = None
    curves: Curves = "as-trained"
    earlier: Sequence[Peers] = ()

    def __post_init__(self) -> None:
        if self.horizon < 1:
            raise BadInput(f"horizon = {self.horizon} is below 1: it is the last epoch of the budget")
        if self.images is not None and self.images < 1:
            raise BadInput(f"images = {self.images} is below 1: it is the number of validation images")
        self.direction = read_direction(self.direction, "direction")
        low, high = self.bounds
        if low is None or high is None or not -math.inf < low < high < math.inf:
            raise BadInput(
                f"bounds = {self.bounds!r}: networks are compared by a metric with a least and a greater "
                "greatest value, such as an accuracy"
            )
        for place, other in enumerate(self.earlier, 1):
            if other.direction is not self.direction:
                raise BadInput(
                    f"earlier {place} has values to {other.direction}, and here they are to {self.direction}"
                )
        rule = RULES.make(self.rule, "rule")
        if not isinstance(rule, PeerRule):
            raise BadInput(
                f"the rule {rule.name!r} judges one curve, as Watch does; several networks are judged by one "
                "that compares them, such as 'front', 'layers' or 'median'"
            )
        self._rule = rule
        self._measure = Accuracy.on(self.images)
        self._judge = rule.begin()
        self._past = tuple(e.past(f"earlier {place}") for place, e in enumerate(self.earlier, 1))
        self._known = {key for run in self._past for network in run.networks for key in network.features}
        self._networks: dict[str, _Network] = {}

    def add(
        self,
        name: str,
        features: Mapping[str, float] | None = None,
        costs: Mapping[str, float] | None = None,
        validation: Sequence[float] = (),
        training: Sequence[float] = (),
    ) -> None:
        """Add a network.

        Args:
            name: of the network.
            features: numbers that describe it, by name, from which ``front`` learns; one that it lacks counts
                as 0. With ``log_flops``, the logarithm of its multiply-adds, the rule is lenient with cheap
                networks.
            costs: what is known before training and should be small, by name; the same for all networks.
            validation: value of the metric on validation data after each epoch so far, if it was trained.
            training: the same on training data, or empty.

        Raises:
            BadInput: a network of that name exists, a number is not finite or out of bounds, other costs than
                those of the other networks, or an epoch beyond the horizon.
        """
        if name in self._networks:
            raise BadInput(f"there is a network {name!r} already")
        for kind, numbers in (("feature", features or {}), ("cost", costs or {})):
            for key, value in numbers.items():
                if not isinstance(value, int | float) or not math.isfinite(value):
                    raise BadInput(f"network {name!r}: the {kind} {key!r} = {value!r} is not a finite number")
        if self._known and features and self._known.isdisjoint(features):
            raise BadInput(
                f"network {name!r} has the features {', '.join(sorted(features))}, and earlier networks have "
                f"others: {', '.join(sorted(self._known))}"
            )
        for other, known in self._networks.items():
            if set(known.costs) != set(costs or {}):
                raise BadInput(
                    f"network {name!r} has {_listed(costs or {})} and network {other!r} "
                    f"{_listed(known.costs)}: networks are compared by the same costs"
                )
            break
        if len(validation) > self.horizon:
            raise BadInput(
                f"network {name!r} has {len(validation)} epochs, which is beyond the horizon, {self.horizon}"
            )
        if training and len(training) != len(validation):
            raise BadInput(
                f"network {name!r} has {len(training)} values on training data and {len(validation)} on "
                "validation data"
            )
        network = _Network(
            len(self._networks),
            {key: float(value) for key, value in (features or {}).items()},
            {key: float(value) for key, value in (costs or {}).items()},
            self._rule.next_judgement(0, self.horizon),
            [self._percent(value, name, epoch) for epoch, value in enumerate(validation, 1)],
            [self._percent(value, name, epoch) for epoch, value in enumerate(training, 1)]
            or [None] * len(validation),
            list(validation),
        )
        self._networks[name] = network

    def report(self, name: str, epoch: int, validation: float, training: float | None = None) -> None:
        """Take in what a network reached in an epoch.

        Args:
            name: of the network.
            epoch: counted from 1. An earlier one than expected replaces what was reported from there on, as
                after going back to a checkpoint.
            validation: value of the metric on validation data. One that is not a number, as after a training
                that diverged, counts as the worst value.
            training: the same on training data, if it is known. Early, it says more than validation does.

        Raises:
            BadInput: an unknown network, an epoch that is not the next one, or a value that is no number or
                out of bounds.

        Warns:
            UserWarning: the scale is probably wrong, or there are no numbers for several epochs.
        """
        network = self._network(name)
        if not 1 <= epoch <= network.epochs + 1:
            raise BadInput(
                f"network {name!r} reports epoch {epoch}, and epoch {network.epochs + 1} would be the next"
            )
        if epoch > self.horizon:
            raise BadInput(f"network {name!r}: epoch {epoch} is beyond the horizon, {self.horizon}")
        measured = self._percent(validation, name, epoch)
        trained = None if training is None else self._percent(training, name, epoch)
        if epoch <= network.epochs:
            self._judge = self._rule.begin()  # which may remember what is now replaced
        network.validation[epoch - 1 :] = [measured]
        network.reported[epoch - 1 :] = [validation]
        doubt(network.reported, self.bounds, "the value")
        network.training[epoch - 1 :] = [trained]
        if self._alone(network).action is not Action.proceed:
            network.ended = True

    def next(self, final: bool = True) -> tuple[str, ...]:
        """The networks to be trained on now, each up to the epoch that ``until`` says.

        These are the new ones and those under way to their next judgement. When there are none, all that wait
        are judged, and it is those that the rule promotes; when it promotes none, it is none, and training is
        over.

        Args:
            final: whether no more networks are going to be added, so that what waits now waits for good. With
                False, a rule such as ``front`` promotes fewer.
        """
        if self.under_way() or not self._waiting():
            return self.under_way()
        verdicts = self._judge.compare(self._population(self._waiting(), final))
        for network in self._waiting():
            verdict = verdicts.get(network.number, Verdict(Action.pause))
            network.ended = verdict.action is Action.stop
            if verdict.action is Action.proceed:
                network.until = self._rule.next_judgement(network.epochs, self.horizon)
        return self.under_way()

    def under_way(self) -> tuple[str, ...]:
        """The networks that are new, or on their way to their next judgement."""
        return tuple(name for name, n in self._networks.items() if not n.ended and n.epochs < n.until)

    def verdict(self, name: str) -> Verdict:
        """The verdict on one network among the others as they are now, if it was not to be asked about again:
        for loops that train one network after the other, and cannot revive those that wait.

        Between the epochs at which the rule compares, and at the end of the budget, it is to continue.

        Raises:
            BadInput: an unknown network.
        """
        network = self._network(name)
        alone = self._alone(network)
        judged = 0 < network.epochs < self.horizon and self._rule.judges_after(network.epochs, self.horizon)
        if alone.action is not Action.proceed or not judged:
            return self._in_unit(alone)
        verdicts = self._judge.compare(self._population([network], final=True))
        return self._in_unit(verdicts.get(network.number, Verdict(Action.pause)))

    def __contains__(self, name: str) -> bool:
        """Whether there is a network of that name."""
        return name in self._networks

    def epochs(self, name: str) -> int:
        """Number of epochs that a network has reported.

        Raises:
            BadInput: an unknown network.
        """
        return self._network(name).epochs

    def until(self, name: str) -> int:
        """The epoch to which a network is to be trained before it is judged; one that waits is there already.

        Raises:
            BadInput: an unknown network.
        """
        network = self._network(name)
        return network.epochs if network.ended else network.until

    def end(self, name: str) -> None:
        """A network is trained no further, for reasons of its own. What it reached stays known.

        Raises:
            BadInput: an unknown network.
        """
        self._network(name).ended = True

    def resume(self, name: str) -> None:
        """A network that was ended takes part again, from where it was.

        Raises:
            BadInput: an unknown network.
        """
        self._network(name).ended = False

    def has_ended(self, name: str) -> bool:
        """Whether a network is trained no further, by a verdict to stop or by ``end``.

        Raises:
            BadInput: an unknown network.
        """
        return self._network(name).ended

    def past(self, run: str) -> Past:
        """These networks as an earlier run.

        Args:
            run: name of it.
        """
        networks = tuple(network.observed for network in self._networks.values())
        return Past(run, self.horizon, self._measure, self.curves, networks)

    def _network(self, name: str) -> _Network:
        if name not in self._networks:
            known = ", ".join(self._networks) or "none"
            raise BadInput(f"there is no network {name!r}; known: {known}")
        return self._networks[name]

    def _waiting(self) -> list[_Network]:
        return [n for n in self._networks.values() if not n.ended and n.until <= n.epochs < self.horizon]

    def _population(self, waiting: Sequence[_Network], final: bool) -> Population:
        return Population(
            tuple(Member(n.number, 0, n.observed, n.costs) for n in self._networks.values() if n.epochs),
            frozenset(network.number for network in waiting),
            self.horizon,
            self._measure,
            self.curves,
            final,
            self._past,
        )

    def _alone(self, network: _Network) -> Verdict:
        """By the rules that look at one curve, where the rule has such parts."""
        if not 0 < network.epochs < self.horizon:
            return Verdict(Action.proceed)
        others = [n for n in self._networks.values() if n is not network and n.epochs]
        points = [{_METRIC: max(n.validation), **n.costs} for n in others]
        ways = {_METRIC: Direction.maximise, **dict.fromkeys(network.costs, Direction.minimise)}
        context = Context(
            self.horizon,
            curves=self.curves,
            fixed=network.costs,
            front=FrontSnapshot.of(len(others), points, ways),
        )
        return self._rule.judge(network.validation, context)

    def _percent(self, value: float, name: str, epoch: int) -> float:
        low, high = self.bounds
        value = reported(value, self.bounds, f"network {name!r}, epoch {epoch}: the value")
        if not math.isfinite(value):
            return 0.0
        if (low, high, self.direction) == (0.0, 100.0, Direction.maximise):
            return float(value)
        share = (value - low) / (high - low)
        return 100 * (share if self.direction is Direction.maximise else 1 - share)

    def _value(self, percent: float) -> float:
        low, high = self.bounds
        share = percent / 100 if self.direction is Direction.maximise else 1 - percent / 100
        return low + (high - low) * share

    def _in_unit(self, verdict: Verdict) -> Verdict:
        """A verdict with the prediction in the metric's unit, and the rival's name."""
        evidence = dict(verdict.evidence)
        if isinstance(rival := evidence.get("rival"), int | float):
            evidence["rival"] = list(self._networks)[int(rival)]
        interval = verdict.interval and sorted(map(self._value, verdict.interval))
        return replace(
            verdict,
            predicted=None if verdict.predicted is None else self._value(verdict.predicted),
            interval=(interval[0], interval[1]) if interval else None,
            evidence=evidence,
        )


def _listed(costs: Mapping[str, float]) -> str:
    return f"the costs {', '.join(sorted(costs))}" if costs else "no costs"


def features_of(settings: Mapping[str, object]) -> dict[str, float]:
    """Features from the settings of a network: numbers as they are, all else as one-hot, nested mappings by
    their path.

    >>> features_of({"width": 8, "norm": "batch", "head": {"layers": 2}})
    {'width': 8.0, 'norm=batch': 1.0, 'head/layers': 2.0}
    """
    found: dict[str, float] = {}
    for key, value in settings.items():
        if isinstance(value, Mapping):
            found |= {f"{key}/{name}": number for name, number in features_of(value).items()}
        elif isinstance(value, int | float):
            found[key] = float(value)
        else:
            found[f"{key}={value}"] = 1.0
    return found
