"""Convolutional autoencoders by Cartesian genetic programming (Suganuma, Ozay and Okatani, "Exploiting the
potential of standard convolutional autoencoders for image restoration by evolutionary search", ICML 2018,
arXiv 1803.00370), as in the published code (sg-nm/Evolutionary-Autoencoders, ``Denoising/cgp.py``,
``cgp_config.py``, ``cnn_model.py`` and ``Inpainting/cgp_config.py``).

A genome is a grid of nodes. Each has a function and the node or image that it takes, in one of the columns
before (``levels_back``); the output takes one of the last columns. Functions have one input, so what the
output depends on, the *active* nodes, is a chain, with at most one node of each column; the others are there
to be varied. The chain is the encoder. The decoder mirrors it: for every node, the last one first, a layer
of the same kernel with as many channels, and a last convolution to the channels of the image. All but the
last are followed by ReLU, none has a bias or batch normalisation. What a node with a skip connection makes is
added to what its mirror image makes; where a node halves the image, its mirror image is a transposed
convolution that doubles it.

As the output reaches back ``levels_back`` columns only, a chain has at least four nodes in the published
grid, and the published code begins with one convolution nevertheless: every node can take the image itself
here, though mutation draws it only for nodes of the first columns.

The published code limits active nodes to 1 to 30, which a grid of 20 columns always keeps. Its second ReLU
behind a skip connection changes nothing, as both summands are at least 0, and is left out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from a4nn_core.component import Unit
from a4nn_core.errors import BadInput
from a4nn_core.spaces.architecture import Architecture, Graph, Layer, Shape
from a4nn_core.spaces.base import Genes, Genome, Mutant, VectorSpace
from a4nn_core.vocabulary import Task

TRIES = 1000
"""attempts at a mutation of an active gene; with fewer genes than that it is certain to be found"""
ENCODER, DECODER = range(2)
Maps = Annotated[int, Field(ge=1)]


@dataclass(frozen=True)
class Function:
    """What a node computes.

    Attributes:
        channels: channels of its output.
        kernel: side of its square kernel, in pixels.
        skips: whether its output is added to that of its mirror image.
        halves: whether it halves the image.
    """

    channels: int
    kernel: int
    skips: bool = False
    halves: bool = False

    def __str__(self) -> str:
        """As in the paper, such as ``CS(64,3)``; D where the image is halved."""
        return f"{'D' if self.halves else ''}C{'S' if self.skips else ''}({self.channels},{self.kernel})"


class CGP(VectorSpace):
    """Convolutional autoencoders that restore images: an encoder on a grid, and its mirror image."""

    name: Literal["cgp"] = "cgp"
    kind: ClassVar[str] = "grids of nodes (Cartesian genetic programming)"
    task: ClassVar[Task] = Task.restoration

    rows: Annotated[int, Unit("nodes")] = Field(default=3, ge=1, le=100)
    """nodes of a column"""
    columns: Annotated[int, Unit("columns")] = Field(default=20, ge=1, le=100)
    """columns of the grid: the most nodes of an encoder"""
    levels_back: Annotated[int, Unit("columns")] = Field(default=5, ge=1)
    """columns that a node reaches back"""
    channels: Annotated[tuple[Maps, ...], Field(min_length=1), Unit("channels")] = (64, 128, 256)
    """channels that a node can have"""
    kernels: Annotated[tuple[Literal[1, 3, 5, 7, 9], ...], Field(min_length=1), Unit("pixels")] = (1, 3, 5)
    """sides of kernels, odd"""
    functions: Literal["denoising", "inpainting"] = "denoising"
    """what nodes compute: convolutions with and without a skip connection (denoising); convolutions with one,
    and convolutions that halve the image (inpainting)"""
    output: Literal["linear", "positive"] = "linear"
    """what the last convolution makes: values of any sign, as published; or positive ones, by log(1 +
    exp(x)), which a Poisson likelihood needs"""

    adds: Literal["nothing", "mean"] = "nothing"
    """what is added to what the last convolution makes: nothing, as published; or the mean expected image of
    the training images, so that networks learn by what an image differs from it (not published)"""

    # the genome

    @property
    def function_set(self) -> tuple[Function, ...]:
        """What nodes can compute, in the order of their genes."""
        sizes = [(channels, kernel) for channels in self.channels for kernel in self.kernels]
        plain = [Function(*size, halves=self.functions == "inpainting") for size in sizes]
        return (*plain, *(Function(*size, skips=True) for size in sizes))

    @property
    def nodes(self) -> int:
        """Number of nodes, without the output."""
        return self.rows * self.columns

    def sources(self, node: int) -> range:
        """What a node can take: 0 is the image, ``n`` the ``n``-th node, counted from 1 column by column.

        Args:
            node: number of the node; ``nodes + 1`` is the output.
        """
        column = (node - 1) // self.rows
        first = (column - self.levels_back) * self.rows + 1 if column >= self.levels_back else 0
        return range(first, column * self.rows + 1)

    @property
    def upper(self) -> Genes:
        functions, found = len(self.function_set), []
        for node in range(1, self.nodes + 1):
            found += [functions - 1, self._most(node)]
        return np.array([*found, self._most(self.nodes + 1)], dtype=np.int64)

    def _most(self, node: int) -> int:
        """The greatest value of a node's gene of connection; where the image is out of reach, its own."""
        reach = self.sources(node)
        return len(reach) - 1 if 0 in reach else len(reach)

    def genome(self, genes: Sequence[int] | Genes) -> Genome:
        """A list for each node: number of its function, and what it takes; then what the output takes."""
        flat = [int(gene) for gene in genes]
        pairs = zip(flat[:-1:2], flat[1:-1:2], strict=True)
        made: list[Any] = [[function, self._source(n, gene)] for n, (function, gene) in enumerate(pairs, 1)]
        return [*made, self._source(self.nodes + 1, flat[-1])]

    def _source(self, node: int, gene: int) -> int:
        reach = self.sources(node)
        return reach[gene] if gene < len(reach) else 0

    def _gene(self, node: int, source: int) -> int:
        reach = self.sources(node)
        return reach.index(source) if source in reach else len(reach)

    def genes(self, genome: Genome) -> Genes:
        if not isinstance(genome, list) or len(genome) != self.nodes + 1:
            there = len(genome) - 1 if isinstance(genome, list) else "no list of"
            raise BadInput(f"genome has {there} nodes; this space has {self.nodes} and the output")
        functions = len(self.function_set)
        found: list[int] = []
        for number, node in enumerate(genome[:-1], start=1):
            if not isinstance(node, list) or len(node) != 2:
                raise BadInput(f"genome node {number} is {node!r}, not [function, source]")
            function, source = node
            if not _whole(function) or not 0 <= function < functions:
                raise BadInput(
                    f"genome node {number} has function {function!r}, not a number from 0 to {functions - 1}"
                )
            found += [function, self._checked(number, f"node {number}", source)]
        return np.array([*found, self._checked(self.nodes + 1, "output", genome[-1])], dtype=np.int64)

    def _checked(self, number: int, what: str, source: object) -> int:
        reach = self.sources(number)
        if isinstance(source, int) and _whole(source) and (source == 0 or source in reach):
            return self._gene(number, source)
        image = "" if 0 in reach else " or 0, the image"
        within = f"a number from {reach[0]} to {reach[-1]}{image}" if len(reach) else "0, the image"
        raise BadInput(f"genome {what} takes {source!r}, not {within}")

    def active(self, genome: Genome) -> list[int]:
        """Numbers of the nodes that the output depends on, in their order."""
        found, at = [], genome[-1]
        while at:
            found.append(at)
            at = genome[at - 1][1]
        return found[::-1]

    def chain(self, genome: Genome) -> list[Function]:
        """The encoder: what the active nodes compute, in their order."""
        functions = self.function_set
        return [functions[genome[node - 1][0]] for node in self.active(genome)]

    # variation

    def sample(self, rng: np.random.Generator) -> Genome:
        """Every gene is drawn uniformly; the image is taken only where it is within reach."""
        return self.genome([int(rng.integers(len(choices))) for choices in self._choices()])

    def minimal(self, rng: np.random.Generator) -> Genome:
        """One convolution in the last column, with a kernel of 3 (or that next to it) and the fewest
        channels; the other nodes are drawn at random. For inpainting, it has a skip connection."""
        genome = self.sample(rng)
        kernel = min(self.kernels, key=lambda side: abs(side - 3))
        small = Function(min(self.channels), kernel, skips=self.functions == "inpainting")
        node = self.nodes - int(rng.integers(self.rows))
        genome[node - 1] = [self.function_set.index(small), 0]
        genome[-1] = node
        return genome

    def mutate(self, genome: Genome, rng: np.random.Generator) -> Mutant:
        """Genes are drawn one after another and take other values until an active one has, so that the
        network is another one (Goldman and Punch, "Reducing wasted evaluations in Cartesian genetic
        programming", EuroGP 2013)."""
        genes, choices = self.genes(genome).copy(), self._choices()
        active = self._active_genes(genome)
        open_genes = [gene for gene, values in enumerate(choices) if len(values) > 1]
        while open_genes:
            gene = int(rng.choice(open_genes))
            _redraw(genes, gene, choices[gene], rng)
            if gene in active:
                break
        return Mutant(self.genome(genes), "mutation of an active gene")

    def mutate_active(self, genome: Genome, rate: float, rng: np.random.Generator) -> Genome:
        """The published mutation: every gene takes another value with some probability; again from the
        beginning until an active gene has one (forced mutation).

        Args:
            genome: the parent.
            rate: probability for each gene.
            rng: source of randomness.
        """
        active = self._active_genes(genome)
        for _ in range(TRIES):
            changed, touched = self._mutated(genome, range(len(self.upper)), rate, rng)
            if touched & active:
                return changed
        return self.mutate(genome, rng).genome

    def drift(self, genome: Genome, rate: float, rng: np.random.Generator) -> Genome:
        """The published neutral mutation: as the other, of genes that are not active alone, so that the
        network stays the same."""
        active = self._active_genes(genome)
        passive = [gene for gene in range(len(self.upper)) if gene not in active]
        return self._mutated(genome, passive, rate, rng)[0]

    def _mutated(
        self, genome: Genome, which: Sequence[int], rate: float, rng: np.random.Generator
    ) -> tuple[Genome, set[int]]:
        """A mutated genome, and the genes that were changed."""
        genes, choices, changed = self.genes(genome).copy(), self._choices(), set()
        for gene in which:
            if rng.random() < rate and len(choices[gene]) > 1:
                _redraw(genes, gene, choices[gene], rng)
                changed.add(gene)
        return self.genome(genes), changed

    def _choices(self) -> list[range]:
        """The values that mutation and sampling give each gene."""
        functions, found = range(len(self.function_set)), []
        for node in range(1, self.nodes + 1):
            found += [functions, range(len(self.sources(node)))]
        return [*found, range(len(self.sources(self.nodes + 1)))]

    def _active_genes(self, genome: Genome) -> set[int]:
        """Places of the genes that the network depends on."""
        nodes = self.active(genome)
        return {place for node in nodes for place in (2 * node - 2, 2 * node - 1)} | {2 * self.nodes}

    # the network

    def probes(self) -> Sequence[Genome]:
        """A node of each column, with the most channels and the largest kernel, at full size."""
        largest = self.function_set.index(Function(max(self.channels), max(self.kernels), skips=True))
        above = [max(0, node - self.rows) for node in range(1, self.nodes + 2)]
        return [[*([largest, source] for source in above[:-1]), above[-1]]]

    def decode(self, genome: Genome, input_shape: Shape, classes: int) -> Architecture:
        del classes
        self.genes(genome)
        builder = _Builder(input_shape)
        chain = list(zip(self.active(genome), self.chain(genome), strict=True))
        made = [builder.encode(node, function) for node, function in chain]
        for (node, function), encoded in reversed(list(zip(chain, made, strict=True))):
            builder.decode(node, function, encoded)
        return builder.done(self.output == "positive", self.adds == "mean")


