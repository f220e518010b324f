"""The macro search space of NSGA-Net (Lu et al., GECCO 2019), as the published A4NN runs used it.

A genome has one list of bits per phase. With K nodes per phase they are, in order: node 2 <- 1; node 3 <- 1,
2; ... node K <- 1 ... K-1; and last a skip bit, phase input -> phase output. A phase is a small graph of 3x3
convolutions with a constant number of channels; between phases the image is halved.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from a4nn_core.component import Unit
from a4nn_core.errors import BadInput
from a4nn_core.spaces.architecture import Architecture, Graph, Layer, Shape
from a4nn_core.spaces.base import Genes, Genome, StagedSpace

PHASE_INPUT = 0


class Macro(StagedSpace):
    """Phases of densely or sparsely connected convolution nodes, one after another."""

    name: Literal["macro"] = "macro"
    phases: Annotated[int, Unit("phases")] = Field(default=3, ge=1, le=8)
    """number of phases"""
    nodes: Annotated[int, Unit("nodes")] = Field(default=4, ge=2, le=10)
    """maximum number of nodes per phase"""
    channels: Annotated[int, Unit("channels")] = Field(default=24, ge=1)
    """channels of the first phase; every later one has twice as many"""

    @property
    def bits(self) -> int:
        """Number of bits of one phase: one for each pair of nodes, and the skip bit."""
        return self.nodes * (self.nodes - 1) // 2 + 1

    @property
    def stages(self) -> tuple[slice, ...]:
        return tuple(slice(phase * self.bits, (phase + 1) * self.bits) for phase in range(self.phases))

    @property
    def upper(self) -> Genes:
        return np.ones(self.phases * self.bits, dtype=np.int64)

    def genome(self, genes: Sequence[int] | Genes) -> Genome:
        flat = [int(gene) for gene in genes]
        return [flat[start : start + self.bits] for start in range(0, len(flat), self.bits)]

    def genes(self, genome: Genome) -> Genes:
        if not isinstance(genome, list | tuple) or len(genome) != self.phases:
            found = len(genome) if isinstance(genome, list | tuple) else "no list of"
            raise BadInput(f"genome {genome!r} has {found} phases; space macro has {self.phases}")
        for number, phase in enumerate(genome, start=1):
            if not isinstance(phase, list | tuple) or len(phase) != self.bits:
                found = len(phase) if isinstance(phase, list | tuple) else "no list of"
                raise BadInput(
                    f"genome phase {number} {phase!r} has {found} bits; "
                    f"{self.bits} are needed for {self.nodes} nodes"
                )
            for bit in phase:
                if isinstance(bit, bool) or bit not in (0, 1):
                    raise BadInput(f"genome phase {number} has {bit!r} where a bit, 0 or 1, is needed")
        return np.array([bit for phase in genome for bit in phase], dtype=np.int64)

    def decode(self, genome: Genome, input_shape: Shape, classes: int) -> Architecture:
        if classes < 2:
            raise BadInput(f"a classifier needs two classes or more, not {classes}")
        self.genes(genome)
        graph = Graph(input_shape)
        at, have = 0, input_shape[0]
        # phases without connections are left out; the numbers of channels go to the others in order
        active = [(number, bits) for number, bits in enumerate(genome) if any(bits[:-1])]
        for place, (number, bits) in enumerate(active):
            if place > 0:
                at = graph.add(Layer("max_pool", have, kernel=2, stride=2, phase=number, label="pool"), at)
            want = self.channels * 2**place
            if want != have:
                # as published: the first widening is a 3x3 convolution without padding, later ones are 1x1
                kernel = 3 if place == 0 else 1
                at = graph.add(Layer("conv", want, kernel=kernel, phase=number, label="widen"), at)
                have = want
            at = self._phase(graph, number, bits, at, have)
        at = graph.add(Layer("global_average_pool", have, label="average"), at)
        graph.add(Layer("linear", classes, bias=True, label="classify"), at)
        architecture = graph.done()
        smallest = min(min(cost.shape) for cost in architecture.costs)
        if smallest < 1:
            raise BadInput(
                f"images of {input_shape[1]} x {input_shape[2]} pixels are too small for {len(active)} phases"
            )
        return architecture

    def _phase(self, graph: Graph, number: int, bits: Sequence[int], entry: int, channels: int) -> int:
        """Add one active phase after layer ``entry``; returns the index of its last layer."""
        sources = phase_sources(bits, self.nodes)
        made = {PHASE_INPUT: entry}
        for node in range(1, self.nodes + 1):
            if node not in sources:
                continue
            title = f"node {node}"
            at = _merge(graph, [made[source] for source in sources[node]], channels, number, title)
            at = graph.add(
                Layer("conv", channels, kernel=3, padding=1, phase=number, label=f"{title} conv"), at
            )
            at = graph.add(Layer("batch_norm", channels, phase=number, label=f"{title} norm"), at)
            made[node] = graph.add(Layer("relu", channels, phase=number, label=f"{title} relu"), at)
        output = [made[source] for source in sources[self.nodes + 1]]
        at = _merge(graph, output, channels, number, "output")
        at = graph.add(Layer("batch_norm", channels, phase=number, label="output norm"), at)
        return graph.add(Layer("relu", channels, phase=number, label="output relu"), at)


def phase_sources(bits: Sequence[int], nodes: int) -> dict[int, list[int]]:
    """The inputs of every node of a phase, after repair (NSGA-Net, macro_models.py, build_dependency_graph).

    Args:
        bits: bits of one phase, the skip bit last.
        nodes: K, the maximum number of nodes per phase.

    Returns:
        for every node that is built (1..K) and for the phase output (K+1) the nodes that feed it; 0 is the
        phase input. A node with outputs but no inputs gets the phase input, one with inputs but no outputs
        feeds the phase output, one with neither is not in the result.
    """
    sources: dict[int, list[int]] = {node: [] for node in range(1, nodes + 2)}
    bit = iter(bits)
    for node in range(2, nodes + 1):
        sources[node] = [source for source in range(1, node) if next(bit)]
    if bits[-1]:
        sources[nodes + 1].append(PHASE_INPUT)
    feeds = {source for node in range(1, nodes + 1) for source in sources[node]}
    for node in range(1, nodes + 1):
        if node in feeds and not sources[node]:
            sources[node].append(PHASE_INPUT)
        elif sources[node] and node not in feeds:
            sources[nodes + 1].append(node)
    return {node: found for node, found in sources.items() if found}


def _merge(graph: Graph, sources: list[int], channels: int, phase: int, title: str) -> int:
    """Merge inputs: one is passed on unchanged; several are concatenated and reduced to ``channels`` by a 1x1
    convolution (the residual decoder). Returns the index of the last layer."""
    if len(sources) == 1:
        return sources[0]
    at = graph.add(Layer("concat", channels * len(sources), phase=phase, label=f"{title} concat"), sources)
    return graph.add(Layer("conv", channels, phase=phase, label=f"{title} merge"), at)
