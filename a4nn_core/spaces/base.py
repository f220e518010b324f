"""The interface of a search space: how genomes are made, varied, checked and decoded.

There are two kinds. The genome of a ``VectorSpace`` is a vector of integers of fixed length, which any method
of optimisation can vary. That of a ``FreeSpace`` is anything that JSON can hold, such as a list of layers of
variable length with real values, or a graph; only the space knows how to vary it. Both kinds have the same
methods, so a strategy that uses nothing else searches any space.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from a4nn_core.component import Component, Registry
from a4nn_core.spaces.architecture import Architecture, Shape
from a4nn_core.vocabulary import Task

Genes = NDArray[np.int64]
Genome = Any
"""What users see and write: JSON values. Lists, not tuples, so that it equals what was read from a record."""

SAMPLED_PROBES = 32


class Mutant(NamedTuple):
    """A genome made from another one, and what was done to it, such as ``insert convolution``."""

    genome: Genome
    operator: str


class Space(Component):
    """A search space of either kind. No method changes the genomes that it is given."""

    kind: ClassVar[str] = "genomes of any kind"
    """what its genomes are, in messages"""
    crosses: ClassVar[bool] = False
    """whether ``cross`` works"""
    task: ClassVar[Task] = Task.classification
    """what its networks are trained for"""

    @abstractmethod
    def sample(self, rng: np.random.Generator) -> Genome:
        """A random genome."""

    @abstractmethod
    def mutate(self, genome: Genome, rng: np.random.Generator) -> Mutant:
        """A genome that differs a little from another one; equal to it where a change happened to do
        nothing."""

    def cross(self, first: Genome, second: Genome, rng: np.random.Generator) -> tuple[Genome, Genome]:
        """Two genomes made of two others; only where ``crosses`` says that it makes sense.

        Raises:
            NotImplementedError: there is no such operator in this space.
        """
        raise NotImplementedError(f"genomes of space {self.name} cannot be crossed")

    @abstractmethod
    def check(self, genome: Genome) -> None:
        """Refuse what is no genome of this space.

        Raises:
            BadInput: the genome does not fit this space; says where.
        """

    @abstractmethod
    def decode(self, genome: Genome, input_shape: Shape, classes: int) -> Architecture:
        """The architecture that a genome encodes.

        Args:
            genome: genome in the form that users write.
            input_shape: shape of an image, (channels, height, width).
            classes: number of classes; of no use to networks that restore images.

        Raises:
            BadInput: the genome does not fit this space, or images of this shape are too small for it.
        """

    @abstractmethod
    def probes(self) -> Sequence[Genome]:
        """Genomes among which is one of the largest networks, as far as that is known: a run looks before it
        starts whether that fits into memory."""


class VectorSpace(Space):
    """A search space of integer vectors. To add one, subclass it and name the class in the entry point group
    ``a4nn.spaces``. Strategies see a genome as a flat vector of integers between bounds."""

    kind: ClassVar[str] = "integer vectors"
    crosses: ClassVar[bool] = True

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

    def sample(self, rng: np.random.Generator) -> Genome:
        """Every gene is drawn uniformly."""
        return self.genome(rng.integers(0, self.upper + 1))

    def mutate(self, genome: Genome, rng: np.random.Generator) -> Mutant:
        """One gene, drawn uniformly from those that have a choice, takes another value."""
        genes, upper = self.genes(genome).copy(), self.upper
        open_genes = np.flatnonzero(upper)
        if len(open_genes):
            gene = rng.choice(open_genes)
            value = rng.integers(0, upper[gene])
            genes[gene] = value + (value >= genes[gene])
        return Mutant(self.genome(genes), "mutation of one gene")

    def cross(self, first: Genome, second: Genome, rng: np.random.Generator) -> tuple[Genome, Genome]:
        """Every gene of one child comes from either parent with equal chance, that of the other child from
        the other parent (uniform crossover)."""
        one, other = self.genes(first), self.genes(second)
        swapped = rng.random(len(one)) < 0.5
        return self.genome(np.where(swapped, other, one)), self.genome(np.where(swapped, one, other))

    def check(self, genome: Genome) -> None:
        self.genes(genome)

    def probes(self) -> Sequence[Genome]:
        return [self.genome(self.upper)]


class StagedSpace(VectorSpace):
    """A search space of integer vectors that have parts, such as the stages of a network."""

    kind: ClassVar[str] = "integer vectors of stages"

    @property
    @abstractmethod
    def stages(self) -> tuple[slice, ...]:
        """Where each stage is in the vector."""


SearchSpace = VectorSpace
"""The name of ``VectorSpace`` when there was no other kind."""


class FreeSpace(Space):
    """A search space of free genomes. To add one, subclass it and name the class in the entry point group
    ``a4nn.spaces``.

    Decoding repairs rather than refuses what depends on the images: where an image has become too small to
    be halved, a pooling layer is left out. So every genome that passes ``check`` is a network for images of
    any shape.
    """

    kind: ClassVar[str] = "free genomes"

    def probes(self) -> Sequence[Genome]:
        rng = np.random.default_rng(0)
        return [self.sample(rng) for _ in range(SAMPLED_PROBES)]


def largest(space: Space, input_shape: Shape, classes: int) -> Architecture:
    """The network with the most multiply-adds among the probes of a space.

    Raises:
        BadInput: no genome fits the images.
    """
    networks = [space.decode(genome, input_shape, classes) for genome in space.probes()]
    return max(networks, key=lambda network: network.flops)


SPACES: Registry[Space] = Registry(
    "search space",
    "a4nn.spaces",
    {
        "macro": "a4nn_core.spaces.macro:Macro",
        "nas-bench-201": "a4nn_core.spaces.nas_bench_201:NASBench201",
        "nas-bench-macro": "a4nn_core.spaces.nas_bench_macro:NASBenchMacro",
        "designed": "a4nn_core.spaces.designed.space:Designed",
        "nsga-net-micro": "a4nn_core.spaces.cell_space:NSGANetMicro",
        "nasnet": "a4nn_core.spaces.cell_space:NASNet",
        "genetic-cnn": "a4nn_core.spaces.genetic_cnn:GeneticCNN",
        "hierarchical": "a4nn_core.spaces.hierarchical:Hierarchical",
        "layer-sequence": "a4nn_core.spaces.layer_sequence:LayerSequence",
        "free-graph": "a4nn_core.spaces.free_graph:FreeGraph",
        "pso-cnn": "a4nn_core.spaces.pso_cnn:PsoCNN",
        "evocnn": "a4nn_core.spaces.evocnn:EvoCNN",
        "cgp": "a4nn_core.spaces.cgp:CGP",
    },
)


def spaces_of(kind: type[Space], crosses: bool = False) -> list[str]:
    """The names of the registered spaces of one kind.

    Args:
        kind: class that they must be of.
        crosses: whether their genomes must be such that they can be crossed.
    """
    return [
        name
        for name, space in SPACES.loadable()
        if issubclass(space, kind) and (space.crosses or not crosses)
    ]
