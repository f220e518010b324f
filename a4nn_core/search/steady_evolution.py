"""Steady-state evolution: every network that ends may at once have a child, and takes the place of a worse
one.

Parents are chosen by tournaments, crossed where the space can cross genomes, and mutated; a network that
ends replaces the worst of the population if it is better. With the schedule ``steady``, its natural one, no
slot ever waits: this is how MENNDL is described to work (Young et al., MLHPC 2017; Patton et al., SC 2018),
of which no code was published. Sizes and rates are ours; insertion follows ``steady_state`` of LEAP
(Coletti et al., GECCO companion 2020; AureumChaos/LEAP, leap_ec/distrib/asynchronous.py), the nearest open
descendant. US patent 11,429,865 covers parts of the original system.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from a4nn_core.component import Unit
from a4nn_core.search.base import Candidate, Outcome, Strategy, Violation, no_violation
from a4nn_core.search.batches import ScalarBatchSettings
from a4nn_core.search.breeding import Breeding
from a4nn_core.search.variation import DRAWS, Proposal
from a4nn_core.spaces.base import Space


class SteadyEvolution(ScalarBatchSettings):
    """Tournaments, crossover and mutation, one child for each network that ends; the worst makes room."""

    name: Literal["steady-evolution"] = "steady-evolution"
    searches: ClassVar[type[Any]] = Space
    schedule: Literal["generational", "steady"] = "steady"
    """steady asks for a network as soon as a slot is free, and repeats from the event log; generational waits
    for a whole batch before it asks for the next, and repeats from the seed"""
    initial: Annotated[int, Unit("networks")] = Field(default=30, ge=1)
    """random networks at the beginning"""
    population: Annotated[int, Unit("networks")] = Field(default=20, ge=2)
    """networks that are kept, the best so far"""
    tournament: Annotated[int, Unit("networks")] = Field(default=3, ge=1)
    """networks of which the best becomes a parent"""
    crossover: float = Field(default=0.6, ge=0, le=1)
    """chance that a child has two parents, where the space can cross genomes"""

    def start(self, space: Space, seed: int, violation: Violation = no_violation) -> Strategy:
        return _Steady(self, space, seed, violation)


class _Steady(Breeding):
    settings: SteadyEvolution

    def __init__(self, settings: SteadyEvolution, space: Space, seed: int, violation: Violation) -> None:
        super().__init__(settings, space, seed, violation, initial=settings.initial)

    def learn(self, candidate: Candidate, outcome: Outcome) -> None:
        super().learn(candidate, outcome)
        if len(self.population) > self.settings.population:
            self.population.remove(max(self.population, key=lambda number: (self.rank(number), number)))

    def children(self, rng: np.random.Generator) -> Iterator[Proposal]:
        for _ in range(DRAWS):
            parents, genome, operator = self._parents(rng)
            mutant = self.space.mutate(genome, rng)
            yield Proposal(mutant.genome, parents, f"{operator}{mutant.operator}")

    def _parents(self, rng: np.random.Generator) -> tuple[tuple[int, ...], Any, str]:
        """The parents of a child, the genome that is mutated, and how it was made."""
        one = self._winner(rng)
        genome = self.asked[one].genome
        if not self.space.crosses or rng.random() >= self.settings.crossover:
            return (one,), genome, ""
        other = self._winner(rng)
        crossed, _ = self.space.cross(genome, self.asked[other].genome, rng)
        return tuple(sorted({one, other})), crossed, "crossover + "

    def _winner(self, rng: np.random.Generator) -> int:
        drawn = rng.choice(np.array(self.population), self.settings.tournament)
        return min(map(int, drawn), key=lambda number: (self.rank(number), number))
