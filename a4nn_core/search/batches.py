"""What strategies have in common that propose one genome at a time from what they have learned.

A strategy of this kind says what it would ask for next (``propose``) and takes note of an outcome
(``learn``). Both schedules follow: a generational one learns a batch at a time, in the order of asking, so
that neither portions nor the order of tells count; a steady one learns from every tell at once. No genome is
asked for twice, as the loop would not train it twice; a search that finds no new one ends and says so.
"""

from __future__ import annotations

import logging
from abc import abstractmethod
from collections.abc import Iterable, Sequence
from typing import Annotated, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from a4nn_core.component import Unit
from a4nn_core.metrics import ERROR_PERCENT
from a4nn_core.search.base import Candidate, Outcome, SearchSettings, Strategy, Violation
from a4nn_core.search.variation import (
    COUNTABLE,
    DRAWS,
    SOWN,
    Proposal,
    every_genome,
    key_of,
    size_of,
)
from a4nn_core.spaces.base import Genome, Space, VectorSpace
from a4nn_core.vocabulary import Direction

FAILED = 1.0
"""violation of a network that failed or diverged: as if it was outside the bounds by its whole cost"""
log = logging.getLogger(__name__)


class BatchSettings(SearchSettings):
    """Settings of strategies that learn from batches of networks."""

    sows: ClassVar[bool] = True
    batch: Annotated[int, Unit("networks")] = Field(default=10, ge=1)
    """networks that are asked for before the outcomes of any are used; on a steady schedule every outcome is
    used at once, and batches only count networks"""


class ScalarSettings(SearchSettings):
    """Settings of strategies that compare networks by one number."""

    sows: ClassVar[bool] = True
    objectives: dict[str, Direction] = Field(
        default={ERROR_PERCENT.name: ERROR_PERCENT.direction}, min_length=1
    )
    """what is optimised: metric name to direction; several need weights"""
    weights: dict[str, float] | None = None
    """what each objective counts, in its own unit: networks are compared by the weighted sum, such as
    { error_percent = 1.0, mflops = 0.01 }"""

    @model_validator(mode="after")
    def _one_number(self) -> Self:
        names = ", ".join(self.objectives)
        if self.weights is None and len(self.objectives) > 1:
            raise ValueError(
                f"{self.name} compares networks by one number, and there are {len(self.objectives)} "
                f"objectives ({names}): name one, give each a weight, such as weights = {{ "
                f"{', '.join(f'{name} = 1.0' for name in self.objectives)} }}, or use a search for several "
                'objectives, such as nsga-net, a4nn or { name = "optuna", sampler = "nsga-ii" }'
            )
        if self.weights is not None and set(self.weights) != set(self.objectives):
            raise ValueError(
                f"weights are of {', '.join(self.weights) or 'nothing'}, but the objectives are {names}"
            )
        bad = [name for name, weight in (self.weights or {}).items() if not 0 < weight < np.inf]
        if bad:
            raise ValueError(f"the weight of {bad[0]} is not a positive number")
        return self


class ScalarBatchSettings(ScalarSettings, BatchSettings):
    """Settings of strategies that compare networks by one number and learn from batches of them."""


