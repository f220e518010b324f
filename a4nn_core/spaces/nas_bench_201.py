"""The search space of NAS-Bench-201 (Dong and Yang, ICLR 2020, arXiv 2001.00326; repository
D-X-Y/AutoDL-Projects, MIT), the topology space of NATS-Bench.

A cell has four nodes; each is the sum of one operation on every node before it. A genome is the cell as the
benchmark writes it, with ``operation~node`` for every edge:

    |nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|skip_connect~0|nor_conv_3x3~1|nor_conv_3x3~2|

Three stages of equal cells, with a residual block of half the image and twice the channels between them.
Every edge is a layer, ``none`` as well, as in the published module, so that parameters and multiply-adds are
the published ones; ``Architecture.flops`` is above the latter, as it also counts normalisation, activations
and pooling.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from a4nn_core.component import Unit
from a4nn_core.errors import BadInput
from a4nn_core.spaces.architecture import Architecture, Graph, Layer, Shape
from a4nn_core.spaces.base import Genes, Genome, VectorSpace

NODES = 4
EDGES = tuple((node, source) for node in range(1, NODES) for source in range(node))
"""(node, node that it takes) in the order of the genes"""
OPERATIONS = ("none", "skip_connect", "avg_pool_3x3", "nor_conv_1x1", "nor_conv_3x3")
"""by gene, the cheapest first, so that genes have an order and their upper bounds make the largest network"""
STAGES = 3
_EDGE = re.compile(r"([a-z0-9_]+)~(\d+)")
_EXAMPLE = "|nor_conv_3x3~0|+|nor_conv_3x3~0|none~1|+|skip_connect~0|nor_conv_1x1~1|avg_pool_3x3~2|"


class NASBench201(VectorSpace):
    """Cells of four nodes with one of five operations on each of the six edges."""

    name: Literal["nas-bench-201"] = "nas-bench-201"
    channels: Annotated[int, Unit("channels")] = Field(default=16, ge=1)
    """channels of the first stage; each later one has twice as many"""
    cells: Annotated[int, Unit("cells")] = Field(default=5, ge=1)
    """cells of each stage"""

    @property
    def upper(self) -> Genes:
        return np.full(len(EDGES), len(OPERATIONS) - 1, dtype=np.int64)

    def genome(self, genes: Sequence[int] | Genes) -> Genome:
        operations = [OPERATIONS[gene] for gene in genes]
        nodes = [
            "|" + "".join(f"{operations[edge]}~{EDGES[edge][1]}|" for edge in _edges_of(node))
            for node in range(1, NODES)
        ]
        return "+".join(nodes)

    def genes(self, genome: Genome) -> Genes:
        nodes = genome.split("+") if isinstance(genome, str) else []
        found = [
            (node, _EDGE.fullmatch(edge))
            for node, text in enumerate(nodes, start=1)
            for edge in text.strip("|").split("|")
        ]
        genes = [
            OPERATIONS.index(edge[1])
            for (node, edge), (wanted, source) in zip(found, EDGES, strict=False)
            if edge and node == wanted and int(edge[2]) == source and edge[1] in OPERATIONS
        ]
        if len(genes) != len(EDGES) or len(found) != len(EDGES):
            raise BadInput(
                f"genome {genome!r} is no cell of space nas-bench-201, such as {_EXAMPLE} with the "
                f"operations {', '.join(OPERATIONS)}"
            )
        return np.array(genes, dtype=np.int64)

    def decode(self, genome: Genome, input_shape: Shape, classes: int) -> Architecture:
        genes = self.genes(genome)
        operations = {edge: OPERATIONS[gene] for edge, gene in zip(EDGES, genes, strict=True)}
        builder = _Builder(Graph(input_shape))
        channels = self.channels
        at = builder.add("conv", channels, 0, "stem conv", kernel=3, padding=1)
        at = builder.add("batch_norm", channels, at, "stem norm")
        height, width = input_shape[1:]
        for stage in range(STAGES):
            builder.phase = stage
            if stage:
                at = builder.reduce(at, channels, odd=bool(height % 2 or width % 2))
                height, width = (height + 1) // 2, (width + 1) // 2
                channels *= 2
            for cell in range(1, self.cells + 1):
                at = builder.cell(at, channels, operations, f"cell {cell}")
        builder.phase = None
        at = builder.add("batch_norm", channels, at, "last norm")
        at = builder.add("relu", channels, at, "last relu")
        at = builder.add("global_average_pool", channels, at, "average")
        builder.graph.add(Layer("linear", classes, bias=True, label="classify"), at)
        return builder.graph.done()


def _edges_of(node: int) -> list[int]:
    """Places among the genes of the edges into a node."""
    return [place for place, (target, _) in enumerate(EDGES) if target == node]


@dataclass
class _Builder:
    """Adds the parts of a network to a graph; each method returns the index of the last layer.

    Attributes:
        graph: the network so far.
        phase: stage that is being built.
    """

    graph: Graph
    phase: int | None = None

    def add(self, op: str, channels: int, sources: int | list[int], label: str, **layer: int) -> int:
        return self.graph.add(Layer(op, channels, phase=self.phase, label=label, **layer), sources)  # type: ignore[arg-type]

    def cell(self, at: int, channels: int, operations: dict[tuple[int, int], str], title: str) -> int:
        """A cell after layer ``at``."""
        nodes = [at]
        for node in range(1, NODES):
            name = f"{title} node {node}"
            edges = [
                self._edge(nodes[source], channels, operations[node, source], f"{name} from {source}")
                for source in range(node)
            ]
            nodes.append(edges[0] if len(edges) == 1 else self.add("add", channels, edges, f"{name} add"))
        return nodes[-1]

    def _edge(self, at: int, channels: int, operation: str, title: str) -> int:
        match operation:
            case "none":
                return self.add("zero", channels, at, f"{title} none")
            case "skip_connect":
                return self.add("identity", channels, at, f"{title} skip")
            case "avg_pool_3x3":
                return self.add("avg_pool", channels, at, f"{title} pool", kernel=3, padding=1)
            case _:
                return self._convolve(at, channels, 1 if operation == "nor_conv_1x1" else 3, title)

    def _convolve(
        self, at: int, channels: int, kernel: int, title: str, out: int | None = None, stride: int = 1
    ) -> int:
        """Activation, convolution and normalisation."""
        out = out or channels
        at = self.add("relu", channels, at, f"{title} relu")
        at = self.add("conv", out, at, f"{title} conv", kernel=kernel, padding=kernel // 2, stride=stride)
        return self.add("batch_norm", out, at, f"{title} norm")

    def reduce(self, at: int, channels: int, *, odd: bool) -> int:
        """The residual block between two stages. The published shortcut averages pairs of pixels, which an
        odd side does not have; there the stride of its convolution halves the image."""
        out = 2 * channels
        inner = self._convolve(at, channels, 3, "reduce first", out, stride=2)
        inner = self._convolve(inner, out, 3, "reduce second")
        short = at if odd else self.add("avg_pool", channels, at, "reduce pool", kernel=2, stride=2)
        short = self.add("conv", out, short, "reduce shortcut", stride=2 if odd else 1)
        return self.add("add", out, [short, inner], "reduce add")
