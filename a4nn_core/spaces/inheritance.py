"""Which weights of a network another one can begin with: layers that correspond, and channels that do.

Layers correspond if phase, label and operation are equal; spaces whose networks hand on weights give a layer
the same label for as long as it lives. Nothing here needs torch: what is taken over is known, and recorded,
before a network is built.

A network that takes over all that corresponds (``morph``) computes what its parent did, but for the order of
sums, if it differs from it by layers that begin as the identity, by branches that begin with zeros, and by
wider layers: the new channels copy old ones, and whatever reads them begins with zeros (Chen et al.,
"Net2Net", ICLR 2016; Wei et al., "Network morphism", ICML 2016).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest

from a4nn_core.spaces.architecture import Architecture
from a4nn_core.spaces.operations.concat import Concat
from a4nn_core.spaces.operations.conv import Conv
from a4nn_core.spaces.operations.crelu import Crelu
from a4nn_core.spaces.operations.flatten import Flatten
from a4nn_core.spaces.operations.linear import Linear

Channels = tuple[int | None, ...]
"""For every channel of an output the channel of the parent's that it corresponds to; None if it is new."""


@dataclass(frozen=True)
class Taken:
    """One layer that takes over weights.

    Attributes:
        layer, source: its index, and that of the parent's layer.
        inputs, outputs: the channels that correspond; None if the layers are of equal size, and all is taken
            over as it is.
    """

    layer: int
    source: int
    inputs: Channels | None = None
    outputs: Channels | None = None


def taken(child: Architecture, parent: Architecture, morph: bool) -> list[Taken]:
    """What a network takes over from another one.

    Args:
        child, parent: the networks.
        morph: whether layers that were made wider or narrower take over the channels they have in common;
            otherwise only layers of equal size take over weights.
    """
    same = _corresponding(child, parent)
    flow = _channels(child, parent, same) if morph else {}
    found = []
    for layer, source in same.items():
        if not child.costs[layer].parameters:
            continue
        alike = _sizes(child, layer) == _sizes(parent, source)
        if not morph:
            if alike:
                found.append(Taken(layer, source))
            continue
        inputs, outputs = flow[child.inputs(layer)[0]], flow[layer]
        if alike and _unchanged(inputs) and _unchanged(outputs):
            found.append(Taken(layer, source))
        elif any(channel is not None for channel in inputs):
            found.append(Taken(layer, source, inputs, outputs))
    return found


def inherited_parameters(child: Architecture, found: Sequence[Taken]) -> int:
    """Parameters of the layers that take over weights."""
    return sum(child.costs[one.layer].parameters for one in found)


def _corresponding(child: Architecture, parent: Architecture) -> dict[int, int]:
    """Layers of the child to those of the parent that they correspond to, in the order of the child."""
    known = {name: index for index, name in enumerate(_names(parent))}
    return {
        index: known[name]
        for index, name in enumerate(_names(child))
        if name in known and _kernel(child, index) == _kernel(parent, known[name])
    }


def _names(architecture: Architecture) -> list[tuple[object, ...]]:
    """What layers are known by; equal labels are counted."""
    seen: Counter[tuple[object, ...]] = Counter()
    names: list[tuple[object, ...]] = []
    for layer in architecture.layers:
        name = (layer.phase, layer.label, layer.op)
        names.append((*name, seen[name]))
        seen[name] += 1
    return names


def _kernel(architecture: Architecture, index: int) -> tuple[object, ...]:
    """What must be equal for the weights of two layers to mean the same."""
    layer, operation = architecture.layers[index], architecture.operations[index]
    if not isinstance(operation, Conv):
        return layer.op, layer.bias
    groups = -1 if is_depthwise(architecture, index) else operation.groups
    return layer.kernel, layer.bias, operation.width, operation.dilation, groups


