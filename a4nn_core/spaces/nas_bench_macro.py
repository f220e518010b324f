"""The search space of NAS-Bench-Macro (Su et al., "Prioritized architecture sampling with Monto-Carlo tree
search", CVPR 2021, arXiv 2103.11922; repository xiusu/NAS-Bench-Macro, Apache-2.0).

Eight blocks in three stages; the first block of a stage halves the image and doubles the channels. A genome
has a number for each block: 0 leaves it out (the first of a stage then is a strided 1x1 convolution), 1 and 2
are inverted residuals of kernel 3 and expansion 3, or kernel 5 and expansion 6. Every genome of 32 x 32
images in 10 classes has the parameters and the multiply-adds of the published table; ``Architecture.flops``
is a few per cent above the latter, as it also counts normalisation and activations.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from a4nn_core.component import Unit
from a4nn_core.errors import BadInput
from a4nn_core.spaces.architecture import Architecture, Graph, Layer, Shape
from a4nn_core.spaces.base import Genes, Genome, VectorSpace

STAGES = (2, 3, 3)
"""blocks of each stage"""


@dataclass(frozen=True)
class Residual:
    """An inverted residual: a depthwise convolution between a widening and a narrowing one."""

    expansion: int
    kernel: int


CHOICES = (None, Residual(expansion=3, kernel=3), Residual(expansion=6, kernel=5))
"""by gene; None is no block"""


class NASBenchMacro(VectorSpace):
    """Eight blocks, each left out or one of two inverted residuals."""

    name: Literal["nas-bench-macro"] = "nas-bench-macro"
    channels: Annotated[int, Unit("channels")] = Field(default=32, ge=1)
    """channels before the first stage; every stage doubles them"""
    last_channels: Annotated[int, Unit("channels")] = Field(default=1280, ge=1)
    """channels of the convolution before the classifier"""

    @property
    def upper(self) -> Genes:
        return np.full(sum(STAGES), len(CHOICES) - 1, dtype=np.int64)

    def genome(self, genes: Sequence[int] | Genes) -> Genome:
        return [int(gene) for gene in genes]

    def genes(self, genome: Genome) -> Genes:
        known = range(len(CHOICES))
        right = isinstance(genome, list | tuple) and len(genome) == sum(STAGES)
        if not right or not all(type(gene) is int and gene in known for gene in genome):
            raise BadInput(
                f"genome {genome!r} is not a list of {sum(STAGES)} numbers from 0 to {len(CHOICES) - 1}, as "
                "space nas-bench-macro has them"
            )
        return np.array(genome, dtype=np.int64)

    def decode(self, genome: Genome, input_shape: Shape, classes: int) -> Architecture:
        genes = iter(self.genes(genome))
        builder = _Builder(Graph(input_shape))
        at = builder.convolve(0, self.channels, label="stem", kernel=3, padding=1)
        channels = self.channels
        for stage, blocks in enumerate(STAGES):
            for place in range(blocks):
                builder.phase = stage
                stride = 1 if place else 2
                at = builder.block(at, channels, stride, CHOICES[next(genes)], f"node {place + 1}")
                channels *= stride
        builder.phase = None
        at = builder.convolve(at, self.last_channels, label="last")
        at = builder.graph.add(Layer("global_average_pool", self.last_channels, label="average"), at)
        builder.graph.add(Layer("linear", classes, bias=True, label="classify"), at)
        return builder.graph.done()


@dataclass
class _Builder:
    """Adds blocks to a graph; each method returns the index of the last layer.

    Attributes:
        graph: the network so far.
        phase: stage that is being built.
    """

    graph: Graph
    phase: int | None = None

    def block(self, at: int, channels: int, stride: int, choice: Residual | None, title: str) -> int:
        """One block after layer ``at``, whose output has ``channels``."""
        out = channels * stride
        if choice is None:
            return at if stride == 1 else self.convolve(at, out, act=False, label=title, stride=stride)
        wide, kernel = channels * choice.expansion, choice.kernel
        inner = self.convolve(at, wide, label=f"{title} widen")
        inner = self.convolve(
            inner, wide, wide, label=f"{title} depthwise", kernel=kernel, stride=stride, padding=kernel // 2
        )
        inner = self.convolve(inner, out, act=False, label=f"{title} narrow")
        if stride > 1:
            return inner
        return self.graph.add(Layer("add", out, phase=self.phase, label=f"{title} add"), [at, inner])

    def convolve(
        self, at: int, out: int, groups: int = 1, *, act: bool = True, label: str, **layer: int
    ) -> int:
        """Convolution and normalisation, and an activation if ``act``."""
        settings = {"groups": groups} if groups > 1 else {}
        conv = Layer("conv", out, phase=self.phase, label=f"{label} conv", settings=settings, **layer)  # type: ignore[arg-type]
        at = self.graph.add(conv, at)
        at = self.graph.add(Layer("batch_norm", out, phase=self.phase, label=f"{label} norm"), at)
        if not act:
            return at
        return self.graph.add(Layer("relu", out, phase=self.phase, label=f"{label} relu"), at)
