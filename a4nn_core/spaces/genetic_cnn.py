"""The search space of Genetic CNN (Xie and Yuille, ICCV 2017, arXiv 1703.01513).

A network has stages of nodes; a genome has a list of bits per stage, for K nodes in the order 2 <- 1; 3 <-
1, 2; ...; K <- 1 ... K-1. A node adds up its inputs and convolves the sum. Before the nodes of a stage is
an input convolution, which those read that no node feeds, and behind them an output convolution, which
reads those that feed no node; isolated nodes vanish, and a stage without connections is its input
convolution alone. Every stage ends with a max pooling of 2.

Numbers of nodes are the published ones for CIFAR-10; those for MNIST are (3, 5). Kernel and channels are
remembered, not verified; batch normalisation is ours, and so is the average of each channel before the
classification, instead of fully connected layers of a fixed image size.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from a4nn_core.component import Unit
from a4nn_core.errors import BadInput
from a4nn_core.spaces.architecture import Architecture, Graph, Layer, Shape
from a4nn_core.spaces.base import Genes, Genome, StagedSpace
from a4nn_core.spaces.macro import PHASE_INPUT, phase_sources


class GeneticCNN(StagedSpace):
    """Stages of convolutions whose connections are bits; what reaches a node is added up."""

    name: Literal["genetic-cnn"] = "genetic-cnn"
    nodes: Annotated[
        tuple[Annotated[int, Field(ge=2, le=12)], ...], Field(min_length=1, max_length=8), Unit("nodes")
    ] = (3, 4, 5)
    """nodes of each stage"""
    channels: Annotated[int, Unit("channels")] = Field(default=32, ge=1)
    """channels of the first stage; every later one has twice as many"""
    kernel: Annotated[int, Unit("pixels")] = Field(default=3, ge=1)
    """kernel of all convolutions, in pixels"""

    @property
    def stages(self) -> tuple[slice, ...]:
        ends = np.cumsum([0, *(nodes * (nodes - 1) // 2 for nodes in self.nodes)]).tolist()
        return tuple(slice(start, end) for start, end in pairwise(ends))

    @property
    def upper(self) -> Genes:
        return np.ones(self.stages[-1].stop, dtype=np.int64)

    def genome(self, genes: Sequence[int] | Genes) -> Genome:
        flat = [int(gene) for gene in genes]
        return [flat[stage] for stage in self.stages]

    def genes(self, genome: Genome) -> Genes:
        if not isinstance(genome, list) or len(genome) != len(self.nodes):
            found = len(genome) if isinstance(genome, list) else "no list of"
            raise BadInput(f"genome has {found} stages; space genetic-cnn has {len(self.nodes)}")
        for number, (bits, stage) in enumerate(zip(genome, self.stages, strict=True), start=1):
            wanted = stage.stop - stage.start
            if not isinstance(bits, list) or len(bits) != wanted:
                raise BadInput(f"genome stage {number} is {bits!r}, not a list of {wanted} bits")
            for bit in bits:
                if isinstance(bit, bool) or bit not in (0, 1):
                    raise BadInput(f"genome stage {number} has {bit!r} where a bit, 0 or 1, is needed")
        return np.array([bit for bits in genome for bit in bits], dtype=np.int64)

    def decode(self, genome: Genome, input_shape: Shape, classes: int) -> Architecture:
        if classes < 2:
            raise BadInput(f"a classifier needs two classes or more, not {classes}")
        self.genes(genome)
        graph = Graph(input_shape)
        at, channels, side = 0, self.channels, min(input_shape[1:])
        for number, (bits, nodes) in enumerate(zip(genome, self.nodes, strict=True)):
            at = self._stage(graph, number, bits, nodes, at, channels)
            if side > 1:
                pool = Layer("max_pool", channels, kernel=2, stride=2, phase=number, label="pool")
                at, side = graph.add(pool, at), side // 2
            last, channels = channels, channels * 2
        at = graph.add(Layer("global_average_pool", last, label="average"), at)
        graph.add(Layer("linear", classes, bias=True, label="classify"), at)
        return graph.done()

    def _stage(
        self, graph: Graph, number: int, bits: Sequence[int], nodes: int, at: int, channels: int
    ) -> int:
        """Add one stage after layer ``at``; returns the index of its last layer."""

        def convolution(source: int, title: str) -> int:
            label, same = f"{title} conv", {"same": True}
            layer = Layer("conv", channels, self.kernel, phase=number, label=label, settings=same)
            source = graph.add(layer, source)
            source = graph.add(Layer("batch_norm", channels, phase=number, label=f"{title} norm"), source)
            return graph.add(Layer("relu", channels, phase=number, label=f"{title} relu"), source)

        def summed(sources: list[int], title: str) -> int:
            if len(sources) == 1:
                return sources[0]
            return graph.add(Layer("add", channels, phase=number, label=f"{title} add"), sources)

        made = {PHASE_INPUT: convolution(at, "entry")}
        if not any(bits):
            return made[PHASE_INPUT]
        sources = phase_sources([*bits, 0], nodes)  # as NSGA-Net's, but for the bit that skips a phase
        for node in range(1, nodes + 1):
            if node in sources:
                title = f"node {node}"
                made[node] = convolution(summed([made[s] for s in sources[node]], title), title)
        return convolution(summed([made[source] for source in sources[nodes + 1]], "output"), "output")
