"""Architecture: what a genome stands for, as a plain graph of layers with no torch in it.

Shapes, multiply-adds and parameters follow from the graph alone, so a network's cost is known before it is
built. Every search space decodes into this one form, and one builder turns it into a torch module.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, Literal

Op = Literal[
    "input", "conv", "batch_norm", "relu", "concat", "max_pool", "global_average_pool", "linear", "identity"
]
Shape = tuple[int, int, int]


@dataclass(frozen=True)
class Layer:
    """One layer.

    Attributes:
        op: what it does.
        channels: output channels (classes for the linear layer).
        kernel, stride, padding: of convolutions and pooling, in pixels.
        bias: whether a convolution or linear layer adds one.
        phase: which phase of the genome it belongs to, None outside of phases.
        label: for people and pictures, such as ``node 2``.
    """

    op: Op
    channels: int
    kernel: int = 1
    stride: int = 1
    padding: int = 0
    bias: bool = False
    phase: int | None = None
    label: str = ""


@dataclass(frozen=True)
class Cost:
    """What one layer costs.

    Attributes:
        shape: of its output, (channels, height, width).
        flops: multiply-adds for one image, counted as in the published A4NN runs.
        parameters: trainable numbers.
    """

    shape: Shape
    flops: int
    parameters: int


@dataclass(frozen=True)
class Architecture:
    """A network as a graph.

    Attributes:
        layers: in an order in which every layer comes after its inputs; the first is the input, the last
            gives the class scores.
        edges: (source, target) indices into ``layers``; the inputs of a concatenation come in edge order.
        input_shape: (channels, height, width) of an image.
    """

    layers: tuple[Layer, ...]
    edges: tuple[tuple[int, int], ...]
    input_shape: Shape

    def inputs(self, layer: int) -> list[int]:
        """Indices of the layers that feed one layer."""
        return [source for source, target in self.edges if target == layer]

    @cached_property
    def costs(self) -> tuple[Cost, ...]:
        """Shape and cost of every layer.

        Multiply-adds are counted as the published code does by its forward hooks: a convolution
        ``k k C_in C_out H_out W_out``, batch normalisation 2 and ReLU 1 for each element, pooling 1 for each
        input element, a linear layer ``in * out``; concatenation is free.
        """
        costs: list[Cost] = []
        for index, layer in enumerate(self.layers):
            sources = [costs[source].shape for source in self.inputs(index)]
            costs.append(_cost(layer, sources, self.input_shape))
        return tuple(costs)

    @property
    def flops(self) -> int:
        """Multiply-adds for one image."""
        return sum(cost.flops for cost in self.costs)

    @property
    def parameters(self) -> int:
        """Trainable parameters."""
        return sum(cost.parameters for cost in self.costs)

    @cached_property
    def hash(self) -> str:
        """The same for two graphs that are the same network up to the numbering of layers (hexadecimal).

        Weisfeiler-Lehman refinement on the directed graph: a layer's colour takes in its predecessors' and
        successors' colours until no colour class splits any further. Labels and phases of origin do not
        count: two genomes with the same hash build the same function class and need training only once.
        """
        colours = [
            _digest(layer.op, layer.channels, layer.kernel, layer.stride, layer.padding, layer.bias)
            for layer in self.layers
        ]
        before: list[list[int]] = [[] for _ in self.layers]
        after: list[list[int]] = [[] for _ in self.layers]
        for source, target in self.edges:
            after[source].append(target)
            before[target].append(source)
        classes = 0
        while len(set(colours)) > classes:
            classes = len(set(colours))
            colours = [
                _digest(
                    colours[i], sorted(colours[j] for j in before[i]), sorted(colours[j] for j in after[i])
                )
                for i in range(len(colours))
            ]
        return _digest(self.input_shape, sorted(Counter(colours).items()))

    def to_json(self) -> dict[str, Any]:
        """Plain lists and numbers; ``from_json`` gives the same architecture back."""
        return {
            "layers": [asdict(layer) for layer in self.layers],
            "edges": [list(edge) for edge in self.edges],
            "input_shape": list(self.input_shape),
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Architecture:
        """The architecture that ``to_json`` wrote."""
        channels, height, width = data["input_shape"]
        return cls(
            layers=tuple(Layer(**layer) for layer in data["layers"]),
            edges=tuple((source, target) for source, target in data["edges"]),
            input_shape=(channels, height, width),
        )


class Graph:
    """Builds an architecture a layer at a time."""

    def __init__(self, input_shape: Shape) -> None:
        self.input_shape = input_shape
        self.layers: list[Layer] = [Layer("input", input_shape[0], label="input")]
        self.edges: list[tuple[int, int]] = []

    def add(self, layer: Layer, sources: Sequence[int] | int) -> int:
        """Append a layer fed by ``sources``; gives its index."""
        index = len(self.layers)
        self.layers.append(layer)
        self.edges += [(source, index) for source in ([sources] if isinstance(sources, int) else sources)]
        return index

    def done(self) -> Architecture:
        """The finished architecture."""
        return Architecture(tuple(self.layers), tuple(self.edges), self.input_shape)


def _digest(*parts: object) -> str:
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:32]


def _cost(layer: Layer, sources: list[Shape], input_shape: Shape) -> Cost:
    if layer.op == "input":
        return Cost(input_shape, 0, 0)
    if layer.op == "concat":
        return Cost((sum(s[0] for s in sources), *sources[0][1:]), 0, 0)
    channels, height, width = sources[0]
    elements = channels * height * width
    match layer.op:
        case "conv":
            out_height, out_width = (
                (side + 2 * layer.padding - layer.kernel) // layer.stride + 1 for side in (height, width)
            )
            weights = layer.kernel**2 * channels * layer.channels
            bias = layer.channels if layer.bias else 0
            return Cost(
                (layer.channels, out_height, out_width),
                (weights + bias) * out_height * out_width,
                weights + bias,
            )
        case "batch_norm":
            return Cost((channels, height, width), 2 * elements, 2 * channels)
        case "relu":
            return Cost((channels, height, width), elements, 0)
        case "identity":
            return Cost((channels, height, width), 0, 0)
        case "max_pool":
            pooled = (
                channels,
                *((side - layer.kernel) // layer.stride + 1 for side in (height, width)),
            )
            return Cost((pooled[0], pooled[1], pooled[2]), elements, 0)
        case "global_average_pool":
            return Cost((channels, 1, 1), elements, 0)
        case "linear":
            bias = layer.channels if layer.bias else 0
            return Cost((layer.channels, 1, 1), elements * layer.channels, elements * layer.channels + bias)
    raise AssertionError(layer.op)
