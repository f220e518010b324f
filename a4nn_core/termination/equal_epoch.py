"""What the rules that compare networks at equal epoch share: when they judge, and whom they spare."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from a4nn_core.component import Unit
from a4nn_core.termination.base import Verdict
from a4nn_core.termination.peers import Member, PeerRule, Population
from a4nn_core.termination.reasons import Reason
from a4nn_core.vocabulary import Action


class EqualEpochRule(PeerRule):
    """Base of rules that judge a network after every epoch among all that have been trained as long."""

    startup: Annotated[int, Unit("networks")] = Field(default=10, ge=1)
    """fewest other networks that must have been trained as long before a network is ended"""
    warmup: Annotated[int, Unit("epochs")] = Field(default=3, ge=1)
    """epochs after which a network is judged for the first time"""

    def next_judgement(self, epochs: int, horizon: int) -> int:
        """See PeerRule."""
        return min(max(epochs + 1, self.warmup), horizon)

    def compare(self, population: Population) -> Mapping[int, Verdict]:
        """See PeerJudge."""
        verdicts: dict[int, Verdict] = {}
        for epoch, candidates in population.candidates_by_epoch().items():
            peers = population.reached(epoch)
            if epoch < self.warmup or len(peers) <= self.startup:
                verdicts |= {member.number: Verdict(Action.proceed) for member in candidates}
            else:
                verdicts |= self.judge_among(candidates, peers, epoch)
        return verdicts

    @abstractmethod
    def judge_among(
        self, candidates: tuple[Member, ...], peers: tuple[Member, ...], epoch: int
    ) -> Mapping[int, Verdict]:
        """Verdicts for networks that have been trained for equally many epochs.

        Args:
            candidates: to be judged.
            peers: all that have been trained as long or longer, the candidates among them.
            epoch: that they are compared at.
        """


def against(own: float, others: Mapping[int, float], needed: float, epoch: int) -> Verdict:
    """The verdict on a network that must reach some value.

    Args:
        own: its best value so far.
        others: what the other networks are compared by, by number.
        needed: the value to reach, which follows from theirs.
        epoch: that they are compared at.
    """
    if own >= needed:
        return Verdict(Action.proceed)
    rival = min((value, number) for number, value in others.items() if value >= needed)[1]
    evidence = {
        "epoch": epoch,
        "best": own,
        "needed": needed,
        "networks": len(others),
        "rival": rival,
        "rival_value": others[rival],
    }
    return Verdict(Action.stop, Reason.behind_peers, evidence=evidence)


def objectives(members: tuple[Member, ...], errors: NDArray[np.float64] | list[float]) -> NDArray[np.float64]:
    """Networks as points, every objective being minimised.

    Args:
        members: networks.
        errors: of each, smaller is better; shape (members,).

    Returns:
        shape (members, 1 + costs): the error, then the costs.
    """
    costs = np.array([list(member.costs.values()) for member in members], dtype=float)
    return np.column_stack([np.asarray(errors, dtype=float), costs.reshape(len(members), -1)])


def best_rival(points: NDArray[np.float64], own: int) -> int | None:
    """Of the points that dominate one, the one with the least error.

    Args:
        points: shape (points, objectives), the error first.
        own: index of the one.

    Returns:
        its index, None if there is none.
    """
    nowhere_worse, somewhere_better = points <= points[own], points < points[own]
    rivals = np.flatnonzero(nowhere_worse.all(axis=1) & somewhere_better.any(axis=1))
    return int(rivals[np.argmin(points[rivals, 0])]) if len(rivals) else None
