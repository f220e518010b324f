"""How strategies make genomes without knowing what they look like."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from a4nn_core.spaces.base import Genome, Space, VectorSpace

SAMPLED = "sampling"
SOWN = "prior"
"""of a genome that an earlier run has found"""
MUTATED = "mutation of one gene"
DRAWS = 100
"""attempts at a genome that was not asked for before"""
COUNTABLE = 100_000
"""genomes of a space that is small enough to look for those that are left"""


class Proposal(NamedTuple):
    """A genome that may become a candidate, and how it was made; see ``Candidate``."""

    genome: Genome
    parents: tuple[int, ...] = ()
    operator: str = SAMPLED
    inherit_from: int | None = None
    morph: bool = False
    learning_rate: float | None = None

    @property
    def key(self) -> str:
        """A text that is equal for proposals whose training would be the same."""
        begins = (self.inherit_from, self.learning_rate)
        return key_of(self.genome) + (f" {begins}" if begins != (None, None) else "")


def key_of(genome: Genome) -> str:
    """A text that is equal for equal genomes."""
    return json.dumps(genome, sort_keys=True)


def neighbours(space: Space, genome: Genome, rng: np.random.Generator) -> list[Proposal]:
    """Genomes that differ a little, in random order: all that differ in one gene; of free genomes, which have
    more neighbours than can be listed, some mutants. They have no parents yet."""
    if not isinstance(space, VectorSpace):
        mutants = [space.mutate(genome, rng) for _ in range(DRAWS)]
        return [Proposal(mutant.genome, operator=mutant.operator) for mutant in mutants]
    genes = space.genes(genome)
    changes = [
        (gene, value)
        for gene, most in enumerate(space.upper)
        for value in range(most + 1)
        if value != genes[gene]
    ]
    found = []
    for gene, value in (changes[place] for place in rng.permutation(len(changes))):
        changed = genes.copy()
        changed[gene] = value
        found.append(Proposal(space.genome(changed), operator=MUTATED))
    return found


def size_of(space: Space) -> float:
    """The number of genomes of a space; infinite if they are free."""
    return math.prod(int(most) + 1 for most in space.upper) if isinstance(space, VectorSpace) else math.inf


def every_genome(space: VectorSpace) -> Iterator[Genome]:
    """All genomes of a space, in lexicographic order of their genes."""
    for genes in np.ndindex(*(int(most) + 1 for most in space.upper)):
        yield space.genome(genes)
