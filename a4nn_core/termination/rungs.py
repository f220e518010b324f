"""What the rules that promote from rung to rung share (asynchronous successive halving, ASHA)."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Annotated

from pydantic import Field

from a4nn_core.component import Unit
from a4nn_core.termination.base import Verdict
from a4nn_core.termination.peers import Member, PeerRule, Population
from a4nn_core.termination.reasons import Reason
from a4nn_core.vocabulary import Action


class RungRule(PeerRule):
    """Base of rules that train every network to the first rung, and from each rung to the next the best of
    those that have reached it, at any moment of the search.

    Rungs are at ``first``, ``first * eta``, ``first * eta**2``, ... epochs.
    """

    first: Annotated[int, Unit("epochs")] = Field(default=1, ge=1)
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
            best = self.best(peers, epochs, len(peers) // self.eta)
            promoted = {peers[index].number for index in best}
            last = peers[best[-1]] if best else None
            for member in candidates:
                verdicts[member.number] = (
                    Verdict(Action.proceed)
                    if member.number in promoted
                    else _waits(member, len(promoted), len(peers), last)
                )
        return verdicts

    @abstractmethod
    def best(self, peers: tuple[Member, ...], epoch: int, count: int) -> Sequence[int]:
        """The best networks by what they had reached after so many epochs.

        Args:
            peers: the networks of the rung.
            epoch: of the rung.
            count: how many are asked for.

        Returns:
            their indices, the best first.
        """


def _waits(member: Member, promoted: int, networks: int, last: Member | None) -> Verdict:
    evidence: dict[str, float | None] = {
        "epoch": member.epochs,
        "best": member.observed.best,
        "promoted": promoted,
        "networks": networks,
    }
    if last is not None:
        evidence |= {"rival": last.number, "rival_best": max(last.observed.validation[: member.epochs])}
    return Verdict(Action.pause, Reason.not_promoted, evidence=evidence)
