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

    def order(self, peers: tuple[Member, ...], epoch: int) -> Sequence[int]:
        """See RungRule."""
        points = objectives(peers, [100 - max(member.observed.accuracy[:epoch]) for member in peers])
        spread = np.ptp(points, axis=0)
        scaled = (points - points.min(axis=0)) / np.where(spread > 0, spread, 1.0)
        layers = nondominated_layers(points)
        return [
            int(index)
            for layer in range(int(layers.max()) + 1)
            for index in _net(scaled, np.flatnonzero(layers == layer))
        ]


def _net(points: NDArray[np.float64], members: NDArray[np.int64]) -> list[int]:
    """Points in an order of which every beginning covers them well: the one with the least error, then always
    the one that is farthest from those before it.

    Args:
        points: shape (points, objectives), scaled to equal ranges.
        members: indices of those to order.
    """
    start = int(np.argmin(points[members, 0]))
    order = [start]
    distance = np.linalg.norm(points[members] - points[members[start]], axis=1)
    distance[start] = -1.0
    while len(order) < len(members):
        farthest = int(np.argmax(distance))
        order.append(farthest)
        distance = np.minimum(distance, np.linalg.norm(points[members] - points[members[farthest]], axis=1))
        distance[order] = -1.0
    return [int(members[index]) for index in order]
