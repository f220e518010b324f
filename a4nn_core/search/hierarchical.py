"""The evolution of hierarchical representations (Liu et al., ICLR 2018, arXiv 1711.00436): tournaments among
all networks that were ever trained.

Again and again the best of a random sample of the population, a share of 5 %, gets a mutated child; nobody
is removed, so the population grows. The published search began with 200 networks, took 7,000 steps and was
asynchronous, which is the steady schedule here; share and sizes are remembered, not verified. The paper
begins with chains of identities that undergo 1,000 random mutations each, after which nothing of the chains
is left; here the first networks are drawn at random.
"""

from __future__ import annotations

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


class Hierarchical(ScalarBatchSettings):
    """Mutated children of the best of a random sample of all networks; nobody is removed."""

    name: Literal["hierarchical"] = "hierarchical"
    searches: ClassVar[type[Any]] = Space
    initial: Annotated[int, Unit("networks")] = Field(default=200, ge=1)
    """random networks at the beginning"""
    share: float = Field(default=0.05, gt=0, le=1)
    """share of the population that a tournament draws, without replacement, the best of which gets a child"""

    def start(self, space: Space, seed: int, violation: Violation = no_violation) -> Strategy:
        return _Tournament(self, space, seed, violation)


class _Tournament(Breeding):
    settings: Hierarchical

    def __init__(self, settings: Hierarchical, space: Space, seed: int, violation: Violation) -> None:
        super().__init__(settings, space, seed, violation, initial=settings.initial)

    def children(self, rng: np.random.Generator) -> Iterator[Proposal]:
        size = max(1, round(self.settings.share * len(self.population)))
        for _ in range(DRAWS):
            drawn = rng.choice(np.array(self.population), size, replace=False)
            parent = min(map(int, drawn), key=self.rank)
            mutant = self.space.mutate(self.asked[parent].genome, rng)
            yield Proposal(mutant.genome, (parent,), mutant.operator)
