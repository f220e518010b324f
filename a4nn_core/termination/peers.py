"""Rules that compare networks with each other. They are asked by the search loop, which knows all networks;
the worker that trains a network knows only that one.

Such a rule pauses and promotes: every network gets a few epochs, then it waits at its checkpoint until the
rule promotes it. Whenever networks reach their next judgement, all that wait are judged anew, so a network
that was paused can still be trained on when its rivals disappoint, up to the end of the search.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from a4nn_core.penguin.measure import SUPPOSED, Measure
from a4nn_core.penguin.observed import Observed, Past
from a4nn_core.termination.base import Context, TerminationRule, Verdict
from a4nn_core.vocabulary import Action, Curves


@dataclass(frozen=True, slots=True)
class Member:
    """A network among its peers.

    Attributes:
        number: number of the network.
        generation: generation that asked for it, from 0.
        observed: its architecture and its curves so far.
        costs: values of the objectives that are known before training, by name; smaller is better (those to
            be maximised have their sign changed).
    """

    number: int
    generation: int
    observed: Observed
    costs: Mapping[str, float]

    @property
    def epochs(self) -> int:
        """Number of epochs it has been trained."""
        return self.observed.epochs

    def costs_no_more_than(self, other: Member) -> bool:
        """Whether it is no worse than another network in every objective that is known before training."""
        return all(value <= other.costs[name] for name, value in self.costs.items())


@dataclass(frozen=True)
class Population:
    """All networks of a search that have been trained for at least one epoch, at one moment.

    Attributes:
        members: in the order in which they were asked for, without those that failed.
        waiting: numbers of the members that wait at a checkpoint for a verdict; the others are trained to the
            horizon, have been ended for good, or are in training.
        horizon: the last epoch of the budget.
        measure: what the curves of its members measure, and how precisely.
        curves: which weights were measured after the epochs.
        final: whether the search asks for no more networks, so that what is paused now stays paused.
        past: earlier runs that the experiment names as its prior.
        training: numbers of the members that are in training or about to be, on a steady schedule; when a
            generation is judged, none is.
    """

    members: tuple[Member, ...]
    waiting: frozenset[int]
    horizon: int
    measure: Measure = SUPPOSED
    curves: Curves = "as-trained"
    final: bool = False
    past: tuple[Past, ...] = ()
    training: frozenset[int] = frozenset()

    @property
    def candidates(self) -> tuple[Member, ...]:
        """The members that wait, in order."""
        return tuple(member for member in self.members if member.number in self.waiting)

    def reached(self, epoch: int) -> tuple[Member, ...]:
        """The members that have been trained for at least so many epochs, in order."""
        return tuple(member for member in self.members if member.epochs >= epoch)

    def candidates_by_epoch(self) -> Mapping[int, tuple[Member, ...]]:
        """The members that wait, by the number of epochs they have been trained."""
        epochs = sorted({member.epochs for member in self.candidates})
        return {e: tuple(member for member in self.candidates if member.epochs == e) for e in epochs}


class PeerJudge(Protocol):
    """A rule at work on one search; it may remember what it computed, but its verdicts depend on the
    population alone."""

    def compare(self, population: Population) -> Mapping[int, Verdict]:
        """A verdict for every member that waits, by number.

        ``continue`` trains the network until its next judgement, ``pause`` leaves it waiting, ``stop`` ends
        it for good. When no verdict is to continue, the generation ends, or on the final call the search.
        """


class PeerRule(TerminationRule):
    """A rule that compares networks with each other. To add one, see TerminationRule."""

    def judge(self, curve: Sequence[float], context: Context) -> Verdict:  # noqa: ARG002
        """Always to continue: the loop cuts training where ``next_judgement`` says."""
        return Verdict(Action.proceed)

    def next_judgement(self, epochs: int, horizon: int) -> int:
        """The epoch after which a network is judged next.

        Args:
            epochs: epochs it has been trained; 0 for a new network.
            horizon: the last epoch of the budget.
        """
        return min(epochs + 1, horizon)

    def judges_after(self, epochs: int, horizon: int) -> bool:
        """Whether a network is judged when it has been trained for so many epochs."""
        due = 0
        while due < min(epochs, horizon):
            due = self.next_judgement(due, horizon)
        return due == epochs

    def begin(self) -> PeerJudge:
        """The rule at work on one search."""
        return self

    @abstractmethod
    def compare(self, population: Population) -> Mapping[int, Verdict]:
        """See PeerJudge."""
