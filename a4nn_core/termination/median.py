"""The median stopping rule of Google Vizier (Golovin et al., KDD 2017, section 3.2.2).

A network is ended when its best value so far is worse than the median of the running averages of the others
up to the same epoch. An average over all epochs so far is low while curves rise, so the rule is lenient.
There, only completed trials are compared with; here, also those that are in training.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import numpy as np

from a4nn_core.termination.base import Verdict
from a4nn_core.termination.equal_epoch import EqualEpochRule, against
from a4nn_core.termination.peers import Member


class Median(EqualEpochRule):
    """Stop a network whose best accuracy so far is below the median of its peers' running averages."""

    name: Literal["median"] = "median"

    def judge_among(
        self, candidates: tuple[Member, ...], peers: tuple[Member, ...], epoch: int
    ) -> Mapping[int, Verdict]:
        """See EqualEpochRule."""
        averages = {member.number: sum(member.observed.validation[:epoch]) / epoch for member in peers}
        verdicts = {}
        for member in candidates:
            others = {number: value for number, value in averages.items() if number != member.number}
            needed = float(np.median(list(others.values())))
            verdicts[member.number] = against(max(member.observed.validation), others, needed, epoch)
        return verdicts
