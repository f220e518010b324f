"""Pause and promote: the search's side of a rule that compares networks (termination/peers.py).

Its verdicts are events. What waits, and for what, follows from the journals and the last verdict on each
network, so a resumed search goes on as the interrupted one would have.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection, Iterable, Mapping, Sequence

from pydantic import TypeAdapter

from a4nn_core.commons import JournalEpoch, RunWriter
from a4nn_core.commons.events import Judged, payload
from a4nn_core.commons.records import Epoch, Event
from a4nn_core.experiment import Experiment
from a4nn_core.metrics import find_metric
from a4nn_core.penguin.measure import Measure
from a4nn_core.penguin.observed import Observed, Past
from a4nn_core.spaces.architecture import Architecture
from a4nn_core.spaces.features import architecture_features
from a4nn_core.termination.base import TerminationRule, Verdict
from a4nn_core.termination.peers import Member, PeerRule, Population
from a4nn_core.training.settings import Training
from a4nn_core.training.verdicts import judged
from a4nn_core.vocabulary import Action


def segment_ends(training: Training, rule: TerminationRule) -> list[int]:
    """The epochs after which a network's segments end, in order; the last is the budget."""
    horizon = training.epochs
    ends = {horizon, *judgements(rule, horizon)}
    if training.segment_epochs:
        ends |= set(range(training.segment_epochs, horizon, training.segment_epochs))
    return sorted(ends)


def judgements(rule: TerminationRule, horizon: int) -> frozenset[int]:
    """The epochs before the last after which a network is compared with its peers; none for a rule that does
    not compare."""
    found: set[int] = set()
    if isinstance(rule, PeerRule):
        epoch = rule.next_judgement(0, horizon)
        while epoch < horizon:
            found.add(epoch)
            epoch = max(rule.next_judgement(epoch, horizon), epoch + 1)
    return frozenset(found)


def segment_after(ends: Sequence[int], epochs: int) -> tuple[int, int]:
    """Number and last epoch of the segment that a network trained for ``epochs`` is in, or begins. It is
    derived from the epochs alone, so a segment that was cut short goes on as the same segment."""
    number = bisect_right(ends, epochs)
    return number, ends[min(number, len(ends) - 1)]


class Promotion:
    """The networks of a search under a rule that compares them.

    Args:
        rule: the rule.
        experiment: experiment of the run.
        writer: writer of the run's records.
        measure: what curves measure, and how precisely.
        past: earlier runs that the experiment names as its prior.

    Attributes:
        waiting: numbers of the networks that wait for a verdict.
        due: whether something has changed since the rule was last asked.
    """

    def __init__(
        self,
        rule: PeerRule,
        experiment: Experiment,
        writer: RunWriter,
        measure: Measure,
        past: Sequence[Past] = (),
    ) -> None:
        self.waiting: set[int] = set()
        self.due = False
        self._judge = rule.begin()
        self._at = judgements(rule, experiment.training.epochs)
        self._horizon = experiment.training.epochs
        self._known = [
            (name, way.sign)
            for name, way in experiment.search.objectives.items()
            if find_metric(name).before_training
        ]
        self._curves = experiment.training.curves
        self._events = writer.events
        self._measure = measure
        self._past = tuple(past)
        self._members: dict[int, Member] = {}
        self._verdicts: dict[int, dict[int, Verdict]] = {}

    def observe(
        self, number: int, generation: int, architecture: Architecture, epochs: Iterable[Epoch]
    ) -> None:
        """Take in how far a network has come."""
        before = self._members.get(number)
        features = architecture_features(architecture) if before is None else before.observed.features
        costs = (
            {name: sign * (find_metric(name).value(architecture) or 0.0) for name, sign in self._known}
            if before is None
            else before.costs
        )
        known = [(e.validation_score, e.train_score) for e in epochs]
        curve = tuple(accuracy for accuracy, _ in known if accuracy is not None)
        trained = tuple(accuracy for _, accuracy in known if accuracy is not None)
        if curve:
            observed = Observed(features, curve, trained if len(trained) == len(curve) else ())
            self._members[number] = Member(number, generation, observed, costs)

    def observed(self, number: int) -> Observed:
        """A network's architecture and curves so far."""
        return self._members[number].observed

    def forget(self, number: int) -> None:
        """A network failed: it is no peer."""
        self._members.pop(number, None)
        self.waiting.discard(number)

    def waits_at(self, epochs: int) -> bool:
        """Whether a network trained for so many epochs is to be compared now."""
        return epochs in self._at

    def arrived(self, number: int) -> None:
        """A network waits for a verdict."""
        self.waiting.add(number)
        self.due = True

    def left(self, number: int) -> None:
        """A network no longer waits."""
        self.waiting.discard(number)

    def judge(self, final: bool, training: Collection[int] = ()) -> dict[int, Verdict]:
        """The verdicts on the networks that wait, by number. Those that are new are logged.

        Args:
            final, training: see Population.
        """
        self.due = False
        population = Population(
            tuple(self._members[number] for number in sorted(self._members)),
            frozenset(self.waiting),
            self._horizon,
            self._measure,
            self._curves,
            final,
            self._past,
            frozenset(training) & self._members.keys(),
        )
        found = self._judge.compare(population) if self.waiting else {}
        verdicts = {n: found.get(n, Verdict(Action.pause)) for n in sorted(self.waiting)}
        for number, verdict in verdicts.items():
            member = self._members[number]
            before = self.verdict(number)
            if before is None or before.action is not verdict.action:
                self._events.append(_payload(member.epochs, verdict), number, member.generation)
            self._verdicts.setdefault(number, {})[member.epochs] = verdict
        return verdicts

    def verdict(self, number: int) -> Verdict | None:
        """The last verdict on a network at its present epoch; None if there is none yet."""
        return self._verdicts.get(number, {}).get(self._members[number].epochs)

    def replay(self, event: Event) -> None:
        """Take in a verdict from the event log."""
        known = payload(event, Judged)
        if event.network is not None:
            self._verdicts.setdefault(event.network, {})[known.epoch] = _verdict(known)

    def with_verdicts(self, number: int, journal: Sequence[JournalEpoch]) -> list[JournalEpoch]:
        """A network's epochs with the verdicts that were reached after them."""
        verdicts: Mapping[int, Verdict] = self._verdicts.get(number, {})
        return [
            judged(epoch, verdicts[epoch.epoch]) if epoch.epoch in verdicts else epoch for epoch in journal
        ]


_VERDICTS = TypeAdapter(Verdict)


def _payload(epoch: int, verdict: Verdict) -> Judged:
    return Judged(epoch=epoch, **_VERDICTS.dump_python(verdict, mode="json"))


def _verdict(known: Judged) -> Verdict:
    return _VERDICTS.validate_python(known.verdict())
