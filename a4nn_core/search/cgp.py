"""Evolution of one parent and a few children (Suganuma, Ozay and Okatani, ICML 2018, arXiv 1803.00370; the
published code is sg-nm/Evolutionary-Autoencoders, ``Denoising/cgp.py``, ``modified_evolution``).

In every generation the parent has ``children`` children, in each of which an active gene has another value,
so that it is another network (forced mutation). If the best of them is better than the parent, it is the next
one; if none is, the parent's inactive genes are mutated, which leaves its network what it is and later
mutations more to bring to light (neutral mutation). The published search had 2 children, a mutation rate of
0.1, and 250 generations, and could begin with a single convolution.

A network that fails counts as the worst, whatever the others reach; in the published code it counts as one of
0 decibels. A network is recorded with the genome that it was asked for with, which neutral mutation leaves.

On a steady schedule, every ``children`` networks that end are a generation, and the next ones come from the
parent of that moment.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from a4nn_core.component import Unit
from a4nn_core.search.base import Candidate, Outcome, Strategy, Violation, no_violation
from a4nn_core.search.batches import ScalarSettings, ScalarStrategy
from a4nn_core.search.variation import DRAWS, Proposal
from a4nn_core.spaces.base import Genome
from a4nn_core.spaces.cgp import CGP

CHILD, DRIFT = range(2)  # the purposes of random streams


class CGPSearch(ScalarSettings):
    """The (1 + lambda) evolution of Cartesian genetic programming, with forced and neutral mutation."""

    name: Literal["cgp"] = "cgp"
    searches: ClassVar[type[Any]] = CGP
    children: Annotated[int, Unit("networks")] = Field(default=2, ge=1)
    """children of a parent in each generation (lambda)"""
    mutation: float = Field(default=0.1, gt=0, le=1)
    """probability of each gene to mutate, in children and in the neutral mutation"""
    first: Literal["convolution", "random"] = "convolution"
    """the first parent: a single convolution (``--init`` of the published code), or a random network"""

    def start(self, space: CGP, seed: int, violation: Violation = no_violation) -> Strategy:
        return _OneParent(self, space, seed, violation)


class _OneParent(ScalarStrategy):
    """The evolution in progress.

    Attributes:
        parent: number of the parent; None before the first network has ended.
        genome: its genome, as neutral mutation has left it.
        tried: children of the present generation that have been learned from.
    """

    settings: CGPSearch
    space: CGP

    def __init__(self, settings: CGPSearch, space: CGP, seed: int, violation: Violation) -> None:
        super().__init__(settings, space, seed, violation)
        self.parent: int | None = None
        self.genome: Genome = None
        self.tried: list[int] = []

    @property
    def size(self) -> int:
        """One network first, then the children."""
        return self.settings.children if self._generation or self._steady else 1

    def propose(self) -> Proposal | None:
        rng = self.rng(CHILD, len(self.asked))
        if not self.asked:
            return self.first_new(self._first(rng))
        if self.parent is None:
            return None
        return self.first_new(self._children(rng)) or self.random_new(rng)

    def _first(self, rng: np.random.Generator) -> Iterator[Proposal]:
        # where the minimal network is outside the bounds, random ones are tried
        if self.settings.first == "convolution":
            yield Proposal(self.space.minimal(rng), operator="single convolution")
        for _ in range(DRAWS):
            yield Proposal(self.space.sample(rng))

    def _children(self, rng: np.random.Generator) -> Iterator[Proposal]:
        assert self.parent is not None
        for _ in range(DRAWS):
            child = self.space.mutate_active(self.genome, self.settings.mutation, rng)
            yield Proposal(child, (self.parent,), "forced mutation")

    def learn(self, candidate: Candidate, outcome: Outcome) -> None:
        del outcome
        if self.parent is None:
            self.parent, self.genome = candidate.number, candidate.genome
            return
        self.tried.append(candidate.number)
        if len(self.tried) < self.settings.children:
            return
        best = min(self.tried, key=self.rank)
        self.tried = []
        if self.rank(best) < self.rank(self.parent):
            self.parent, self.genome = best, self.asked[best].genome
        else:
            rng = self.rng(DRIFT, len(self.outcomes))
            self.genome = self.space.drift(self.genome, self.settings.mutation, rng)
