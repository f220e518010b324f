from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

from a4nn_core.errors import BadInput
from a4nn_core.spaces import Architecture, Genes, Genome, Graph, Layer, SearchSpace, Shape

STAGES = (2, 3, 3)
"""Blocks of each stage; the first of a stage halves the image and doubles the channels."""
BLOCKS = (None, (3, 3), (6, 5))
"""By gene: no block, or expansion and kernel of an inverted residual."""


class NASBenchMacro(SearchSpace):
    """Eight blocks, each left out or one of two inverted residuals (Su et al., CVPR 2021)."""

    name: Literal["nas-bench-macro"] = "nas-bench-macro"

    @property
    def upper(self) -> Genes:
        return np.full(sum(STAGES), len(BLOCKS) - 1, dtype=np.int64)

    def genome(self, genes: Sequence[int] | Genes) -> Genome:
        return [int(gene) for gene in genes]

    def genes(self, genome: Genome) -> Genes:
        if len(genome) != sum(STAGES) or not set(genome) <= set(range(len(BLOCKS))):
            raise BadInput(f"genome {genome!r} is not a list of {sum(STAGES)} numbers from 0 to 2")
        return np.array(genome, dtype=np.int64)

    def decode(self, genome: Genome, input_shape: Shape, classes: int) -> Architecture:
        graph, genes = Graph(input_shape), iter(self.genes(genome))
        channels = 32

        def convolve(at: int, out: int, phase: int | None = None, act: bool = True, **layer: int) -> int:
            groups = {"groups": layer.pop("groups")} if "groups" in layer else {}
            at = graph.add(Layer("conv", out, phase=phase, settings=groups, **layer), at)
            at = graph.add(Layer("batch_norm", out, phase=phase), at)
            return graph.add(Layer("relu", out, phase=phase), at) if act else at

        at = convolve(0, channels, kernel=3, padding=1)
        for phase, blocks in enumerate(STAGES):
            for place in range(blocks):
                have, stride = channels, 1 if place else 2
                channels *= stride
                block, before = BLOCKS[next(genes)], at
                if block is not None:
                    expansion, kernel = block
                    wide = have * expansion
                    at = convolve(at, wide, phase)
                    at = convolve(
                        at, wide, phase, kernel=kernel, stride=stride, padding=kernel // 2, groups=wide
                    )
                    at = convolve(at, channels, phase, act=False)
                    if stride == 1:
                        at = graph.add(Layer("add", channels, phase=phase), [before, at])
                elif stride == 2:
                    at = convolve(at, channels, phase, act=False, stride=2)
        at = convolve(at, 1280)
        at = graph.add(Layer("global_average_pool", 1280), at)
        graph.add(Layer("linear", classes, bias=True), at)
        return graph.done()
