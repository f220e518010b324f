"""The interface of a search strategy: ask for candidates, tell what became of them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from pydantic import Field, field_validator

from a4nn_core.component import Component, Registry
from a4nn_core.spaces.base import Genome, SearchSpace

Direction = Literal["minimise", "maximise"]
METRICS = ("error_percent", "accuracy_percent", "loss", "mflops", "parameters")


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
        fitness: metric name to value; None if the network failed, which makes it infeasible.
        source: where the fitness comes from.
    """

    number: int
    fitness: Mapping[str, float] | None
    source: Literal["measured", "predicted"] = "measured"


class Strategy(ABC):
    """A search in progress. What it asks for depends on its seed and on what it was told, never on how
    often or in what portions it was asked.

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

    objectives: dict[str, Direction] = Field(
        default={"error_percent": "minimise", "mflops": "minimise"}, min_length=1
    )
    """what is optimised: metric name to direction"""
    networks: int = Field(default=100, ge=1)
    """how many networks the search may look at"""
    schedule: Literal["generational", "steady"] = "generational"
    """generational waits for a whole generation before it asks for the next, and repeats from the seed;
    steady asks for a network as soon as a slot is free, and repeats from the event log"""

    @field_validator("objectives")
    @classmethod
    def _known(cls, objectives: dict[str, Direction]) -> dict[str, Direction]:
        for metric in objectives:
            if metric not in METRICS:
                raise ValueError(f"there is no metric {metric!r}; known: {', '.join(METRICS)}")
        return objectives

    @abstractmethod
    def start(self, space: SearchSpace, seed: int) -> Strategy:
        """A new search of this space."""


STRATEGIES: Registry[SearchSettings] = Registry(
    "search strategy", "a4nn.search", {"nsga-net": "a4nn_core.search.nsga_net:NSGANet"}
)
