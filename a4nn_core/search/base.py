"""The interface of a search strategy: ask for candidates, tell what became of them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from pydantic import Field, field_validator

from a4nn_core.component import Component, Registry
from a4nn_core.errors import BadInput
from a4nn_core.metrics import DEFAULT_OBJECTIVES, Metric, find_metric, recorded
from a4nn_core.search.constraints import Bound, Constraints, check_bound
from a4nn_core.spaces.base import Genome, SearchSpace
from a4nn_core.vocabulary import Direction, FitnessSource

Violation = Callable[[Genome], float]
"""How far a genome is outside the bounds of ``[search.constraints]``: 0.0 for one that is within all of them,
more the further it is outside. It depends on the genome alone, and nothing is trained for it."""


def no_violation(genome: Genome) -> float:
    """The violation of a genome where there are no bounds."""
    del genome
    return 0.0


@dataclass(frozen=True)
class Candidate:
    """One network a strategy wants to know about.

    Attributes:
        number: of the network in its run, from 0, in the order of asking.
        genome: as the search space writes it.
        parents: numbers of the networks it descends from.
        operator: what made it, such as ``sampling`` or ``two-point crossover + polynomial mutation``.
        generation: from 0.
        position: within the generation, from 0.
        inherit_from: number of a network whose weights it starts from, None for fresh weights.
    """

    number: int
    genome: Genome
    parents: tuple[int, ...]
    operator: str
    generation: int
    position: int
    inherit_from: int | None = None


@dataclass(frozen=True)
class Outcome:
    """What became of a candidate.

    Attributes:
        number: of the network.
        fitness: metric name to value; None if the network failed or was not trained.
        source: where the fitness comes from.
        violation: how far the network is outside the bounds, which is why it was not trained; 0.0 within
            them.
    """

    number: int
    fitness: Mapping[str, float] | None
    source: FitnessSource = FitnessSource.measured
    violation: float = 0.0


class Strategy(ABC):
    """A search in progress. What it asks for depends on its seed, on what it was told and on which genomes
    are within the bounds, never on how often or in what portions it was asked.

    On a generational schedule the order of tells does not matter either. On a steady one every tell counts
    at once, so what is asked for next depends on the order of asks and tells: that of the event log.
    """

    @abstractmethod
    def ask(self, count: int) -> list[Candidate]:
        """Up to ``count`` new candidates; fewer, or none, where it must first be told more."""

    @abstractmethod
    def tell(self, outcome: Outcome) -> None:
        """What became of one candidate that was asked for."""

    @property
    @abstractmethod
    def generation(self) -> int:
        """The generation that is being asked for or waited for, from 0."""

    @property
    @abstractmethod
    def finished(self) -> bool:
        """Whether everything was asked and told."""


class SearchSettings(Component):
    """Settings of a strategy. To add one, subclass this and name the class in the entry point group
    ``a4nn.search``."""

    objectives: dict[str, Direction] = Field(default=DEFAULT_OBJECTIVES, min_length=1)
    """what is optimised: metric name to direction"""
    constraints: dict[str, Bound] | None = None
    """bounds of metrics that are known before training, such as { parameters = { most = 64600 } }: a network
    outside them is not trained"""
    networks: int = Field(default=100, ge=1)
    """how many networks the search may look at; those outside the bounds count too"""
    schedule: Literal["generational", "steady"] = "generational"
    """generational waits for a whole generation before it asks for the next, and repeats from the seed;
    steady asks for a network as soon as a slot is free, and repeats from the event log"""

    @field_validator("objectives")
    @classmethod
    def _known(cls, objectives: dict[str, Direction]) -> dict[str, Direction]:
        for name in objectives:
            try:
                find_metric(name)
            except BadInput as error:
                raise ValueError(str(error)) from None
        return objectives

    @field_validator("constraints")
    @classmethod
    def _checkable(cls, constraints: dict[str, Bound] | None) -> dict[str, Bound] | None:
        for name, bound in (constraints or {}).items():
            try:
                check_bound(name, bound)
            except BadInput as error:
                raise ValueError(str(error)) from None
        return constraints or None

    def limits(self) -> Constraints:
        """The bounds, also if there are none."""
        return Constraints(self.constraints or {})

    def metrics(self) -> tuple[Metric, ...]:
        """What is recorded of every trained network: the standard metrics and what this search names."""
        return recorded((*self.objectives, *(self.constraints or ())))

    @abstractmethod
    def start(self, space: SearchSpace, seed: int, violation: Violation = no_violation) -> Strategy:
        """A new search of this space.

        Args:
            space: where genomes come from.
            seed: of everything that is drawn.
            violation: of a genome. A strategy need not look at it; one that does should rather ask for
                genomes within the bounds, as those outside cost networks of its budget and tell it nothing.
        """


STRATEGIES: Registry[SearchSettings] = Registry(
    "search strategy", "a4nn.search", {"nsga-net": "a4nn_core.search.nsga_net:NSGANet"}
)
