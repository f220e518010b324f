"""When a search no longer pays: its front has not grown for a while."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Annotated

from pydantic import Field

from a4nn_core.component import Settings, Unit
from a4nn_core.metrics import dominates
from a4nn_core.vocabulary import Direction


class Stop(Settings):
    """When a search asks for no further networks. Those it has asked for are trained as ever."""

    no_growth: Annotated[int, Unit("networks")] = Field(ge=1)
    """networks trained one after another without the front's hypervolume having grown"""


class Growth:
    """Counts the networks since the front's hypervolume last grew.

    With a reference point beyond all networks, the hypervolume grows exactly when a network is told to which
    no earlier one is equal or better in every objective; so no reference has to be chosen.

    On a steady schedule every tell counts at once, in the order of the event log. On a generational one the
    order of tells means nothing: they count when all networks that were asked for have been told, by number.

    Args:
        objectives: metric name to direction.
        steady: whether there is no barrier between generations.
        counts: whether a network, by number, was to be trained itself: no equal one, none outside the bounds.

    Attributes:
        since: networks that were told since the front last grew.
        grown_by: number of the network by which it last grew; None before the first.
    """

    def __init__(
        self, objectives: Mapping[str, Direction], steady: bool, counts: Callable[[int], bool]
    ) -> None:
        self.since = 0
        self.grown_by: int | None = None
        self._objectives = dict(objectives)
        self._steady = steady
        self._counts = counts
        self._front: list[tuple[float, ...]] = []
        self._new: dict[int, tuple[bool, Mapping[str, float] | None]] = {}

    def told(self, number: int, fitness: Mapping[str, float] | None, again: bool) -> None:
        """The strategy was told of a network; ``again`` if it had been told of it before."""
        if self._steady:
            self._add(number, fitness, again)
        else:
            self._new[number] = (again, fitness)

    def barrier(self) -> None:
        """All networks that were asked for have been told."""
        # what is revised is older than what is new
        for number in sorted(self._new, key=lambda one: (not self._new[one][0], one)):
            again, fitness = self._new[number]
            self._add(number, fitness, again)
        self._new.clear()

    def _add(self, number: int, fitness: Mapping[str, float] | None, again: bool) -> None:
        known = fitness or {}
        point = tuple(way.sign * known.get(name, math.nan) for name, way in self._objectives.items())
        grows = all(map(math.isfinite, point)) and not any(
            other == point or dominates(other, point) for other in self._front
        )
        if grows:
            self._front = [other for other in self._front if not dominates(point, other)]
            self._front.append(point)
            self.since, self.grown_by = 0, number
        elif not again and self._counts(number):
            self.since += 1
