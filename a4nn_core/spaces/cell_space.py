"""Search spaces of two cells, a normal and a reduction cell, of pairwise combinations of states."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field, field_validator

from a4nn_core.component import Unit
from a4nn_core.errors import BadInput
from a4nn_core.spaces.architecture import Architecture, Shape
from a4nn_core.spaces.base import Genes, Genome, VectorSpace
from a4nn_core.spaces.cells import PYTORCH, TENSORFLOW, Cell, Style, stack

CELLS = ("normal", "reduction")
KNOWN = (
    *("identity", "sep3", "sep5", "sep7", "dil3", "dil5", "avg3", "max3", "max5", "max7"),
    *("conv1", "conv3", "conv1x3", "conv1x7"),
)
"""operations that nodes can have"""


class CellSpace(VectorSpace):
    """Base of spaces whose genomes are ``{"normal": [[operation, state, operation, state], ...], "reduction":
    [...]}``: states 0 and 1 come from outside, state i + 2 is made by node i."""

    blocks: Annotated[int, Unit("nodes")] = Field(default=5, ge=1, le=10)
    """nodes of a cell, each of which adds two states"""

    @field_validator("node_operations", check_fields=False)
    @classmethod
    def _known(cls, operations: tuple[str, ...]) -> tuple[str, ...]:
        for op in operations:
            if op not in KNOWN:
                raise ValueError(f"there is no operation {op!r}; known: {', '.join(KNOWN)}")
        if not operations or len(set(operations)) < len(operations):
            raise ValueError("node_operations must be some, each named once")
        return operations

    @property
    @abstractmethod
    def choice(self) -> tuple[str, ...]:
        """The operations that nodes can have."""

    @abstractmethod
    def build(self, normal: Cell, reduction: Cell, input_shape: Shape, classes: int) -> Architecture:
        """The network of two cells."""

    @property
    def upper(self) -> Genes:
        last = len(self.choice) - 1
        cell = [most for node in range(self.blocks) for most in (last, node + 1) * 2]
        return np.array(cell * len(CELLS), dtype=np.int64)

    def genome(self, genes: Sequence[int] | Genes) -> Genome:
        nodes = np.asarray(genes).reshape(len(CELLS), self.blocks, 4).tolist()
        return {
            cell: [[self.choice[a], b, self.choice[c], d] for a, b, c, d in found]
            for cell, found in zip(CELLS, nodes, strict=True)
        }

    def genes(self, genome: Genome) -> Genes:
        if not isinstance(genome, Mapping) or set(genome) != set(CELLS):
            raise BadInput(f"genome {genome!r} has not the two cells {' and '.join(CELLS)}")
        return np.array([self._cell(name, genome[name]) for name in CELLS], dtype=np.int64).ravel()

    def _cell(self, name: str, nodes: Any) -> list[list[int]]:
        if not isinstance(nodes, list) or len(nodes) != self.blocks:
            found = len(nodes) if isinstance(nodes, list) else "no list of"
            raise BadInput(f"genome {name} cell has {found} nodes; space {self.name} has {self.blocks}")
        return [self._node(name, number, node) for number, node in enumerate(nodes, start=1)]

    def _node(self, name: str, number: int, node: Any) -> list[int]:
        place = f"genome {name} cell node {number} {node!r}"
        if not isinstance(node, list) or len(node) != 4:
            raise BadInput(f"{place} is not of the form [operation, state, operation, state]")
        for op, state in (node[:2], node[2:]):
            if op not in self.choice:
                raise BadInput(f"{place} has no operation of {', '.join(self.choice)}")
            if isinstance(state, bool) or state not in range(number + 1):
                raise BadInput(f"{place} reads {state!r}; the states before it are 0 to {number}")
        return [self.choice.index(node[0]), node[1], self.choice.index(node[2]), node[3]]

    def decode(self, genome: Genome, input_shape: Shape, classes: int) -> Architecture:
        self.genes(genome)
        normal, reduction = (Cell(tuple(tuple(node) for node in genome[name])) for name in CELLS)
        return self.build(normal, reduction, input_shape, classes)

    def probes(self) -> Sequence[Genome]:
        # every node with the same operation; all of them read the same state, so that all are joined
        nodes = [[[op, 0, op, 0]] * self.blocks for op in self.choice]
        return [dict.fromkeys(CELLS, cell) for cell in nodes]


class NSGANetMicro(CellSpace):
    """The micro search space of NSGA-Net (Lu et al., GECCO 2019; ianwhale/nsga-net, search/micro_encoding.py,
    models/micro_models.py): cells of five nodes with nine operations, after DARTS."""

    name: Literal["nsga-net-micro"] = "nsga-net-micro"
    channels: Annotated[int, Unit("channels")] = Field(default=24, ge=1)
    """channels of the first cell; doubled by each of the two reduction cells"""
    layers: Annotated[int, Unit("layers")] = Field(default=11, ge=3)
    """cells of both kinds; reduction cells are after a third and two thirds of them"""

    @property
    def choice(self) -> tuple[str, ...]:
        return ("max3", "avg3", "identity", "sep3", "sep5", "dil3", "dil5", "sep7", "conv1x7")

    def build(self, normal: Cell, reduction: Cell, input_shape: Shape, classes: int) -> Architecture:
        return _network(
            self, PYTORCH, (self.layers // 3, 2 * self.layers // 3), normal, reduction, input_shape, classes
        )


class NASNet(CellSpace):
    """The search space of NASNet and AmoebaNet (Zoph et al., CVPR 2018, arXiv 1707.07012; Real et al., AAAI
    2019, arXiv 1802.01548), built as the released cells are (tensorflow/tpu, models/official/amoeba_net).

    The default size is that of the published searches. Which operations AmoebaNet's search had is remembered,
    not verified, and therefore a setting.
    """

    name: Literal["nasnet"] = "nasnet"
    node_operations: tuple[str, ...] = (
        *("identity", "sep3", "sep5", "sep7", "avg3", "max3", "dil3", "conv1x7"),
    )
    """operations that nodes can have: also dil5, max5, max7, conv1, conv3, conv1x3"""
    channels: Annotated[int, Unit("channels")] = Field(default=24, ge=1)
    """channels of the first cell; doubled by each of the two reduction cells"""
    repeats: Annotated[int, Unit("cells")] = Field(default=3, ge=0)
    """normal cells before, between and behind the two reduction cells"""

    @property
    def choice(self) -> tuple[str, ...]:
        return self.node_operations

    def build(self, normal: Cell, reduction: Cell, input_shape: Shape, classes: int) -> Architecture:
        places = (self.repeats, 2 * self.repeats + 1)
        return _network(self, TENSORFLOW, places, normal, reduction, input_shape, classes)


def _network(
    space: NSGANetMicro | NASNet,
    style: Style,
    reductions: tuple[int, int],
    normal: Cell,
    reduction: Cell,
    input_shape: Shape,
    classes: int,
) -> Architecture:
    cells = space.layers if isinstance(space, NSGANetMicro) else 3 * space.repeats + len(reductions)
    return stack(
        normal,
        reduction,
        input_shape,
        classes,
        channels=space.channels,
        cells=cells,
        reductions=reductions,
        style=style,
    )