def _sizes(architecture: Architecture, index: int) -> tuple[object, ...]:
    """What the sizes of a layer's weights follow from."""
    inputs = [architecture.costs[source].shape for source in architecture.inputs(index)]
    flat = architecture.layers[index].op == "linear"
    return architecture.layers[index].channels, [shape if flat else shape[0] for shape in inputs]


def _unchanged(channels: Channels) -> bool:
    return channels == tuple(range(len(channels)))


def _channels(child: Architecture, parent: Architecture, same: dict[int, int]) -> dict[int, Channels]:
    """For every layer of the child the channels of its output that the parent has as well."""
    flow: dict[int, Channels] = {0: tuple(range(child.input_shape[0]))}
    for index in range(1, len(child.layers)):
        sources, source = child.inputs(index), same.get(index)
        operation, width = child.operations[index], child.costs[index].shape[0]
        before = flow[sources[0]]
        if isinstance(operation, Concat):
            flow[index] = _joined(child, parent, index, flow, same)
        elif isinstance(operation, Crelu):
            half = (child if source is None else parent).costs[source or index].shape[0] // 2
            flow[index] = before + tuple(None if one is None else one + half for one in before)
        elif isinstance(operation, Flatten):
            flow[index] = _flat(before, child, parent, sources[0], source)
        elif isinstance(operation, Conv | Linear) and not is_depthwise(child, index):
            if source is None and operation.start == "identity":
                flow[index] = _resized(before, width)
            else:
                common = 0 if source is None else min(width, parent.costs[source].shape[0])
                flow[index] = _resized(tuple(range(common)), width)
        else:
            flow[index] = _resized(_passed_on(child, parent, index, flow, same), width)
    return flow


def _passed_on(
    child: Architecture, parent: Architecture, index: int, flow: dict[int, Channels], same: dict[int, int]
) -> Channels:
    """The channels that a layer passes on. A sum of several inputs that the parent has as well has all the
    channels that it had there; a sum that is new has those of the input that is not new."""
    before = [flow[source] for source in child.inputs(index)]
    if index not in same or len(before) == 1:
        return max(before, key=lambda one: sum(channel is not None for channel in one))
    limit = parent.costs[same[index]].shape[0]
    return tuple(
        next((one for one in channels if one is not None and one < limit), None)
        for channels in zip_longest(*before)
    )


def _resized(channels: Channels, width: int) -> Channels:
    """Cut off, or filled up with new ones."""
    return (*channels[:width], *[None] * (width - len(channels)))


def is_depthwise(architecture: Architecture, index: int) -> bool:
    """Whether a layer convolves every channel for itself."""
    operation = architecture.operations[index]
    return isinstance(operation, Conv) and operation.groups == architecture.layers[index].channels > 1


def _flat(
    before: Channels, child: Architecture, parent: Architecture, reads: int, source: int | None
) -> Channels:
    """The numbers of a flattened image; none correspond if the parent's had another size."""
    _, height, width = child.costs[reads].shape
    pixels = height * width
    if source is not None and parent.costs[parent.inputs(source)[0]].shape[1:] != (height, width):
        return (None,) * (len(before) * pixels)
    return tuple(None if one is None else one * pixels + i for one in before for i in range(pixels))


def _joined(
    child: Architecture,
    parent: Architecture,
    index: int,
    flow: dict[int, Channels],
    same: dict[int, int],
) -> Channels:
    """The channels of a concatenation, wherever the parent's concatenation has them."""
    sources = child.inputs(index)
    if index not in same:  # a new one: it goes on from what was there
        first, *others = sources
        return flow[first] + tuple(None for source in others for _ in flow[source])
    starts, at = {}, 0
    for source in parent.inputs(same[index]):
        starts[source] = at
        at += parent.costs[source].shape[0]
    found: list[int | None] = []
    for source in sources:
        start = starts.get(same.get(source, -1))
        found += [None if one is None or start is None else start + one for one in flow[source]]
    return tuple(found)
