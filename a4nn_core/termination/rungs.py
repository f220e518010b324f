"""What the rules that promote from rung to rung share (asynchronous successive halving, ASHA)."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence

from pydantic import Field

from a4nn_core.termination.base import Verdict
from a4nn_core.termination.peers import Member, PeerRule, Population
from a4nn_core.termination.reasons import Reason
from a4nn_core.vocabulary import Action


class RungRule(PeerRule):
    """Base of rules that train every network to the first rung, and from each rung to the next the best of
    those that have reached it, at any moment of the search.

    Rungs are at ``first``, ``first * eta``, ``first * eta**2``, ... epochs.
    """

    first: int = Field(default=1, ge=1)
    """epochs of the first rung"""
    eta: int = Field(default=3, ge=2)
    """one in so many of the networks of a rung is promoted"""

    def next_judgement(self, epochs: int, horizon: int) -> int:
        """See PeerRule."""
        rung = self.first
        while rung <= epochs:
            rung *= self.eta
        return min(rung, horizon)

    def compare(self, population: Population) -> Mapping[int, Verdict]:
        """See PeerJudge."""
        verdicts: dict[int, Verdict] = {}
        for epochs, candidates in population.candidates_by_epoch().items():
            peers = population.reached(epochs)
            promoted = len(peers) // self.eta
            order = self.order(peers, epochs)
            places = {peers[index].number: place for place, index in enumerate(order)}
            last = peers[order[promoted - 1]] if promoted else None
            for member in candidates:
                place = places[member.number]
                verdicts[member.number] = (
                    Verdict(Action.proceed)
                    if place < promoted
                    else _waits(member, place, promoted, len(peers), last)
                )
        return verdicts

    @abstractmethod
    def order(self, peers: tuple[Member, ...], epoch: int) -> Sequence[int]:
        """Indices of the networks, the best first, by what they had reached after so many epochs."""


def _waits(member: Member, place: int, promoted: int, networks: int, last: Member | None) -> Verdict:
    evidence = {
        "epoch": member.epochs,
        "best": member.observed.best,
        "place": place + 1,
        "promoted": promoted,
        "networks": networks,
    }
    if last is not None:
        evidence |= {"rival": last.number, "rival_best": max(last.observed.accuracy[: member.epochs])}
    return Verdict(Action.pause, Reason.not_promoted, evidence=evidence)
