"""NSGA-Net (Lu et al., GECCO 2019): NSGA-II over genomes, as the published A4NN runs configured it."""

from __future__ import annotations

from typing import Literal

from a4nn_core.search.base import Strategy, Violation, no_violation
from a4nn_core.search.evolution import EvolutionSettings, evolve
from a4nn_core.spaces.base import VectorSpace


class NSGANet(EvolutionSettings):
    """Generations of a population, improved by crossover and mutation, selected by rank and crowding."""

    name: Literal["nsga-net"] = "nsga-net"

    def start(self, space: VectorSpace, seed: int, violation: Violation = no_violation) -> Strategy:
        return evolve(self, space, seed, violation)
