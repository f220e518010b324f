"""Motifs of motifs (Liu, Simonyan, Vinyals, Fernando and Kavukcuoglu, "Hierarchical representations for
efficient architecture search", ICLR 2018, arXiv 1711.00436).

A motif is a small graph: its nodes are images, its edges operations of the level below, and what reaches a
node is concatenated. Level 1 is six primitives. Level 2 is six motifs of four nodes made of primitives.
Level 3 is one motif of five nodes made of those of level 2: the cell, which the network repeats with more
channels and smaller images. Motifs and cells end with a 1x1 convolution; for cells the paper does not say
so, but without it the published network would have a fifth more parameters than it has. A genome has a list
per motif with a number for each pair of nodes, 1-2, 1-3, 2-3, 1-4, ...; 0 is no edge.

What does not lie between first and last node of a motif is left out; a motif whose last node nothing
reaches passes its input on. (The port of NASLib adds up what reaches an inner node; here it is
concatenated, as in the paper.)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field

from a4nn_core.component import Unit
from a4nn_core.errors import BadInput
from a4nn_core.spaces.architecture import Architecture, Graph, Layer, Shape
from a4nn_core.spaces.base import Genes, Genome, Mutant, VectorSpace

PRIMITIVES = ("1x1 conv", "depthwise", "separable", "max pool", "avg pool", "identity")
MOTIFS, MOTIF_NODES, CELL_NODES = 6, 4, 5


class Hierarchical(VectorSpace):
    """Cells that are small graphs of small graphs of operations."""

    name: Literal["hierarchical"] = "hierarchical"
    channels: Annotated[int, Unit("channels")] = Field(default=16, ge=1)
    """channels of the first stage; every later one has twice as many"""
    stages: Annotated[int, Unit("stages")] = Field(default=3, ge=1, le=6)
    """stages of the network, between which images are halved"""
    cells: Annotated[int, Unit("cells")] = Field(default=1, ge=1)
    """cells of each stage; the published search had 1, the final networks 2"""

    @property
    def upper(self) -> Genes:
        edges = MOTIFS * len(pairs(MOTIF_NODES)) + len(pairs(CELL_NODES))
        # as many motifs as primitives, so that all genes have the same bound
        return np.full(edges, len(PRIMITIVES), dtype=np.int64)

    def genome(self, genes: Sequence[int] | Genes) -> Genome:
        flat, edges = [int(gene) for gene in genes], len(pairs(MOTIF_NODES))
        starts = range(0, MOTIFS * edges, edges)
        return [*(flat[start : start + edges] for start in starts), flat[MOTIFS * edges :]]

    def genes(self, genome: Genome) -> Genes:
        if not isinstance(genome, list) or len(genome) != MOTIFS + 1:
            found = len(genome) if isinstance(genome, list) else "no list of"
            raise BadInput(f"genome has {found} motifs; space hierarchical has {MOTIFS} and the cell")
        for number, motif in enumerate(genome, start=1):
            edges = len(pairs(MOTIF_NODES if number <= MOTIFS else CELL_NODES))
            if not isinstance(motif, list) or len(motif) != edges:
                raise BadInput(f"genome motif {number} is {motif!r}, not a list of {edges} numbers")
            for edge in motif:
                if isinstance(edge, bool) or not isinstance(edge, int) or not 0 <= edge <= len(PRIMITIVES):
                    raise BadInput(
                        f"genome motif {number} has {edge!r}, not a number from 0 to {len(PRIMITIVES)}"
                    )
        return np.array([edge for motif in genome for edge in motif], dtype=np.int64)

    def mutate(self, genome: Genome, rng: np.random.Generator) -> Mutant:
        """One edge of a motif is drawn again: level, motif of that level, target and source are drawn one
        after another, so that an edge of the cell is drawn in half of all mutations (as in the paper)."""
        mutated = [list(motif) for motif in self.genome(self.genes(genome))]
        number = MOTIFS if rng.random() < 0.5 else int(rng.integers(MOTIFS))
        nodes = CELL_NODES if number == MOTIFS else MOTIF_NODES
        target = int(rng.integers(2, nodes + 1))
        edge = pairs(nodes).index((int(rng.integers(1, target)), target))
        before, after = mutated[number][edge], int(rng.integers(0, len(PRIMITIVES) + 1))
        mutated[number][edge] = after
        what = "no change" if before == after else "remove" if not after else "change" if before else "add"
        return Mutant(mutated, f"edge of {'cell' if number == MOTIFS else 'motif'}: {what}")

    def probes(self) -> Sequence[Genome]:
        # the most channels: every edge there, and a separable convolution
        return [self.genome(np.full(len(self.upper), PRIMITIVES.index("separable") + 1))]

    def decode(self, genome: Genome, input_shape: Shape, classes: int) -> Architecture:
        if classes < 2:
            raise BadInput(f"a classifier needs two classes or more, not {classes}")
        self.genes(genome)
        builder = _Builder(Graph(input_shape), genome)
        at = builder.conv(_Image(0, input_shape[0]), self.channels, "stem", kernel=3)
        channels = self.channels
        for stage in range(self.stages):
            builder.phase = stage
            if stage:
                channels *= 2
                at = builder.separable(at, channels, "between", stride=2)
            for cell in range(1, self.cells + 1):
                at = builder.cell(at, channels, f"cell {cell}")
        builder.phase = None
        average = builder.add("global_average_pool", at, at.channels, "average")
        builder.graph.add(Layer("linear", classes, bias=True, label="classify"), average.layer)
        return builder.graph.done()


def pairs(nodes: int) -> list[tuple[int, int]]:
    """The pairs of nodes of a motif, source and target, in the order of its genes."""
    return [(source, target) for target in range(2, nodes + 1) for source in range(1, target)]


@dataclass(frozen=True)
class _Image:
    """The layer that makes a tensor, and its channels."""

    layer: int
    channels: int


class _Builder:
    def __init__(self, graph: Graph, genome: Genome) -> None:
        self.graph = graph
        self.genome = genome
        self.phase: int | None = None

    def add(self, op: str, image: _Image, channels: int, label: str, **how: Any) -> _Image:
        layer = Layer(op, channels, phase=self.phase, label=label, **how)
        return _Image(self.graph.add(layer, image.layer), channels)

    def cell(self, image: _Image, channels: int, title: str) -> _Image:
        """Level 3: a graph of motifs."""

        def motif(number: int, given: _Image, label: str) -> _Image:
            made = self.graph_of(
                self.genome[number - 1],
                MOTIF_NODES,
                given,
                label,
                lambda op, image, name: self.primitive(PRIMITIVES[op - 1], image, channels, name),
            )
            return self.conv(made, channels, f"{label} end")

        made = self.graph_of(self.genome[MOTIFS], CELL_NODES, image, title, motif)
        return self.conv(made, channels, f"{title} end")

    def graph_of(
        self,
        edges: Sequence[int],
        nodes: int,
        image: _Image,
        title: str,
        operation: Callable[[int, _Image, str], _Image],
    ) -> _Image:
        """A motif: every edge an operation, what reaches a node concatenated."""
        wanted = between(edges, nodes)
        made = {1: image}
        for target in range(2, nodes + 1):
            reached = [
                operation(op, made[source], f"{title} {source}-{target}")
                for (source, end), op in zip(pairs(nodes), edges, strict=True)
                if end == target and (source, end) in wanted
            ]
            if reached:
                made[target] = self.joined(reached, f"{title} node {target}")
        return made.get(nodes, image)

    def joined(self, images: Sequence[_Image], label: str) -> _Image:
        if len(images) == 1:
            return images[0]
        channels = sum(image.channels for image in images)
        layer = Layer("concat", channels, phase=self.phase, label=f"{label} concat")
        return _Image(self.graph.add(layer, [image.layer for image in images]), channels)

    def primitive(self, op: str, image: _Image, channels: int, label: str) -> _Image:
        if op == "1x1 conv":
            return self.conv(image, channels, label)
        if op == "separable":
            return self.separable(image, channels, label)
        if op == "depthwise":
            return self.depthwise(image, label)
        if op == "identity":
            return image
        kind = op.replace(" ", "_")
        return self.add(kind, image, image.channels, f"{label} pool", kernel=3, padding=1)

    def conv(
        self, image: _Image, channels: int, label: str, kernel: int = 1, stride: int = 1, groups: int = 1
    ) -> _Image:
        """A convolution with batch normalisation and ReLU."""
        settings = {} if groups == 1 else {"groups": groups}
        how = {"kernel": kernel, "padding": kernel // 2, "stride": stride, "settings": settings}
        at = self.add("conv", image, channels, f"{label} conv", **how)
        return self.add(
            "relu", self.add("batch_norm", at, channels, f"{label} norm"), channels, f"{label} relu"
        )

    def depthwise(self, image: _Image, label: str, stride: int = 1) -> _Image:
        return self.conv(image, image.channels, f"{label} depthwise", 3, stride, groups=image.channels)

    def separable(self, image: _Image, channels: int, label: str, stride: int = 1) -> _Image:
        settings = {} if image.channels == 1 else {"groups": image.channels}
        how = {"kernel": 3, "padding": 1, "stride": stride, "settings": settings}
        deep = self.add("conv", image, image.channels, f"{label} depthwise conv", **how)
        return self.conv(deep, channels, label)


def between(edges: Sequence[int], nodes: int) -> set[tuple[int, int]]:
    """The edges of a motif that lie on a path from its first node to its last one."""
    there = [pair for pair, op in zip(pairs(nodes), edges, strict=True) if op]
    reached, leads = {1}, {nodes}
    for source, target in there:  # sources of a node come before it
        if source in reached:
            reached.add(target)
    for source, target in sorted(there, key=lambda pair: -pair[0]):
        if target in leads:
            leads.add(source)
    return {(source, target) for source, target in there if source in reached and target in leads}
