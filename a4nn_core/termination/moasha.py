"""Successive halving with several objectives (MOASHA; Schmucker et al., "Multi-objective asynchronous
successive halving", 2021, arXiv 2106.12639)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from a4nn_core.metrics import nondominated_layers
from a4nn_core.termination.equal_epoch import objectives
from a4nn_core.termination.peers import Member
from a4nn_core.termination.rungs import RungRule


class Moasha(RungRule):
    """Promote from each rung by non-domination in least error so far and costs: one layer after the other,
    and inside a layer so that those promoted are spread over it (an epsilon-net)."""

    name: Literal["moasha"] = "moasha"

    def best(self, peers: tuple[Member, ...], epoch: int, count: int) -> Sequence[int]:
        """See RungRule."""
        points = objectives(peers, [100 - max(member.observed.validation[:epoch]) for member in peers])
        spread = np.ptp(points, axis=0)
        scaled = (points - points.min(axis=0)) / np.where(spread > 0, spread, 1.0)
        layers = nondominated_layers(points)
        found: list[int] = []
        layer = 0
        while len(found) < count:
            members = np.flatnonzero(layers == layer)
            found += [int(members[index]) for index in _net(scaled[members], count - len(found))]
            layer += 1
        return found


def _net(points: NDArray[np.float64], count: int) -> list[int]:
    """Indices of points that cover all well: the one with the least error, then always the one that is
    farthest from those before it.

    Args:
        points: shape (points, objectives), scaled to equal ranges, the error first.
        count: how many at most.
    """
    chosen = [int(np.argmin(points[:, 0]))]
    distance = np.linalg.norm(points - points[chosen[0]], axis=1)
    while len(chosen) < min(count, len(points)):
        distance[chosen[-1]] = -1.0
        chosen.append(int(np.argmax(distance)))
        distance = np.minimum(distance, np.linalg.norm(points - points[chosen[-1]], axis=1))
    return chosen
