"""Asynchronous successive halving (ASHA; Li et al., "A system for massively parallel hyperparameter tuning",
MLSys 2020, arXiv 1810.05934), in its form that promotes paused networks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from a4nn_core.termination.peers import Member
from a4nn_core.termination.rungs import RungRule


class SuccessiveHalving(RungRule):
    """Promote from each rung the networks with the best accuracy so far."""

    name: Literal["successive-halving"] = "successive-halving"

    def best(self, peers: tuple[Member, ...], epoch: int, count: int) -> Sequence[int]:
        """See RungRule. Of two with the same accuracy, the one that was asked for first."""
        reached = [max(member.observed.validation[:epoch]) for member in peers]
        return sorted(range(len(peers)), key=lambda index: -reached[index])[:count]