@dataclass(frozen=True)
class _Encoded:
    """What a node of the encoder made.

    Attributes:
        layer: index of its last layer.
        height, width: sides in pixels of the image that it took.
    """

    layer: int
    height: int
    width: int


class _Builder:
    """Builds a network layer by layer.

    Attributes:
        graph: the layers so far.
        at: index of the last one.
        sides: height and width of its output.
    """

    def __init__(self, shape: Shape) -> None:
        self.graph = Graph(shape)
        self.at = 0
        self.sides = shape[1:]

    def encode(self, node: int, function: Function) -> _Encoded:
        """Append a node of the encoder."""
        height, width = self.sides
        stride = 2 if function.halves else 1
        self._layer("conv", function, ENCODER, f"node {node} conv", stride)
        self._activate(function, ENCODER, f"node {node}")
        if function.halves:
            self.sides = ((height + 1) // 2, (width + 1) // 2)
        return _Encoded(self.at, height, width)

    def decode(self, node: int, function: Function, encoded: _Encoded) -> None:
        """Append the mirror image of a node."""
        label = f"mirror {node} conv"
        if function.halves:
            sides = {"height": encoded.height, "width": encoded.width}
            self._layer("transposed_conv", function, DECODER, label, 2, sides)
        else:
            self._layer("conv", function, DECODER, label)
        self._activate(function, DECODER, f"mirror {node}")
        if function.skips:
            merge = Layer("add", function.channels, phase=DECODER, label=f"mirror {node} merge")
            self.at = self.graph.add(merge, [self.at, encoded.layer])

    def done(self, positive: bool, adds_mean: bool) -> Architecture:
        """The network, with its head."""
        channels = self.graph.input_shape[0]
        self.at = self.graph.add(Layer("conv", channels, kernel=3, padding=1, label="restore"), self.at)
        flags = {"positive": positive, "adds_mean": adds_mean}
        settings = {name: True for name, given in flags.items() if given}
        self.graph.add(Layer("image_output", channels, label="image", settings=settings), self.at)
        return self.graph.done()

    def _layer(
        self,
        op: str,
        function: Function,
        phase: int,
        label: str,
        stride: int = 1,
        settings: Mapping[str, int] | None = None,
    ) -> None:
        layer = Layer(
            op,
            function.channels,
            kernel=function.kernel,
            stride=stride,
            padding=function.kernel // 2,
            phase=phase,
            label=label,
            settings=settings or {},
        )
        self.at = self.graph.add(layer, self.at)

    def _activate(self, function: Function, phase: int, label: str) -> None:
        self.at = self.graph.add(
            Layer("relu", function.channels, phase=phase, label=f"{label} relu"), self.at
        )


def _redraw(genes: Genes, gene: int, choices: range, rng: np.random.Generator) -> None:
    """Give a gene another one of its values."""
    others = [value for value in choices if value != genes[gene]]
    genes[gene] = others[int(rng.integers(len(others)))]


def _whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
