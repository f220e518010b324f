"""Regularised evolution (Real, Aggarwal, Huang and Le, "Regularized evolution for image classifier
architecture search", AAAI 2019, arXiv 1802.01548): the oldest network leaves the population, however good.

As in the published code (google-research, ``regularized_evolution_algorithm``): a population of random
networks; then again and again the best of a sample, drawn with replacement, gets a mutated child, which joins
the population, and the oldest member leaves. The published settings are 100 networks and samples of 25, for
20,000 networks on 450 devices; it was asynchronous, which is the steady schedule here. Mutations are those of
the space. (In the published one they leave the genome as it is with probability 0.05; here no genome is
trained twice.)
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from a4nn_core.component import Unit
from a4nn_core.search.base import Strategy, Violation, no_violation
from a4nn_core.search.batches import ScalarBatchSettings
from a4nn_core.search.breeding import Breeding
from a4nn_core.search.variation import DRAWS, Proposal
from a4nn_core.spaces.base import Space


class RegularisedEvolution(ScalarBatchSettings):
    """Mutated children of the best of a random sample; the oldest networks leave the population."""

    name: Literal["regularised-evolution"] = "regularised-evolution"
    searches: ClassVar[type[Any]] = Space
    population: Annotated[int, Unit("networks")] = Field(default=100, ge=1)
    """networks that can have children: the random ones first, then the youngest"""
    sample: Annotated[int, Unit("networks")] = Field(default=25, ge=1)
    """networks drawn from the population, with replacement, the best of which gets a child"""

    def start(self, space: Space, seed: int, violation: Violation = no_violation) -> Strategy:
        return _Ageing(self, space, seed, violation)


class _Ageing(Breeding):
    """The evolution in progress.

    Attributes:
        population: numbers of its networks, the oldest first.
    """

    settings: RegularisedEvolution

    def __init__(self, settings: RegularisedEvolution, space: Space, seed: int, violation: Violation) -> None:
        super().__init__(settings, space, seed, violation, initial=settings.population)
        self.population = deque(maxlen=settings.population)

    def children(self, rng: np.random.Generator) -> Iterator[Proposal]:
        for _ in range(DRAWS):
            drawn = rng.choice(np.array(self.population), self.settings.sample)
            parent = min(map(int, drawn), key=self.rank)
            mutant = self.space.mutate(self.asked[parent].genome, rng)
            yield Proposal(mutant.genome, (parent,), mutant.operator)
