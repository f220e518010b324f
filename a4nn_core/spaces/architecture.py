"""Architecture: the network that a genome encodes, as a graph of layers without torch.

Shapes, multiply-adds and parameters follow from the graph alone, so a network's cost is known before it is
built. Every search space decodes into this one form, and one builder turns it into a torch module.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import Any

from a4nn_core.spaces.layer import Cost, Layer, Shape
from a4nn_core.spaces.operations import OPERATIONS, Operation
from a4nn_core.vocabulary import Task

__all__ = ["Architecture", "Cost", "Graph", "Layer", "Shape"]

_FLOAT32 = 4


@dataclass(frozen=True)
class Architecture:
    """A network as a graph.

    Attributes:
        layers: in an order in which every layer comes after its inputs; the first is the input, the last
            returns the class scores, or the restored image.
        edges: (source, target) indices into ``layers``; the inputs of a concatenation are in edge order.
        input_shape: shape of an image, (channels, height, width).
    """

    layers: tuple[Layer, ...]
    edges: tuple[tuple[int, int], ...]
    input_shape: Shape

    def inputs(self, layer: int) -> list[int]:
        """Indices of the layers whose outputs one layer takes."""
        return list(self._sources.get(layer, ()))

    @cached_property
    def _sources(self) -> dict[int, list[int]]:
        """The inputs of every layer that has any."""
        found: dict[int, list[int]] = {}
        for source, target in self.edges:
            found.setdefault(target, []).append(source)
        return found

    @cached_property
    def operations(self) -> tuple[Operation, ...]:
        """The operation of every layer, with its settings.

        Raises:
            BadInput: there is no such operation, or it does not take the settings.
        """
        return tuple(
            OPERATIONS.make({**layer.settings, "name": layer.op}, self._place(index))
            for index, layer in enumerate(self.layers)
        )

    @cached_property
    def costs(self) -> tuple[Cost, ...]:
        """Shape and cost of every layer.

        Raises:
            BadInput: as ``operations``.
            ValueError: a layer's operation cannot be applied to its inputs.
        """
        costs: list[Cost] = []
        for index, (layer, operation) in enumerate(zip(self.layers, self.operations, strict=True)):
            # the first layer takes the images
            sources = [costs[source].shape for source in self.inputs(index)] if index else [self.input_shape]
            if len(sources) != 1 and not (operation.takes_many and sources):
                raise ValueError(f"{self._place(index)} cannot have {len(sources)} inputs")
            try:
                cost = operation.cost(layer, sources)
            except ValueError as error:
                raise ValueError(f"{self._place(index)}: {error}") from None
            if cost.shape[0] != layer.channels:
                raise ValueError(f"{self._place(index)} has {cost.shape[0]} channels, not {layer.channels}")
            costs.append(cost)
        return tuple(costs)

    def _place(self, index: int) -> str:
        layer = self.layers[index]
        return f"layer {index} ({layer.label or layer.op})"

    def behind(self, layer: int) -> list[int]:
        """Indices of the layers that one depends on, in order, itself among them."""
        needed = {layer}
        for index in range(layer, -1, -1):
            if index in needed:
                needed.update(self.inputs(index))
        return sorted(needed)

    @cached_property
    def used(self) -> tuple[int, ...]:
        """Indices of the layers that the class scores depend on. All, but for what only training needs, such
        as the decoder of an autoencoder."""
        return tuple(self.behind(len(self.layers) - 1))

    @cached_property
    def objective(self) -> int | None:
        """Index of the layer whose output the network is trained to minimise; None if that is the cross
        entropy of its class scores."""
        return next((n for n, operation in enumerate(self.operations) if operation.objective), None)

    @cached_property
    def task(self) -> Task:
        """What the network is trained for, which its last layer says."""
        return Task.restoration if self.operations[-1].makes_images else Task.classification

    @property
    def flops(self) -> int:
        """Multiply-adds for one image."""
        return sum(self.costs[index].flops for index in self.used)

    @property
    def parameters(self) -> int:
        """Trainable parameters that the class scores depend on."""
        return sum(self.costs[index].parameters for index in self.used)

    @cached_property
    def peak_memory_bytes(self) -> int:
        """Bytes that classifying one image takes at its worst moment, with numbers of 32 bits: the weights,
        and the outputs of layers that are alive at once, in the order of the layers. Workspaces of
        convolutions, and copies that a runtime makes or saves, are not in it."""
        last_use = {source: index for index in self.used for source in self.inputs(index)}
        sizes = [prod(cost.shape) for cost in self.costs]
        most = alive = 0
        for index in self.used:
            alive += sizes[index]
            most = max(most, alive)
            alive -= sum(sizes[done] for done, last in last_use.items() if last == index)
        return _FLOAT32 * (self.parameters + most)

    @cached_property
    def kinds(self) -> tuple[str, ...]:
        """What every layer is by itself: a digest of its operation and settings, without label and phase."""
        return tuple(
            _digest(
                *(layer.op, layer.channels, layer.kernel, layer.stride, layer.padding, layer.bias),
                *sorted(operation.changed().items()),
            )
            for layer, operation in zip(self.layers, self.operations, strict=True)
        )

    @cached_property
    def neighbours(self) -> tuple[tuple[tuple[int, ...], tuple[int, ...]], ...]:
        """For every layer the layers that feed it and those that it feeds."""
        before: list[list[int]] = [[] for _ in self.layers]
        after: list[list[int]] = [[] for _ in self.layers]
        for source, target in self.edges:
            after[source].append(target)
            before[target].append(source)
        return tuple((tuple(b), tuple(a)) for b, a in zip(before, after, strict=True))

    @cached_property
    def colours(self) -> tuple[str, ...]:
        """The colour of every layer after Weisfeiler-Lehman refinement.

        Layers of the same kind begin with the same colour; a layer's colour is refined by the colours of its
        predecessors and successors until no colour class splits any further.
        """
        colours = self.kinds
        classes = 0
        while len(set(colours)) > classes:
            classes = len(set(colours))
            colours = tuple(
                _digest(own, sorted(colours[j] for j in before), sorted(colours[j] for j in after))
                for own, (before, after) in zip(colours, self.neighbours, strict=True)
            )
        return colours

    @cached_property
    def hash(self) -> str:
        """Hash that is equal for two graphs of the same network up to the numbering of layers (hexadecimal).

        It is made from the ``colours``. Labels and phases do not count: two genomes with the same hash build
        the same function class and need training only once.
        """
        return _digest(self.input_shape, sorted(Counter(self.colours).items()))

    def to_json(self) -> dict[str, Any]:
        """The architecture as lists and numbers; ``from_json`` returns an equal architecture."""
        return {
            "layers": [layer.to_json() for layer in self.layers],
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
    """Builds an architecture layer by layer."""

    def __init__(self, input_shape: Shape) -> None:
        self.input_shape = input_shape
        self.layers: list[Layer] = [Layer("input", input_shape[0], label="input")]
        self.edges: list[tuple[int, int]] = []

    def add(self, layer: Layer, sources: Sequence[int] | int) -> int:
        """Append a layer that takes the outputs of ``sources``; returns its index."""
        index = len(self.layers)
        self.layers.append(layer)
        self.edges += [(source, index) for source in ([sources] if isinstance(sources, int) else sources)]
        return index

    def done(self) -> Architecture:
        """The finished architecture."""
        return Architecture(tuple(self.layers), tuple(self.edges), self.input_shape)


def _digest(*parts: object) -> str:
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:32]