class BatchStrategy(Strategy):
    """A search that proposes one genome at a time.

    Attributes:
        asked: networks that were asked for, by number.
        outcomes: what was told, by number, whether it has been learned from or not.
        current: numbers of the networks that were asked for and not yet learned from.
        seen: keys of the proposals that were asked for.
        sown: genomes of earlier runs that are yet to be asked for, the best first.
    """

    def __init__(self, settings: SearchSettings, space: Space, seed: int, violation: Violation) -> None:
        self.settings = settings
        self.space = space
        self.seed = seed
        self.asked: dict[int, Candidate] = {}
        self.outcomes: dict[int, Outcome] = {}
        self.current: list[int] = []
        self.seen: set[str] = set()
        self.sown: list[Genome] = []
        self._violation = violation
        self._violations: dict[str, float] = {}
        self._genomes = size_of(space)
        self._steady = settings.schedule == "steady"
        self._generation = 0
        self._closed = False  # a batch to which no network is added before its outcomes are known
        self._exhausted = False

    # what a strategy of this kind must say

    @abstractmethod
    def propose(self) -> Proposal | None:
        """The next genome, one that is not in ``seen``; None if there is none before more is learned. While
        networks are in training, it is asked again when one of them has been learned from."""

    @abstractmethod
    def learn(self, candidate: Candidate, outcome: Outcome) -> None:
        """Take note of an outcome."""

    @property
    def size(self) -> int:
        """Number of networks in a batch."""
        assert isinstance(self.settings, BatchSettings)  # a strategy without such settings says it itself
        return self.settings.batch

    # ask and tell

    def ask(self, count: int) -> list[Candidate]:
        new: list[Candidate] = []
        while len(new) < count and not self._ended and (self._steady or not self._closed):
            proposal = self._next() if len(self.seen) < self._genomes else None
            if proposal is not None:
                new.append(self._add(proposal))
            elif self._waiting:
                self._closed = True
                break
            elif self.current:
                self._learn_batch()
            else:
                self._end()
        return new

    def sow(self, genomes: Sequence[Genome]) -> None:
        self.sown = list(genomes)

    def _next(self) -> Proposal | None:
        while self.sown:
            proposal = self.propose_sown(self.sown.pop(0))
            if proposal.key not in self.seen:
                return proposal
        return self.propose()

    def propose_sown(self, genome: Genome) -> Proposal:
        """The proposal of a genome of an earlier run."""
        return Proposal(genome, (), SOWN)

    @property
    def _ended(self) -> bool:
        """Whether no more networks will be asked for."""
        return self._exhausted or len(self.asked) >= self.settings.networks

    @property
    def _waiting(self) -> bool:
        """Whether networks are in training."""
        return any(number not in self.outcomes for number in self.current)

    def _add(self, proposal: Proposal) -> Candidate:
        number = len(self.asked)
        generation, position = self._generation, len(self.current)
        if self._steady:
            generation, position = divmod(number, self.size)
        candidate = Candidate(
            number,
            proposal.genome,
            proposal.parents,
            proposal.operator,
            generation,
            position,
            inherit_from=proposal.inherit_from,
            morph=proposal.morph,
            learning_rate=proposal.learning_rate,
        )
        self.asked[number] = candidate
        self.current.append(number)
        self.seen.add(proposal.key)
        self._closed = len(self.current) >= self.size
        return candidate

    def _end(self) -> None:
        self._exhausted = True
        log.warning(
            "the search ends after %d of %d networks: %s",
            len(self.asked),
            self.settings.networks,
            self.reason,
        )

    @property
    def reason(self) -> str:
        """Why there is nothing left to ask for, for people."""
        if len(self.seen) >= self._genomes:
            return f"these are all genomes of space {self.space.name}"
        return f"{self.settings.name} finds no other genome of space {self.space.name}"

    def tell(self, outcome: Outcome) -> None:
        number = outcome.number
        if number not in self.asked:
            raise ValueError(f"network {number} was never asked for")
        if number in self.outcomes:
            raise ValueError(f"network {number} was told before")
        self.outcomes[number] = outcome
        if self._steady:
            self.current.remove(number)
            self.learn(self.asked[number], outcome)
        elif self._closed and not self._waiting:
            self._learn_batch()

    def revise(self, outcome: Outcome) -> None:
        self.outcomes[outcome.number] = outcome

    def _learn_batch(self) -> None:
        for number in self.current:
            self.learn(self.asked[number], self.outcomes[number])
        self.current = []
        self._closed = False
        self._generation += 1

    @property
    def generation(self) -> int:
        if not self._steady:
            return self._generation
        first_untold = next((n for n in self.asked if n not in self.outcomes), len(self.asked))
        return first_untold // self.size

    @property
    def finished(self) -> bool:
        return self._ended and len(self.outcomes) >= len(self.asked)

    # what strategies of this kind are made of

    def rng(self, *path: int) -> np.random.Generator:
        """Random numbers that depend on the seed and the path alone, so that a search repeats."""
        return np.random.default_rng([self.seed, *path])

    def violation(self, genome: Genome) -> float:
        """How far a genome is outside the bounds; worked out once."""
        key = key_of(genome)
        if key not in self._violations:
            self._violations[key] = self._violation(genome)
        return self._violations[key]

    def is_new(self, genome: Genome) -> bool:
        """Whether a genome was not asked for before."""
        return key_of(genome) not in self.seen

    def first_new(self, proposals: Iterable[Proposal]) -> Proposal | None:
        """The first one that is new and within the bounds; if there is none, the new one with the smallest
        violation."""
        return self.first_within(proposal for proposal in proposals if proposal.key not in self.seen)

    def first_within(self, proposals: Iterable[Proposal]) -> Proposal | None:
        """The first one that is within the bounds; if there is none, the one with the smallest violation."""
        nearest, least = None, np.inf
        for proposal in proposals:
            outside = self.violation(proposal.genome)
            if outside == 0.0:
                return proposal
            if nearest is None or outside < least:
                nearest, least = proposal, outside
        return nearest

    def random_new(self, rng: np.random.Generator) -> Proposal | None:
        """A random genome; None if none is left, or none was found in a space too large to be counted."""
        found = self.first_new(Proposal(self.space.sample(rng)) for _ in range(DRAWS))
        if found is not None or not isinstance(self.space, VectorSpace) or self._genomes > COUNTABLE:
            return found
        left = [genome for genome in every_genome(self.space) if self.is_new(genome)]
        return self.first_new(Proposal(left[place]) for place in rng.permutation(len(left)))

    def outside(self, number: int) -> float:
        """The violation of a network; ``FAILED`` if it was trained without a result, 0.0 if with one."""
        outcome = self.outcomes[number]
        return outcome.violation or (0.0 if np.all(np.isfinite(self._values(number))) else FAILED)

    def _values(self, number: int) -> NDArray[np.float64]:
        """The objectives of a network, all to be minimised, NaN where there is no value."""
        fitness = self.outcomes[number].fitness or {}
        objectives = self.settings.objectives
        return np.array([fitness.get(metric, np.nan) * way.sign for metric, way in objectives.items()])

    def objectives(self, number: int) -> NDArray[np.float64]:
        """The objectives of a network, all to be minimised and finite, see ``worse``. Shape (objectives,)."""
        outside = self.outside(number)
        return self.worse(outside) if outside else self._values(number)

    def worse(self, outside: float) -> NDArray[np.float64]:
        """Objectives for a network without a result: worse than any so far, the more so the further it is
        outside the bounds. Shape (objectives,)."""
        known = np.array([self._values(other) for other in self.outcomes if self.outside(other) == 0.0])
        known = known.reshape(-1, len(self.settings.objectives))
        if not len(known):
            return np.full(known.shape[1], outside)
        worst, width = known.max(axis=0), np.ptp(known, axis=0)
        return np.asarray(worst + outside * np.where(width > 0, width, 1.0))


class ScalarStrategy(BatchStrategy):
    """A search that compares networks by one number."""

    def __init__(self, settings: ScalarSettings, space: Space, seed: int, violation: Violation) -> None:
        super().__init__(settings, space, seed, violation)
        weights = settings.weights or {}
        self._weights = np.array([weights.get(name, 1.0) for name in settings.objectives])

    def rank(self, number: int) -> tuple[float, float]:
        """What networks are compared by, the smaller the better: among those without a result the one that is
        less far outside the bounds is better, and any with a result is better than both (Deb, 2000)."""
        outside = self.outside(number)
        return outside, float(self._weights @ self._values(number)) if outside == 0.0 else 0.0
