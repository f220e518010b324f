"""The search space of psoCNN (Fernandes Junior and Yen, "Particle swarm optimization of deep neural networks
architectures for image classification", Swarm and Evolutionary Computation 49, 2019; feferna/psoCNN, MIT).

A genome is a list of 3 to 19 blocks: convolutions, pooling layers and fully connected layers. Convolutions
keep the size of the image and are followed by batch normalisation and ReLU; pooling layers have 3x3 kernels
and halve it; dropout of 0.5 is before every convolution but the first and before every fully connected
layer. Pooling layers that would leave an image of less than half of four pixels are surplus, and left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field

from a4nn_core.component import Unit
from a4nn_core.errors import BadInput
from a4nn_core.spaces.architecture import Architecture, Shape
from a4nn_core.spaces.base import Genome, Mutant
from a4nn_core.spaces.layer_list import TYPE, Block, LayerList, LayerUnit, Range, Units, build

CONV, MAX, AVG, FULL = "conv", "max_pool", "avg_pool", "full"
SMALLEST = 4
"""side of an image, in pixels, that is not halved any more"""
CHANCES = {CONV: 0.6, MAX: 0.15, AVG: 0.15, FULL: 0.1}
"""of the type of a block behind a convolution or a pooling layer"""


class PsoCNN(LayerList):
    """Lists of convolutions, pooling and fully connected layers, as psoCNN's particles are."""

    name: Literal["pso-cnn"] = "pso-cnn"
    depth: Annotated[tuple[int, int], Unit("blocks")] = (3, 19)
    """fewest and most blocks of a random genome, the classification not counted"""
    maps: Annotated[tuple[int, int], Unit("channels")] = (3, 255)
    """fewest and most channels of a convolution"""
    kernel: Annotated[tuple[int, int], Unit("pixels")] = (3, 6)
    """smallest and greatest kernel of a convolution, in pixels"""
    neurons: Annotated[tuple[int, int], Unit("neurons")] = (1, 299)
    """fewest and most neurons of a fully connected layer"""
    dropout: float = Field(default=0.5, ge=0, lt=1)
    """share of the values that are set to 0 before a layer with weights, but for the first"""

    @property
    def units(self) -> Units:
        return {
            CONV: {"maps": Range(*self.maps), "kernel": Range(*self.kernel)},
            MAX: {},
            AVG: {},
            FULL: {"neurons": Range(*self.neurons)},
        }

    @property
    def stages(self) -> Mapping[str, int]:
        return {CONV: 0, MAX: 0, AVG: 0, FULL: 1}

    def lengths(self) -> tuple[int, int]:
        # what a particle takes from others can make it longer than any random one
        return 1, 2 * self.depth[1]

    def block(self, unit: LayerUnit) -> Block:
        if unit[TYPE] == CONV:
            return Block("conv", unit["maps"], unit["kernel"], norm=True, dropout=self.dropout)
        if unit[TYPE] == FULL:
            return Block("full", unit["neurons"], dropout=self.dropout)
        kind: Any = unit[TYPE]
        return Block(kind, kernel=3, stride=2, padding=1)

    def check(self, genome: Genome) -> None:
        super().check(genome)
        if genome[0][TYPE] != CONV:
            raise BadInput(f"genome begins with a block {genome[0][TYPE]!r}; the first must be {CONV!r}")

    def decode(self, genome: Genome, input_shape: Shape, classes: int) -> Architecture:
        self.check(genome)
        blocks, side = [], min(input_shape[1:])
        for unit in genome:
            if unit[TYPE] in (MAX, AVG):
                if side <= SMALLEST:
                    continue
                side = (side + 1) // 2
            blocks.append(self.block(unit))
        first = Block("conv", genome[0]["maps"], genome[0]["kernel"], norm=True)
        output = Block("full", activation="none", dropout=self.dropout)
        return build([first, *blocks[1:]], input_shape, classes, output)

    def sample(self, rng: np.random.Generator) -> Genome:
        depth = int(rng.integers(self.depth[0], self.depth[1] + 1))
        kinds = [CONV]
        while len(kinds) < depth:
            full = kinds[-1] == FULL
            kinds.append(FULL if full else str(rng.choice(list(CHANCES), p=list(CHANCES.values()))))
        return [self.draw(kind, rng) for kind in kinds]

    def mutate(self, genome: Genome, rng: np.random.Generator) -> Mutant:
        """One block is drawn again, with the type that it has; a pooling layer takes the other type."""
        place = int(rng.integers(len(genome)))
        kind = genome[place][TYPE]
        drawn = self.draw({MAX: AVG, AVG: MAX}.get(kind, kind), rng)
        return Mutant([*genome[:place], drawn, *genome[place + 1 :]], "block drawn again")
