"""Training ends for networks that are behind most others at equal epoch.

As Optuna's ``PercentilePruner``, whose best value so far is compared with a percentile of what the others
had after as many epochs. Here the others, too, count with their best value so far, since validation curves
jump; and the networks in training at that moment are compared with, not only the completed ones.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from a4nn_core.component import Unit
from a4nn_core.termination.base import Verdict
from a4nn_core.termination.equal_epoch import EqualEpochRule, against
from a4nn_core.termination.peers import Member


class Percentile(EqualEpochRule):
    """Stop a network whose best accuracy so far is not among the best of its peers at equal epoch."""

    name: Literal["percentile"] = "percentile"
    percentile: Annotated[float, Unit("percent")] = Field(default=50.0, gt=0, lt=100)
    """share of the networks, the best ones, that go on"""

    def judge_among(
        self, candidates: tuple[Member, ...], peers: tuple[Member, ...], epoch: int
    ) -> Mapping[int, Verdict]:
        """See EqualEpochRule."""
        best = {member.number: max(member.observed.validation[:epoch]) for member in peers}
        verdicts = {}
        for member in candidates:
            others = {number: value for number, value in best.items() if number != member.number}
            needed = float(np.percentile(list(others.values()), 100 - self.percentile))
            verdicts[member.number] = against(best[member.number], others, needed, epoch)
        return verdicts
