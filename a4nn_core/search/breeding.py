"""What strategies share that begin with random networks and then breed a population."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, MutableSequence

import numpy as np

from a4nn_core.search.base import Candidate, Outcome, Violation
from a4nn_core.search.batches import ScalarSettings, ScalarStrategy
from a4nn_core.search.variation import Proposal
from a4nn_core.spaces.base import Space


class Breeding(ScalarStrategy):
    """Random networks first; after that children of a population that every network joins when it ends.

    Args:
        initial: random networks at the beginning.

    Attributes:
        population: numbers of its networks, in the order in which they joined.
    """

    def __init__(
        self, settings: ScalarSettings, space: Space, seed: int, violation: Violation, initial: int
    ) -> None:
        super().__init__(settings, space, seed, violation)
        self.population: MutableSequence[int] = []
        self._initial = initial

    def propose(self) -> Proposal | None:
        """A child that is new, or a random network where none is found."""
        rng = self.rng(len(self.asked))
        found = None
        if self.population and len(self.asked) >= self._initial:
            found = self.first_new(self.children(rng))
        return found or self.random_new(rng)

    def learn(self, candidate: Candidate, outcome: Outcome) -> None:
        """Let the network join."""
        del outcome
        self.population.append(candidate.number)

    @abstractmethod
    def children(self, rng: np.random.Generator) -> Iterator[Proposal]:
        """Children of the population, of which the first that is new is asked for."""
