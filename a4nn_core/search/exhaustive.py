"""Every network of a space, in order: for small spaces, and for lists of networks."""

from __future__ import annotations

from itertools import product
from math import prod
from typing import Literal

from a4nn_core.search.base import Candidate, Outcome, SearchSettings, Strategy, Violation, no_violation
from a4nn_core.spaces.base import Space, VectorSpace


class Exhaustive(SearchSettings):
    """Asks for every genome of a space once, the last gene changing fastest. With the space ``designed`` it
    trains the networks of a list."""

    name: Literal["exhaustive"] = "exhaustive"

    def fitted(self, space: Space) -> Exhaustive:
        """These settings with the number of networks that the space has.

        Raises:
            ValueError: it has more than ``networks``.
        """
        if not isinstance(space, VectorSpace):
            return self  # it is refused with what would fit
        genomes = prod(_counts(space))
        if genomes > self.networks:
            raise ValueError(
                f"exhaustive would train all {genomes:,} genomes of space {space.name}, more than networks = "
                f"{self.networks}"
            )
        return self.model_copy(update={"networks": genomes})

    def start(self, space: VectorSpace, seed: int, violation: Violation = no_violation) -> Strategy:
        del seed, violation
        return _Enumeration(space)


def _counts(space: VectorSpace) -> list[int]:
    """How many values each gene has."""
    return [int(upper) + 1 for upper in space.upper]


class _Enumeration(Strategy):
    def __init__(self, space: VectorSpace) -> None:
        self._left = [
            Candidate(number, space.genome(genes), (), "enumeration", generation=0, position=number)
            for number, genes in enumerate(product(*map(range, _counts(space))))
        ]
        self._open = {candidate.number for candidate in self._left}

    def ask(self, count: int) -> list[Candidate]:
        asked, self._left = self._left[:count], self._left[count:]
        return asked

    def tell(self, outcome: Outcome) -> None:
        self._open.discard(outcome.number)

    @property
    def generation(self) -> int:
        return 0

    @property
    def finished(self) -> bool:
        return not self._open
