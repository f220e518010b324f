"""Genomes as pymoo sees them: a problem, and the operators of a search space."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from pymoo.core.mutation import Mutation
from pymoo.core.problem import Problem
from pymoo.core.sampling import Sampling
from pymoo.operators.crossover.ux import UniformCrossover

from a4nn_core.spaces.base import Genes, VectorSpace

ROUNDED = 0.5
"""by which the box is wider than the genes, so that the outermost values are as likely as the others"""


def problem(upper: Genes, objectives: int, constrained: bool) -> Problem:
    """The problem of finding genes, shape (genes,), between 0 and their maximum.

    Args:
        upper: maximum of every gene.
        objectives: number of objectives, all to be minimised.
        constrained: whether networks have a violation.
    """
    return Problem(
        n_var=len(upper),
        n_obj=objectives,
        n_ieq_constr=int(constrained),
        xl=np.full(len(upper), -ROUNDED),
        xu=upper + ROUNDED - 1e-9,
    )


def operators(space: VectorSpace) -> dict[str, Any]:
    """Arguments of a genetic algorithm: it varies genes as the space does."""
    return {"sampling": _Sampled(space), "crossover": UniformCrossover(), "mutation": _Mutated(space)}


class _Sampled(Sampling):  # type: ignore[misc]
    def __init__(self, space: VectorSpace) -> None:
        super().__init__()
        self.space = space

    def _do(
        self, problem: Problem, n_samples: int, *, random_state: np.random.Generator, **given: Any
    ) -> NDArray[np.int64]:
        del problem, given
        return np.array([self.space.genes(self.space.sample(random_state)) for _ in range(n_samples)])


class _Mutated(Mutation):  # type: ignore[misc]
    def __init__(self, space: VectorSpace) -> None:
        super().__init__()
        self.space = space

    def _do(
        self,
        problem: Problem,
        X: NDArray[np.int64],
        *,
        random_state: np.random.Generator,
        **given: Any,
    ) -> NDArray[np.int64]:
        del problem, given
        space = self.space
        return np.array([space.genes(space.mutate(space.genome(genes), random_state).genome) for genes in X])
