"""A hand-designed network before it is made for images of a given size: layers whose channels and shapes
follow from their inputs, and what is changed for small images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from a4nn_core.errors import BadInput
from a4nn_core.spaces.architecture import Architecture, Graph, Layer, Shape

WEIGHTED = ("conv", "linear")
"""operations that choose how many channels they return; those of all others follow from their inputs"""
POOLS = ("max_pool", "avg_pool")
LAST_POOLS = ("global_average_pool", "adaptive_avg_pool")
USUAL_KERNEL = 3


@dataclass(frozen=True)
class Step:
    """One layer of a blueprint.

    Attributes:
        op: name of its operation.
        sources: the steps whose outputs it takes, by number; 0 is the image.
        channels: channels of its output at full width; only of ``WEIGHTED`` operations.
        kernel, stride, padding, bias, settings: as of Layer. Groups of a convolution with as many groups as
            channels follow its channels.
        label: name for people.
    """

    op: str
    sources: tuple[int, ...]
    channels: int | None = None
    kernel: int = 1
    stride: int = 1
    padding: int = 0
    bias: bool = False
    settings: dict[str, Any] = field(default_factory=dict)
    label: str = ""


@dataclass(frozen=True)
class Blueprint:
    """A hand-designed network.

    Attributes:
        name: its name.
        steps: its layers in order, from number 1 on; the last one with weights returns the class scores.
    """

    name: str
    steps: tuple[Step, ...]

    def architecture(
        self, input_shape: Shape, classes: int, width: float = 1.0, least_side: int = 4
    ) -> Architecture:
        """The network for images of a shape.

        Hand-designed networks halve photographs of 224 pixels five times, which leaves one pixel of an image
        of 32. As is usual for small images, as many of the first strides are taken away as needed for the
        last feature maps to keep ``least_side`` pixels: convolutions get stride 1, and kernels wider than 3
        become 3 x 3; pooling is left out. A ResNet-18 for 32 x 32 pixels is then the one that is usual for
        CIFAR-10.

        Args:
            input_shape: shape of an image, (channels, height, width).
            classes: number of classes.
            width: what numbers of channels are multiplied by.
            least_side: least height and width of the last feature maps, in pixels.

        Raises:
            BadInput: images are too small for it even so.
        """
        levels = self._levels()
        fitting = None
        for removed in range(max(levels, default=0) + 2):
            fitting = self._made(input_shape, classes, width, levels, removed)
            if fitting is not None and _last_side(fitting) >= least_side:
                break
        if fitting is None:
            high, wide = input_shape[1:]
            raise BadInput(f"images of {high} x {wide} pixels are too small for {self.name}")
        return fitting

    def _levels(self) -> list[int]:
        """How many strides lie between the image and each step. Branches that meet have as many."""
        levels = [0]
        after = [0]
        for step in self.steps:
            level = max(after[source] for source in step.sources)
            levels.append(level)
            after.append(level + (step.stride > 1))
        return levels

    def _made(
        self, input_shape: Shape, classes: int, width: float, levels: Sequence[int], removed: int
    ) -> Architecture | None:
        """The network without its first strides; None if images become too small in it."""
        graph = Graph(input_shape)
        places = [0]
        channels = [input_shape[0]]
        last = max(n for n, step in enumerate(self.steps) if step.op in WEIGHTED)
        for number, step in enumerate(self.steps):
            kept = step
            if step.stride > 1 and levels[number + 1] < removed:
                if step.op in POOLS:
                    places.append(places[step.sources[0]])
                    channels.append(channels[step.sources[0]])
                    continue
                kept = _without_stride(step)
            given = [channels[source] for source in step.sources]
            made = classes if number == last else _scaled(step.channels, width)
            layer = _layer(kept, given, made)
            places.append(graph.add(layer, [places[source] for source in step.sources]))
            channels.append(layer.channels if layer.op != "flatten" else _flat(graph))
            if layer.op == "flatten":
                graph.layers[-1] = replace(layer, channels=channels[-1])
        architecture = graph.done()
        return architecture if min(min(cost.shape) for cost in architecture.costs) > 0 else None


def _without_stride(step: Step) -> Step:
    if step.kernel <= USUAL_KERNEL:
        return replace(step, stride=1)
    return replace(step, stride=1, kernel=USUAL_KERNEL, padding=1 if step.padding else 0)


def _scaled(channels: int | None, width: float) -> int | None:
    """Channels of a narrower or wider network: even, since some networks halve them."""
    if channels is None or width == 1:
        return channels
    return max(2, 2 * round(channels * width / 2))


def _layer(step: Step, given: Sequence[int], made: int | None) -> Layer:
    """The layer of a step.

    Args:
        step: the step.
        given: channels of its inputs.
        made: channels of its output, None if they follow from the inputs.
    """
    settings = dict(step.settings)
    if step.op == "conv" and settings.get("groups", 1) > 1:
        # depthwise: one group for each channel, however many there are
        settings["groups"] = given[0] if settings["groups"] == step.channels else settings["groups"]
        if settings["groups"] == given[0] and made is not None:
            made = given[0] * max(1, round(made / given[0]))
    if made is None:
        made = sum(given) if step.op == "concat" else given[0]
        if step.op == "chunk":
            made = given[0] // settings.get("parts", 2)
        if step.op == "multiply":
            made = max(given)
    return Layer(
        step.op,
        made,
        kernel=step.kernel,
        stride=step.stride,
        padding=step.padding,
        bias=step.bias,
        label=step.label,
        settings=settings,
    )


def _flat(graph: Graph) -> int:
    """How many numbers the last layer so far, which flattens, returns."""
    source = graph.edges[-1][0]
    before = Graph(graph.input_shape)
    before.layers, before.edges = graph.layers[:-1], graph.edges[:-1]
    channels, height, width = before.done().costs[source].shape
    return channels * height * width


def _last_side(architecture: Architecture) -> int:
    """The lesser side of the last feature maps, which the last pooling averages or which are flattened."""
    layers = architecture.layers
    pools = [n for n, layer in enumerate(layers) if layer.op in LAST_POOLS]
    ends = pools or [n for n, layer in enumerate(layers) if layer.op == "flatten"]
    source = architecture.inputs(ends[-1])[0]
    return min(architecture.costs[source].shape[1:])
