"""The interface of a search space: what a strategy needs to vary genomes, and how a genome is decoded."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from a4nn_core.component import Component, Registry
from a4nn_core.spaces.architecture import Architecture, Shape

Genes = NDArray[np.int64]
Genome = Any  # what users see and write: nested lists of integers, JSON


class SearchSpace(Component):
    """A search space. To add one, subclass it and name the class in the entry point group ``a4nn.spaces``.
    Strategies see a genome as a flat vector of integers between bounds."""

    @property
    @abstractmethod
    def upper(self) -> Genes:
        """The maximum of every gene, shape (genes,); the minimum is 0."""

    @abstractmethod
    def genome(self, genes: Sequence[int] | Genes) -> Genome:
        """The genome, in the form users write, of a flat vector of genes."""

    @abstractmethod
    def genes(self, genome: Genome) -> Genes:
        """The flat vector of a genome.

        Raises:
            BadInput: the genome does not fit this space.
        """

    @abstractmethod
    def decode(self, genome: Genome, input_shape: Shape, classes: int) -> Architecture:
        """The architecture that a genome encodes.

        Raises:
            BadInput: the genome does not fit this space, or images of this shape are too small for it.
        """


SPACES: Registry[SearchSpace] = Registry(
    "search space",
    "a4nn.spaces",
    {
        "macro": "a4nn_core.spaces.macro:Macro",
        "nas-bench-201": "a4nn_core.spaces.nas_bench_201:NASBench201",
        "nas-bench-macro": "a4nn_core.spaces.nas_bench_macro:NASBenchMacro",
    },
)
