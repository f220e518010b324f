"""How strategies make genomes without knowing what they look like."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from a4nn_core.spaces.base import Genome, SearchSpace

SAMPLED = "sampling"
MUTATED = "mutation of one gene"
DRAWS = 100
"""attempts at a genome that was not asked for before"""
COUNTABLE = 100_000
"""genomes of a space that is small enough to look for those that are left"""


class Proposal(NamedTuple):
    """A genome that may become a candidate, and how it was made."""

    genome: Genome
    parents: tuple[int, ...] = ()
    operator: str = SAMPLED


def key_of(genome: Genome) -> str:
    """A text that is equal for equal genomes."""
    return json.dumps(genome, sort_keys=True)


def sample(space: SearchSpace, rng: np.random.Generator) -> Genome:
    """A random genome: every gene is drawn uniformly."""
    return space.genome(rng.integers(0, space.upper + 1))


def mutate(space: SearchSpace, genome: Genome, rng: np.random.Generator) -> Genome:
    """A genome of which one gene, drawn uniformly from those that have a choice, has another value."""
    genes = space.genes(genome).copy()
    open_genes = np.flatnonzero(space.upper)
    if len(open_genes):
        gene = rng.choice(open_genes)
        value = rng.integers(0, space.upper[gene])
        genes[gene] = value + (value >= genes[gene])
    return space.genome(genes)


def neighbours(space: SearchSpace, genome: Genome, rng: np.random.Generator) -> list[Genome]:
    """All genomes that differ in one gene, in random order."""
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
        found.append(space.genome(changed))
    return found


def size_of(space: SearchSpace) -> int:
    """The number of genomes of a space."""
    return math.prod(int(most) + 1 for most in space.upper)


def every_genome(space: SearchSpace) -> Iterator[Genome]:
    """All genomes of a space, in lexicographic order of their genes."""
    for genes in np.ndindex(*(int(most) + 1 for most in space.upper)):
        yield space.genome(genes)
