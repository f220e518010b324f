"""Training ends for networks that were never among the first non-dominated layers at equal epoch.

As the multi-metric pruner of OptunaHub (``pruners/multi_metric_pruner``, 2026) with Optuna's
``PercentilePruner``: after each epoch networks are ranked by non-domination in all objectives; the best rank
that a network ever had is compared with a percentile of the others' ranks at this epoch. A network that none
dominates, or once none did, always goes on. There, only finished trials give the percentile; here, also
those that are in training.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from a4nn_core.component import Unit
from a4nn_core.metrics import nondominated_layers
from a4nn_core.termination.base import Verdict
from a4nn_core.termination.equal_epoch import EqualEpochRule, best_rival, objectives
from a4nn_core.termination.peers import Member
from a4nn_core.termination.reasons import Reason
from a4nn_core.vocabulary import Action


class Dominance(EqualEpochRule):
    """Stop a network whose best rank so far, by error at each epoch and costs, is not among the least."""

    name: Literal["dominance"] = "dominance"
    percentile: Annotated[float, Unit("percent")] = Field(default=10.0, gt=0, lt=100)
    """share of the networks, those of the first ranks, that go on"""

    def judge_among(
        self, candidates: tuple[Member, ...], peers: tuple[Member, ...], epoch: int
    ) -> Mapping[int, Verdict]:
        """See EqualEpochRule."""
        errors = 100 - np.array([member.observed.validation[:epoch] for member in peers])
        costs = objectives(peers, errors[:, 0])[:, 1:]
        points = [np.column_stack([at_epoch, costs]) for at_epoch in errors.T]
        ranks = np.array([_ranks(at_epoch.tobytes(), at_epoch.shape[1]) for at_epoch in points])
        best = ranks.min(axis=0)
        verdicts = {}
        judged = {member.number for member in candidates}
        for own, member in enumerate(peers):
            if member.number not in judged:
                continue
            allowed = float(np.percentile(np.delete(ranks[-1], own), self.percentile))
            if best[own] <= allowed:
                verdicts[member.number] = Verdict(Action.proceed)
                continue
            rival = best_rival(points[-1], own)
            evidence = {
                "epoch": epoch,
                "accuracy": member.observed.validation[epoch - 1],
                "rank": int(best[own]) + 1,
                "allowed": allowed + 1,
                "networks": len(peers) - 1,
                "rival": None if rival is None else peers[rival].number,
                "rival_accuracy": None if rival is None else peers[rival].observed.validation[epoch - 1],
            }
            verdicts[member.number] = Verdict(Action.stop, Reason.dominated_by_peers, evidence=evidence)
        return verdicts


@lru_cache(maxsize=128)  # earlier epochs of the same networks are asked for again after every epoch
def _ranks(points: bytes, width: int) -> NDArray[np.int64]:
    """The layer of each point, given as the memory of an array of shape (points, width)."""
    return nondominated_layers(np.frombuffer(points, dtype=np.float64).reshape(-1, width))
