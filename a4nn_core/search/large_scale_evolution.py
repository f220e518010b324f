"""Large-scale evolution (Real et al., ICML 2017, arXiv 1703.01041): pairs are compared, the worse network is
removed, and the better one has a child that begins with its weights.

A child has undergone one of eleven mutations, drawn uniformly: eight change the network and are those of
the space; the others halve or double the learning rate (at most, uniformly by its logarithm), train the
network on as it is, or reset its weights. Children inherit weights wherever layers have equal sizes. The
published search had 1,000 networks and 250 asynchronous workers, each network 25,600 steps; all of it is
remembered, not verified. Without inheritance this would be another method: networks begin as next to
nothing and grow.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from a4nn_core.component import Unit
from a4nn_core.search.base import Candidate, Outcome, Strategy, Violation, no_violation
from a4nn_core.search.batches import ScalarBatchSettings, ScalarStrategy
from a4nn_core.search.variation import DRAWS, Proposal
from a4nn_core.spaces.base import Genome, Space

STRUCTURAL = 8
"""mutations that are the space's"""
OWN = ("alter learning rate", "train on", "reset weights")


class LargeScaleEvolution(ScalarBatchSettings):
    """Of two random networks the worse is removed, and the better has a child that inherits its weights."""

    name: Literal["large-scale-evolution"] = "large-scale-evolution"
    searches: ClassVar[type[Any]] = Space
    inherits: ClassVar[bool] = True
    schedule: Literal["generational", "steady"] = "steady"
    """steady asks for a network as soon as a slot is free, and repeats from the event log; generational waits
    for a whole batch before it asks for the next, and repeats from the seed"""
    population: Annotated[int, Unit("networks")] = Field(default=1000, ge=2)
    """networks that live at a time: the random ones at the beginning"""
    learning_rate: float = Field(default=0.1, gt=0)
    """learning rate of the first networks"""

    def start(self, space: Space, seed: int, violation: Violation = no_violation) -> Strategy:
        return _Pairs(self, space, seed, violation)


class _Pairs(ScalarStrategy):
    """The evolution in progress.

    Attributes:
        alive: numbers of the networks that can have children.
    """

    settings: LargeScaleEvolution

    def __init__(self, settings: LargeScaleEvolution, space: Space, seed: int, violation: Violation) -> None:
        super().__init__(settings, space, seed, violation)
        self.alive: list[int] = []

    def propose_sown(self, genome: Genome) -> Proposal:
        return super().propose_sown(genome)._replace(learning_rate=self.settings.learning_rate)

    def propose(self) -> Proposal | None:
        rng = self.rng(len(self.asked))
        if len(self.asked) >= self.settings.population and len(self.alive) >= 2:
            places = rng.choice(len(self.alive), 2, replace=False)
            pair = [self.alive[int(place)] for place in places]
            better, worse = sorted(pair, key=lambda number: (self.rank(number), number))
            child = self.first_new(self._children(better, rng))
            if child is not None:
                self.alive.remove(worse)
                return child
        found = self.random_new(rng)
        return found and found._replace(learning_rate=self.settings.learning_rate)

    def learn(self, candidate: Candidate, outcome: Outcome) -> None:
        del outcome
        self.alive.append(candidate.number)

    def _children(self, parent: int, rng: np.random.Generator) -> Iterator[Proposal]:
        """Mutants of a network, each by one mutation."""
        candidate = self.asked[parent]
        same = Proposal(
            candidate.genome,
            (parent,),
            inherit_from=parent,
            learning_rate=candidate.learning_rate or self.settings.learning_rate,
        )
        for _ in range(DRAWS):
            drawn = int(rng.integers(STRUCTURAL + len(OWN)))
            if drawn < STRUCTURAL:
                mutant = self.space.mutate(candidate.genome, rng)
                yield same._replace(genome=mutant.genome, operator=mutant.operator)
                continue
            operator = OWN[drawn - STRUCTURAL]
            if operator == "alter learning rate":
                factor = float(np.exp(rng.uniform(-np.log(2), np.log(2))))
                yield same._replace(operator=operator, learning_rate=(same.learning_rate or 0.0) * factor)
            elif operator == "train on":
                yield same._replace(operator=operator)
            else:
                yield same._replace(operator=operator, inherit_from=None)
