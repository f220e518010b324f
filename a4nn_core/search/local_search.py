"""Local search (White, Nolen and Savani, "Exploring the loss landscape in neural architecture search", UAI
2021, arXiv 2005.02960).

Train some random networks; from the best one on, train its neighbours in random order and move to the first
that is better. Where no neighbour is, begin again. As in the published code (naszilla, ``local_search``: 10
random networks, the neighbourhood is left at the first improvement), no network is trained twice, so the
neighbours that were trained before are passed over. With several networks in training, the neighbours that
were asked for before an improvement are trained to their end, and count.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from a4nn_core.component import Unit
from a4nn_core.search.base import Candidate, Outcome, Strategy, Violation, no_violation
from a4nn_core.search.batches import ScalarBatchSettings, ScalarStrategy
from a4nn_core.search.variation import Proposal, neighbours
from a4nn_core.spaces.base import Genome, Space

START, ORDER = range(2)  # the purposes of random streams


class LocalSearch(ScalarBatchSettings):
    """From the best of some random networks to better neighbours, until there are none, and again."""

    name: Literal["local-search"] = "local-search"
    searches: ClassVar[type[Any]] = Space
    initial: Annotated[int, Unit("networks")] = Field(default=10, ge=1)
    """random networks at the beginning, and whenever no neighbour is better"""
    improvement: Literal["first", "best"] = "first"
    """move to the first neighbour that is better, or train all of them and move to the best"""

    def start(self, space: Space, seed: int, violation: Violation = no_violation) -> Strategy:
        return _Climb(self, space, seed, violation)


class _Climb(ScalarStrategy):
    """The climb in progress.

    Attributes:
        begun: random networks that it has asked for.
        best: number of its best network; None before the first is learned from.
        centre: number of the network whose neighbours are looked at; None while the first are in training.
    """

    settings: LocalSearch

    def __init__(self, settings: LocalSearch, space: Space, seed: int, violation: Violation) -> None:
        super().__init__(settings, space, seed, violation)
        self.begun = 0
        self.best: int | None = None
        self.centre: int | None = None
        self._left: list[Proposal] = []
        self._left_of: int | None = None

    def propose_sown(self, genome: Genome) -> Proposal:
        self.begun += 1  # in place of a random one
        return super().propose_sown(genome)

    def propose(self) -> Proposal | None:
        if self.begun < self.settings.initial:
            found = self.random_new(self.rng(START, len(self.asked)))
            self.begun += found is not None
            return found
        if self.centre is None:
            if self.current:
                return None  # the best of the random networks is not known yet
            self.centre = self.best
        neighbour = self._neighbour()
        if neighbour is not None or self.current:
            return neighbour
        if self.centre == self.best:  # no neighbour is better
            self.begun, self.best = 0, None
            self.centre = None
        else:
            self.centre = self.best
        return self.propose()

    def learn(self, candidate: Candidate, outcome: Outcome) -> None:
        del outcome
        number = candidate.number
        if self.best is None or self.rank(number) < self.rank(self.best):
            self.best = number
            if self.centre is not None and self.settings.improvement == "first":
                self.centre = number

    def _neighbour(self) -> Proposal | None:
        """A neighbour of the centre that was not asked for before; None if there is none."""
        assert self.centre is not None
        if self._left_of != self.centre:
            self._left, self._left_of = self._around(self.centre), self.centre
        while self._left:
            neighbour = self._left.pop()
            if self.is_new(neighbour.genome):
                return neighbour._replace(parents=(self.centre,))
        return None

    def _around(self, centre: int) -> list[Proposal]:
        """The neighbours of a network within the bounds, or at least nearer to them, the farthest first."""
        genome = self.asked[centre].genome
        around = neighbours(self.space, genome, self.rng(ORDER, centre))
        outside = [self.violation(one.genome) for one in around]
        most = self.violation(genome)
        allowed = [place for place, far in enumerate(outside) if far == 0.0 or far < most]
        return [around[place] for place in sorted(allowed, key=lambda place: outside[place], reverse=True)]
