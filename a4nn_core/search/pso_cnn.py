"""psoCNN (Fernandes Junior and Yen, Swarm and Evolutionary Computation 49, 2019; feferna/psoCNN, MIT).

A swarm of networks: each takes blocks over from the best of all and from the best that it was itself.

The difference of two lists of blocks is taken block by block, those on images from the front, fully
connected ones from the back: where both have the same type it is to keep the block, otherwise to take the
other's, or to remove it where the other has none. A particle moves by the difference to the swarm's best
with probability ``towards_best``, place by place, and otherwise by that to its own best.

Two defects of the published code are repaired unless ``as_published`` is set. A particle with the layout of
the best stands still there, as a flag that is always true hides the branch that would mix the settings of
equal layouts, and fully connected layers never change their size: here, where a block is kept, it takes
over the settings of the best's block with probability one half. The published code also compares networks
by their last training accuracy and reads the test images at every new best; neither is done here in any
case.
"""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from a4nn_core.component import Unit
from a4nn_core.search.base import Strategy, Violation, no_violation
from a4nn_core.search.generations import GenerationSettings, GenerationStrategy
from a4nn_core.search.variation import Proposal
from a4nn_core.spaces.base import Genome
from a4nn_core.spaces.layer_list import TYPE
from a4nn_core.spaces.pso_cnn import CONV, FULL, PsoCNN

Blocks = list[dict[str, Any]]


class PsoCNNSearch(GenerationSettings):
    """A swarm of lists of blocks that move towards the best of all and towards their own best."""

    name: Literal["pso-cnn"] = "pso-cnn"
    searches: ClassVar[type[Any]] = PsoCNN
    population: Annotated[int, Unit("networks")] = Field(default=20, ge=2)
    """particles; each generation is a move of all of them"""
    towards_best: float = Field(default=0.5, ge=0, le=1)
    """chance of each block to come from the swarm's best rather than from the particle's own"""
    as_published: bool = False
    """whether blocks of equal types keep their settings: particles of the best's layout then stand still"""

    def start(self, space: PsoCNN, seed: int, violation: Violation = no_violation) -> Strategy:
        return _Swarm(self, space, seed, violation)


class _Swarm(GenerationStrategy):
    """The swarm in progress; its ``population`` is where the particles are.

    Attributes:
        own: number of the best network of each particle.
    """

    settings: PsoCNNSearch
    space: PsoCNN

    def __init__(self, settings: PsoCNNSearch, space: PsoCNN, seed: int, violation: Violation) -> None:
        super().__init__(settings, space, seed, violation)
        self.own: list[int] = []

    def survivors(self, old: list[int], new: list[int], rng: np.random.Generator) -> list[int]:
        """All particles are where they have moved to."""
        del old, rng
        self.own = [min(pair, key=self._order) for pair in zip(self.own or new, new, strict=True)]
        return new

    def _order(self, number: int) -> tuple[tuple[float, float], int]:
        return self.rank(number), number

    def offspring(self, rng: np.random.Generator) -> list[Proposal]:
        best = min(self.own, key=self._order)
        return [
            self.within_bounds(partial(self._moved, at, own, best, rng))
            for at, own in zip(self.population, self.own, strict=True)
        ]

    def _moved(self, at: int, own: int, best: int, rng: np.random.Generator) -> Proposal:
        parents = tuple(sorted({at, own, best}))
        genomes = [self.asked[number].genome for number in (at, best, own)]
        images = [[unit for unit in genome if unit[TYPE] != FULL] for genome in genomes]
        full = [[unit for unit in genome if unit[TYPE] == FULL][::-1] for genome in genomes]
        moved = [*self._part(images, rng), *self._part(full, rng)[::-1]]
        if not moved or moved[0][TYPE] != CONV:
            moved.insert(0, dict(genomes[0][0]))
        return Proposal(self._repaired(moved), parents, "move of a particle")

    def _part(self, parts: list[Blocks], rng: np.random.Generator) -> Blocks:
        """Move one part of a genome, its blocks in the order in which they are aligned.

        Args:
            parts: those of the particle, the swarm's best and the particle's own best.
            rng: where random numbers come from.
        """
        mine, best, own = parts
        moved: Blocks = []
        for place in range(max(map(len, parts))):
            goal = best if rng.random() < self.settings.towards_best else own
            wanted = goal[place] if place < len(goal) else None
            here = mine[place] if place < len(mine) else None
            if wanted is None:
                continue  # removed, or never there
            keeps = here is not None and here[TYPE] == wanted[TYPE]
            if keeps and here is not None and (self.settings.as_published or rng.random() < 0.5):
                moved.append(dict(here))
            else:
                moved.append(dict(wanted))
        return moved

    def _repaired(self, blocks: Blocks) -> Genome:
        """No longer than the space allows; what is surplus goes from the end."""
        return blocks[: self.space.lengths()[1]]
