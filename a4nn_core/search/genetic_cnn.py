"""Genetic CNN (Xie and Yuille, ICCV 2017, arXiv 1703.01513): a genetic algorithm over the bits of stages.

Each generation is drawn from the one before by a roulette wheel whose shares are what a network has more
than the worst of that generation. Of the drawn ones, neighbouring pairs swap stages; those that were not
crossed mutate bit by bit. All rates are remembered, not verified: those of MNIST, where the paper differs
by data set. A genome that is drawn again would be trained again in the paper, and its mean would count;
here no network is trained twice.
"""

from __future__ import annotations

from functools import partial
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from a4nn_core.search.base import Strategy, Violation, no_violation
from a4nn_core.search.generations import GenerationSettings, GenerationStrategy
from a4nn_core.search.variation import Proposal
from a4nn_core.spaces.base import StagedSpace


class GeneticCNN(GenerationSettings):
    """Roulette selection, crossover by stages, mutation by bits; a generation replaces the one before."""

    name: Literal["genetic-cnn"] = "genetic-cnn"
    searches: ClassVar[type[Any]] = StagedSpace
    crossover: float = Field(default=0.2, ge=0, le=1)
    """chance that a pair of neighbours is crossed"""
    swap: float = Field(default=0.3, ge=0, le=1)
    """chance of each stage to be swapped by a pair that is crossed; 0.2 for CIFAR-10"""
    mutation: float = Field(default=0.8, ge=0, le=1)
    """chance that a network that was not crossed mutates"""
    flip: float = Field(default=0.1, ge=0, le=1)
    """chance of each bit of a network that mutates to take another value; 0.05 for CIFAR-10"""

    def start(self, space: StagedSpace, seed: int, violation: Violation = no_violation) -> Strategy:
        return _GeneticCNN(self, space, seed, violation)


class _GeneticCNN(GenerationStrategy):
    settings: GeneticCNN
    space: StagedSpace

    def offspring(self, rng: np.random.Generator) -> list[Proposal]:
        drawn = rng.choice(np.array(self.population), self.settings.population, p=self._shares())
        found: list[Proposal] = []
        for one, other in zip(drawn[::2], drawn[1::2], strict=False):
            found += self._pair(int(one), int(other), rng)
        if len(drawn) % 2:
            found.append(self._mutant(int(drawn[-1]), rng))
        return found

    def _shares(self) -> NDArray[np.float64]:
        """The chance of each member to be drawn: what it is better by than the worst one with a result."""
        ranks = [self.rank(number) for number in self.population]
        values = [value for outside, value in ranks if outside == 0.0]
        if not values:
            return np.full(len(ranks), 1 / len(ranks))
        worst = max(values)
        better = np.array([worst - value if outside == 0.0 else 0.0 for outside, value in ranks])
        if better.sum() <= 0:
            better = np.array([float(outside == 0.0) for outside, _ in ranks])
        return np.asarray(better / better.sum())

    def _pair(self, one: int, other: int, rng: np.random.Generator) -> list[Proposal]:
        if rng.random() >= self.settings.crossover:
            return [self._mutant(one, rng), self._mutant(other, rng)]
        genes = [self.space.genes(self.asked[number].genome) for number in (one, other)]

        parents = tuple(sorted({one, other}))

        def child(place: int) -> Proposal:
            mine, its = genes[place].copy(), genes[1 - place]
            for stage in self.space.stages:
                if rng.random() < self.settings.swap:
                    mine[stage] = its[stage]
            return Proposal(self.space.genome(mine), parents, "stage crossover")

        return [self.within_bounds(partial(child, place)) for place in range(2)]

    def _mutant(self, number: int, rng: np.random.Generator) -> Proposal:
        genome = self.asked[number].genome
        if rng.random() >= self.settings.mutation:
            return Proposal(genome, (number,), "copy")
        genes, upper = self.space.genes(genome), self.space.upper

        def mutate() -> Proposal:
            flipped = rng.random(len(genes)) < self.settings.flip
            # another value, drawn uniformly; a bit is flipped
            values = (genes + 1 + rng.integers(0, np.maximum(upper, 1))) % (upper + 1)
            return Proposal(
                self.space.genome(np.where(flipped, values, genes)), (number,), "mutation of bits"
            )

        return self.within_bounds(mutate)
