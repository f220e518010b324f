"""Training ends for networks that too many others dominate at equal epoch.

As the multi-metric pruner of OptunaHub (``pruners/multi_metric_pruner``, 2026): networks are ranked by how
many others dominate them in all objectives after as many epochs, a percentile of the ranks goes on, and a
network that none dominates always does.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import numpy as np
from pydantic import Field

from a4nn_core.termination.base import Verdict
from a4nn_core.termination.equal_epoch import EqualEpochRule, domination, objectives
from a4nn_core.termination.peers import Member
from a4nn_core.termination.reasons import Reason
from a4nn_core.vocabulary import Action


class Dominance(EqualEpochRule):
    """Stop a network whose number of dominating peers, by error at this epoch and costs, is not among the
    least."""

    name: Literal["dominance"] = "dominance"
    percentile: float = Field(default=10.0, gt=0, lt=100)
    """share of the networks, those dominated by the fewest, that go on, in percent"""

    def judge_among(
        self, candidates: tuple[Member, ...], peers: tuple[Member, ...], epoch: int
    ) -> Mapping[int, Verdict]:
        """See EqualEpochRule."""
        points = objectives(peers, [100 - member.observed.accuracy[epoch - 1] for member in peers])
        dominating = domination(points)
        ranks = dominating.sum(axis=0)
        place = {member.number: index for index, member in enumerate(peers)}
        verdicts = {}
        for member in candidates:
            own = place[member.number]
            allowed = float(np.percentile(np.delete(ranks, own), self.percentile))
            if ranks[own] <= allowed or ranks[own] == 0:
                verdicts[member.number] = Verdict(Action.proceed)
                continue
            rivals = np.flatnonzero(dominating[:, own])
            rival = peers[rivals[np.argmin(points[rivals, 0])]]
            evidence = {
                "epoch": epoch,
                "accuracy": member.observed.accuracy[-1],
                "dominating": int(ranks[own]),
                "allowed": allowed,
                "networks": len(peers) - 1,
                "rival": rival.number,
                "rival_accuracy": rival.observed.accuracy[epoch - 1],
            }
            verdicts[member.number] = Verdict(Action.stop, Reason.dominated_by_peers, evidence=evidence)
        return verdicts
