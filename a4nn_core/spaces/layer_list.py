"""Networks as lists of layers, of any length: what the spaces of such genomes have in common.

A genome is a list of units, each a mapping of its type and its genes, such as ``{"type": "conv", "kernel": 3,
"maps": 16}``. A space declares which genes a type has and what their values can be; checking, sampling and
decoding follow from that. Units that see an image come first, fully connected ones after them.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from a4nn_core.errors import BadInput
from a4nn_core.spaces.architecture import Architecture, Graph, Layer, Shape
from a4nn_core.spaces.base import FreeSpace, Genome

TYPE = "type"


@dataclass(frozen=True)
class Range:
    """The values of a gene that is a number, both ends included.

    Attributes:
        low, high: its ends.
        whole: whether it takes whole numbers alone.
        log: whether it is drawn uniformly by its logarithm.
    """

    low: float
    high: float
    whole: bool = True
    log: bool = False

    def draw(self, rng: np.random.Generator) -> int | float:
        """A random value."""
        if self.log:
            drawn = float(np.exp(rng.uniform(np.log(self.low), np.log(self.high))))
            return self.clip(drawn)
        return (
            int(rng.integers(int(self.low), int(self.high) + 1))
            if self.whole
            else rng.uniform(self.low, self.high)
        )

    def clip(self, value: float) -> int | float:
        """The value of the range that is nearest to a number."""
        clipped = min(max(float(value), self.low), self.high)
        return round(clipped) if self.whole else clipped

    def holds(self, value: object) -> bool:
        """Whether it is a value of this gene."""
        if isinstance(value, bool) or not isinstance(value, int if self.whole else int | float):
            return False
        return self.low <= value <= self.high

    def __str__(self) -> str:
        return f"{'a whole number' if self.whole else 'a number'} from {self.low:g} to {self.high:g}"


@dataclass(frozen=True)
class Choice:
    """The values of a gene that is one of a few words, numbers or truth values."""

    values: tuple[str | int | float | bool, ...]

    def draw(self, rng: np.random.Generator) -> str | int | float | bool:
        """A random value."""
        return self.values[int(rng.integers(len(self.values)))]

    def holds(self, value: object) -> bool:
        """Whether it is a value of this gene."""
        return any(type(value) is type(known) and value == known for known in self.values)

    def __str__(self) -> str:
        return "one of " + ", ".join(map(repr, self.values))


Gene = Range | Choice
Units = Mapping[str, Mapping[str, Gene]]
"""Type of a unit to its genes by name."""
LayerUnit = Mapping[str, Any]
"""A unit of a genome: its type, and the values of its genes by name."""


@dataclass(frozen=True)
class Block:
    """A unit as the decoder builds it: one layer of its kind and what belongs to it.

    Attributes:
        kind: conv, max_pool, avg_pool or full.
        channels: channels, or neurons, of its output; pooling leaves them as they are.
        kernel, stride: in pixels.
        padding: for pooling; convolutions keep the size of the image but for their stride.
        activation: relu, crelu (which doubles the channels), tanh or none.
        norm: whether the layer is followed by batch normalisation.
        dropout: share of the values before the layer that are set to 0.
        weight_mean, weight_sd: of the weights before training; without the latter torch's usual weights.
    """

    kind: Literal["conv", "max_pool", "avg_pool", "full"]
    channels: int = 0
    kernel: int = 1
    stride: int = 1
    padding: int = 0
    activation: Literal["relu", "crelu", "tanh", "none"] = "relu"
    norm: bool = False
    dropout: float = 0.0
    weight_mean: float = 0.0
    weight_sd: float | None = None


class LayerList(FreeSpace):
    """Base of search spaces whose genomes are lists of layers."""

    @property
    @abstractmethod
    def units(self) -> Units:
        """The types of units and their genes."""

    @property
    @abstractmethod
    def stages(self) -> Mapping[str, int]:
        """Types of units to their places in the order: no unit follows one of a later stage."""

    @abstractmethod
    def block(self, unit: LayerUnit) -> Block:
        """What a unit is built as."""

    @abstractmethod
    def lengths(self) -> tuple[int, int]:
        """The smallest and the greatest number of units."""

    def draw(self, kind: str, rng: np.random.Generator) -> dict[str, Any]:
        """A random unit of a type."""
        return {TYPE: kind, **{name: gene.draw(rng) for name, gene in self.units[kind].items()}}

    def check(self, genome: Genome) -> None:
        least, most = self.lengths()
        if not isinstance(genome, list) or not least <= len(genome) <= most:
            found = len(genome) if isinstance(genome, list) else "no list of"
            raise BadInput(f"genome has {found} layers; space {self.name} has {least} to {most}")
        for place, unit in enumerate(genome, start=1):
            self._check_unit(unit, place)
            before = genome[place - 2] if place > 1 else unit
            if self.stages[before[TYPE]] > self.stages[unit[TYPE]]:
                raise BadInput(
                    f"genome layer {place} is {unit[TYPE]!r}, which cannot follow {before[TYPE]!r}"
                )

    def _check_unit(self, unit: object, place: int) -> None:
        kind = unit.get(TYPE) if isinstance(unit, dict) else None
        if not isinstance(unit, dict) or not isinstance(kind, str) or kind not in self.units:
            raise BadInput(f"genome layer {place} {unit!r} has no type of {', '.join(map(repr, self.units))}")
        genes = self.units[kind]
        if set(unit) != {TYPE, *genes}:
            raise BadInput(
                f"genome layer {place} has {', '.join(map(repr, unit))}; a layer {kind!r} has "
                f"{', '.join(map(repr, (TYPE, *genes)))}"
            )
        for name, gene in genes.items():
            if not gene.holds(unit[name]):
                raise BadInput(f"genome layer {place} has {name} = {unit[name]!r}, which must be {gene}")

    def decode(self, genome: Genome, input_shape: Shape, classes: int) -> Architecture:
        self.check(genome)
        return build([self.block(unit) for unit in genome], input_shape, classes)


def build(
    blocks: Sequence[Block], input_shape: Shape, classes: int, output: Block | None = None
) -> Architecture:
    """The network of a list of blocks. Where the image has become too small for a pooling layer, that is left
    out, and a convolution keeps its size.

    Args:
        blocks: in order, fully connected ones last.
        input_shape: shape of an image, (channels, height, width).
        classes: number of classes.
        output: how the weights of the last layer begin; None for torch's usual ones.

    Raises:
        BadInput: there are fewer than two classes.
    """
    if classes < 2:
        raise BadInput(f"a classifier needs two classes or more, not {classes}")
    builder = _Builder(Graph(input_shape), input_shape)
    for number, block in enumerate(blocks, start=1):
        builder.add(block, f"node {number}")
    builder.flatten()
    return builder.classify(classes, output or Block("full", activation="none"))


class _Builder:
    def __init__(self, graph: Graph, shape: Shape) -> None:
        self.graph = graph
        self.channels, self.height, self.width = shape
        self.at = 0
        self.flat = False

    def add(self, block: Block, title: str) -> None:
        if block.kind == "full":
            self.flatten()
        if block.kind in ("max_pool", "avg_pool"):
            self._pool(block, title)
            return
        if block.dropout:
            self._layer("dropout", title, settings={"rate": block.dropout})
        if block.kind == "conv":
            self._convolve(block, title)
        else:
            self._layer("linear", f"{title} full", block.channels, bias=True, settings=_weights(block))
        if block.norm:
            self._layer("batch_norm", f"{title} norm", settings={"flat": True} if self.flat else {})
        if block.activation != "none":
            channels = self.channels * (2 if block.activation == "crelu" else 1)
            self._layer(block.activation, f"{title} {block.activation}", channels)

    def flatten(self) -> None:
        """From here on, layers are fully connected."""
        if not self.flat:
            self._layer("flatten", "flatten", self.channels * self.height * self.width)
            self.height = self.width = 1
            self.flat = True

    def classify(self, classes: int, output: Block) -> Architecture:
        if output.dropout:
            self._layer("dropout", "", settings={"rate": output.dropout})
        self._layer("linear", "classify", classes, bias=True, settings=_weights(output))
        return self.graph.done()

    def _convolve(self, block: Block, title: str) -> None:
        # an image of one pixel in a direction cannot get any smaller
        stride = block.stride if min(self.height, self.width) > 1 else 1
        self.height, self.width = ((side - 1) // stride + 1 for side in (self.height, self.width))
        how: dict[str, Any] = {"stride": stride, "settings": {**_weights(block), "same": True}}
        self._layer("conv", f"{title} conv", block.channels, kernel=block.kernel, bias=not block.norm, **how)

    def _pool(self, block: Block, title: str) -> None:
        sides = [
            (side + 2 * block.padding - block.kernel) // block.stride + 1
            for side in (self.height, self.width)
        ]
        if min(sides) < 1 or max(self.height, self.width) == 1:
            return
        self.height, self.width = sides
        how = {"kernel": block.kernel, "stride": block.stride, "padding": block.padding}
        self._layer(block.kind, f"{title} pool", **how)

    def _layer(self, op: str, label: str, channels: int | None = None, **how: Any) -> None:
        self.channels = channels or self.channels
        self.at = self.graph.add(Layer(op, self.channels, label=label, **how), self.at)


def _weights(block: Block) -> dict[str, Any]:
    if block.weight_sd is None:
        return {}
    return {"weight_mean": block.weight_mean, "weight_sd": block.weight_sd}
