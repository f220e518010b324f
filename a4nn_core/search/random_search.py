"""Random search: the baseline that every strategy has to beat (Li and Talwalkar, "Random search and
reproducibility for neural architecture search", UAI 2019)."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from a4nn_core.search.base import Candidate, Outcome, Strategy, Violation, no_violation
from a4nn_core.search.batches import BatchSettings, BatchStrategy
from a4nn_core.search.variation import Proposal
from a4nn_core.spaces.base import Space


class Random(BatchSettings):
    """Random genomes, none twice, whatever becomes of them."""

    name: Literal["random"] = "random"
    searches: ClassVar[type[Any]] = Space

    def start(self, space: Space, seed: int, violation: Violation = no_violation) -> Strategy:
        return _RandomSearch(self, space, seed, violation)


class _RandomSearch(BatchStrategy):
    def propose(self) -> Proposal | None:
        return self.random_new(self.rng(len(self.asked)))

    def learn(self, candidate: Candidate, outcome: Outcome) -> None:
        del candidate, outcome
