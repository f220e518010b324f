"""EvoCNN (Sun, Xue, Zhang and Yen, TEVC 24(2), 2020, arXiv 1710.10741): evolution of free genomes with slack
in every comparison.

Parents are chosen by binary tournaments, crossed and mutated by the space's operators. Of parents and
children the best fifth survives; the others are drawn by tournaments. In a tournament the network with the
greater mean accuracy wins if it is better by a threshold, else the one with fewer weights if it has fewer
by a threshold, else the one with the greater mean. The paper's settings (remembered, not verified) are 100
networks for 100 generations, crossover 0.9, mutation 0.1.

The authors' code (yn-sun/evocnn) evaluates the parents instead of the children, swaps the rates of
crossover and mutation, counts convolutions without their input channels, and draws survivors with
replacement; none of this is reproduced. What the paper compares last, the spread of the accuracy over
batches, is not: it is not recorded of a network, and its mean is compared instead, as in the code.
"""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from a4nn_core.component import Unit
from a4nn_core.search.base import Strategy, Study, Violation, no_violation
from a4nn_core.search.generations import GenerationSettings, GenerationStrategy
from a4nn_core.search.variation import Proposal
from a4nn_core.spaces.base import Genome, Space


class EvoCNN(GenerationSettings):
    """Crossover and mutation of any genomes; smaller networks win where accuracies are about equal."""

    name: Literal["evocnn"] = "evocnn"
    searches: ClassVar[type[Any]] = Space
    crosses: ClassVar[bool] = True
    population: Annotated[int, Unit("networks")] = Field(default=100, ge=2)
    """networks of each generation, and networks that survive it"""
    crossover: float = Field(default=0.9, ge=0, le=1)
    """chance that two parents are crossed rather than copied"""
    mutation: float = Field(default=0.1, ge=0, le=1)
    """chance that a child mutates"""
    elite: float = Field(default=0.2, ge=0, le=1)
    """share of the survivors that are the best ones rather than drawn"""
    slack: Annotated[float, Unit("the metric's")] = Field(default=5.0, ge=0)
    """how much better a network must be to win by that alone, in the unit of the objective: 5 percentage
    points in the authors' code"""
    weights_slack: Annotated[int, Unit("parameters")] = Field(default=100, ge=0)
    """how many parameters fewer a network must have to win by that"""

    def start(self, space: Space, seed: int, violation: Violation = no_violation) -> Strategy:
        return _EvoCNN(self, space, seed, violation)

    def begin(self, space: Space, seed: int, violation: Violation, study: Study) -> Strategy:
        return _EvoCNN(self, space, seed, violation, study)


class _EvoCNN(GenerationStrategy):
    settings: EvoCNN

    def __init__(
        self, settings: EvoCNN, space: Space, seed: int, violation: Violation, study: Study | None = None
    ) -> None:
        super().__init__(settings, space, seed, violation)
        self._study = study
        self._parameters: dict[int, int] = {}

    def offspring(self, rng: np.random.Generator) -> list[Proposal]:
        found: list[Proposal] = []
        while len(found) < self.settings.population:
            found += self._pair(rng)
        return found[: self.settings.population]

    def survivors(self, old: list[int], new: list[int], rng: np.random.Generator) -> list[int]:
        """Elites, and the others by tournaments without replacement, so that none survives twice."""
        left = sorted({*old, *new}, key=lambda number: (self.rank(number), number))
        count = min(self.settings.population, len(left))
        kept = left[: round(self.settings.elite * count)]
        left = left[len(kept) :]
        while len(kept) < count:
            kept.append(self._winner(left, rng))
            left.remove(kept[-1])
        return kept

    def _pair(self, rng: np.random.Generator) -> list[Proposal]:
        """Two children of two parents."""
        one, other = self._winner(self.population, rng), self._winner(self.population, rng)
        parents = tuple(sorted({one, other}))

        def children() -> tuple[Genome, Genome, str]:
            genomes = (self.asked[one].genome, self.asked[other].genome)
            if rng.random() >= self.settings.crossover:
                return *genomes, "copy"
            return *self.space.cross(*genomes, rng), "crossover"

        def child(place: int) -> Proposal:
            made = children()
            genome, operator = made[place], made[2]
            if rng.random() < self.settings.mutation:
                mutant = self.space.mutate(genome, rng)
                genome, operator = mutant.genome, f"{operator} + {mutant.operator}"
            return Proposal(genome, parents, operator)

        return [self.within_bounds(partial(child, place)) for place in range(2)]

    def _winner(self, members: list[int], rng: np.random.Generator) -> int:
        one, other = (members[int(place)] for place in rng.integers(0, len(members), 2))
        better, worse = sorted((one, other), key=lambda number: (self.rank(number), number))
        (outside, value), (_, its) = self.rank(better), self.rank(worse)
        if outside or self.outside(worse) or its - value > self.settings.slack:
            return better
        fewer = self.parameters(better) - self.parameters(worse)
        return worse if fewer > self.settings.weights_slack else better

    def parameters(self, number: int) -> int:
        """Parameters of a network; 0 where the search was started without what decodes genomes."""
        if number not in self._parameters and self._study is not None:
            self._parameters[number] = self._study.decode(self.asked[number].genome).parameters
        return self._parameters.get(number, 0)
