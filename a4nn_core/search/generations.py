"""What strategies have in common that evolve a population one generation after another.

A strategy of this kind says which genomes a generation tries (``offspring``) and who is left after it
(``survivors``). Genomes that were tried before are not trained again; they take part with what they
reached. On a steady schedule a generation still waits for its last network, since all of it is needed to
make the next.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from typing import Annotated

import numpy as np
from pydantic import Field

from a4nn_core.component import Unit
from a4nn_core.search.base import Candidate, Outcome, Violation
from a4nn_core.search.batches import ScalarSettings, ScalarStrategy
from a4nn_core.search.variation import DRAWS, Proposal
from a4nn_core.spaces.base import Genome, Space

IDLE = 20
"""generations without a new genome after which a random one is tried"""


class GenerationSettings(ScalarSettings):
    """Settings of strategies that evolve a population by generations and compare networks by one number."""

    population: Annotated[int, Unit("networks")] = Field(default=20, ge=2)
    """networks of each generation; those that were trained before are not trained again"""


class GenerationStrategy(ScalarStrategy):
    """An evolution by generations.

    Attributes:
        population: numbers of its members, after the first generation.
        bred: number of generations that were made so far.
    """

    settings: GenerationSettings

    def __init__(self, settings: GenerationSettings, space: Space, seed: int, violation: Violation) -> None:
        super().__init__(settings, space, seed, violation)
        self.population: list[int] = []
        self.bred = 0
        self._tried: list[Proposal] = []
        self._left: list[Proposal] = []
        self._sown: list[Proposal] = []
        self._new = settings.population

    # what a strategy of this kind must say

    @abstractmethod
    def offspring(self, rng: np.random.Generator) -> list[Proposal]:
        """What the next generation tries, made of ``population``; a genome can be there more than once."""

    def survivors(self, old: list[int], new: list[int], rng: np.random.Generator) -> list[int]:
        """Numbers of the members after a generation.

        Args:
            old: those before it.
            new: what it tried; networks that were trained in an earlier generation may be among them.
            rng: where random numbers come from.
        """
        del old, rng
        return new

    # the rest follows

    @property
    def size(self) -> int:
        return self.settings.population if self._steady else self._new

    def propose(self) -> Proposal | None:
        if not self._left:
            if self.current:
                return None  # the generation is in training
            self._breed()
        return self._left.pop(0) if self._left else self.random_new(self.rng(RANDOM, len(self.asked)))

    def learn(self, candidate: Candidate, outcome: Outcome) -> None:
        del candidate, outcome

    def _breed(self) -> None:
        """Make the next generation that has new genomes; none after many without any."""
        for _ in range(IDLE):
            if self._tried:
                self._select()
            if self.bred:
                self._tried = self.offspring(self.rng(OFFSPRING, self.bred))
            else:
                self._tried = self._first()
            self.bred += 1
            unique = {one.key: one for one in self._tried if one.key not in self.seen}
            self._left = list(unique.values())
            self._new = max(1, len(self._left))
            if self._left:
                return

    def sow(self, genomes: Sequence[Genome]) -> None:
        """They are the first of the first generation."""
        self._sown = [self.propose_sown(genome) for genome in genomes[: self.settings.population]]

    def _first(self) -> list[Proposal]:
        rng = self.rng(FIRST)
        drawn = (
            self.within_bounds(lambda: Proposal(self.space.sample(rng)), new=True)
            for _ in range(self.settings.population - len(self._sown))
        )
        return [*self._sown, *drawn]

    def _select(self) -> None:
        numbers = {candidate_key(one): one.number for one in self.asked.values()}
        tried = [numbers[one.key] for one in self._tried if one.key in numbers]
        self.population = self.survivors(self.population, tried, self.rng(SURVIVORS, self.bred))

    def within_bounds(self, make: Callable[[], Proposal], new: bool = False) -> Proposal:
        """What ``make`` makes, made again while it is outside the bounds: the one least far outside.

        Args:
            make: makes a proposal.
            new: whether it is also made again while it is known.
        """
        made: list[Proposal] = []

        def drawn() -> Iterator[Proposal]:
            for _ in range(DRAWS):
                made.append(make())
                yield made[-1]

        return (self.first_new(drawn()) if new else self.first_within(drawn())) or made[-1]


def candidate_key(candidate: Candidate) -> str:
    """The key of the proposal that a candidate was made from."""
    return Proposal(
        candidate.genome, inherit_from=candidate.inherit_from, learning_rate=candidate.learning_rate
    ).key


FIRST, OFFSPRING, SURVIVORS, RANDOM = range(4)  # the purposes of random streams
