"""Networks of cells: what NSGA-Net's micro space, NASNet and AmoebaNet have in common.

A cell makes new states from the outputs of the two cells before it: every node applies an operation to each
of two earlier states and adds the results. The states that are joined are concatenated. Normal cells keep
the size of the image; reduction cells halve it, where they read what comes from outside, and have twice the
channels.

What is joined is data and not always derived: the released AmoebaNet and NASNet cells join some states that
other nodes read as well (tensorflow/tpu, models/official/amoeba_net/model_specs.py, ``used_hiddenstates``).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from a4nn_core.errors import BadInput
from a4nn_core.spaces.architecture import Architecture, Graph, Layer, Shape

Node = tuple[str, int, str, int]
"""Operation and state that it is applied to, twice. States 0 and 1 are those from outside."""
OUTSIDE = 2
"""number of states that come from outside"""
_OPERATION = re.compile(r"([a-z]+?)(\d+(?:x\d+)?)?")


@dataclass(frozen=True)
class Cell:
    """One kind of cell.

    Attributes:
        nodes: its nodes in order; node i makes state i + 2.
        joined: states that are concatenated; None for those that no node reads, but not those from outside.
    """

    nodes: tuple[Node, ...]
    joined: tuple[int, ...] | None = None

    @property
    def output(self) -> tuple[int, ...]:
        """The states that are concatenated."""
        if self.joined is not None:
            return self.joined
        read = {state for node in self.nodes for state in (node[1], node[3])}
        made = range(OUTSIDE, OUTSIDE + len(self.nodes))
        return tuple(state for state in made if state not in read)


@dataclass(frozen=True)
class Style:
    """In what the published systems differ.

    Attributes:
        first: whether state 0 is the output of the cell before ("previous") or of the one before that
            ("earlier").
        strided_identity: how an identity halves an image: by a convolution, or by a factorised reduction.
        bottleneck: whether convolutions that are not separable have fewer channels (a quarter; of 1x3 three
            eighths), between two 1x1 convolutions.
        stem: channels of the first convolution, in channels of the first cell.
    """

    first: Literal["previous", "earlier"]
    strided_identity: Literal["convolution", "factorised"]
    bottleneck: bool
    stem: int = 3


TENSORFLOW = Style("previous", "convolution", bottleneck=True)
"""NASNet and AmoebaNet as released (tensorflow/models, slim/nets/nasnet; tensorflow/tpu, amoeba_net)"""
PYTORCH = Style("earlier", "factorised", bottleneck=False)
"""NSGA-Net's micro space, after DARTS (ianwhale/nsga-net, models/micro_operations.py)"""


def stack(
    normal: Cell,
    reduction: Cell,
    input_shape: Shape,
    classes: int,
    *,
    channels: int,
    cells: int,
    reductions: Sequence[int],
    style: Style,
) -> Architecture:
    """The network of two kinds of cells.

    Args:
        normal, reduction: the cells.
        input_shape: shape of an image, (channels, height, width).
        classes: number of classes.
        channels: of the first cell; every reduction doubles them.
        cells: number of cells of both kinds.
        reductions: places of the reduction cells, from 0.
        style: what the operations look like.

    Raises:
        BadInput: there are fewer than two classes.
    """
    if classes < 2:
        raise BadInput(f"a classifier needs two classes or more, not {classes}")
    builder = _Builder(input_shape, style)
    stem = builder.conv(_State(0, input_shape[0], 0), style.stem * channels, 3, "stem conv")
    earlier = previous = builder.norm(stem, "stem norm")
    for place in range(cells):
        reduces = place in reductions
        channels *= 2 if reduces else 1
        builder.phase, builder.title = place, ""
        made = builder.cell(reduction if reduces else normal, earlier, previous, channels, reduces)
        earlier, previous = previous, made
    builder.phase = None
    at = previous if style.first == "earlier" else builder.relu(previous, "last relu")
    average = builder.add("global_average_pool", at, "average")
    builder.graph.add(Layer("linear", classes, bias=True, label="classify"), average.layer)
    return builder.graph.done()


@dataclass(frozen=True)
class _State:
    """A tensor inside the network: the layer that makes it, its channels, and how often it was halved."""

    layer: int
    channels: int
    halved: int


class _Builder:
    def __init__(self, input_shape: Shape, style: Style) -> None:
        self.graph = Graph(input_shape)
        self.style = style
        self.phase: int | None = None
        self.title = ""

    def add(self, op: str, state: _State, label: str, channels: int | None = None, **how: Any) -> _State:
        title = f"{self.title} {label}".strip()
        channels = channels or state.channels
        layer = Layer(op, channels, phase=self.phase, label=title, **how)
        halved = state.halved + (how.get("stride", 1) == 2)
        return _State(self.graph.add(layer, state.layer), channels, halved)

    def relu(self, state: _State, label: str = "relu") -> _State:
        return self.add("relu", state, label)

    def norm(self, state: _State, label: str = "norm") -> _State:
        return self.add("batch_norm", state, label)

    def conv(
        self,
        state: _State,
        channels: int,
        kernel: int = 1,
        label: str = "conv",
        stride: int = 1,
        **settings: Any,
    ) -> _State:
        padding = settings.get("dilation", 1) * (kernel - 1) // 2 or (settings.get("width", 1) - 1) // 2
        how = {"kernel": kernel, "padding": padding, "stride": stride, "settings": settings}
        return self.add("conv", state, label, channels, **how)

    def merged(self, op: str, states: Sequence[_State], label: str) -> _State:
        channels = states[0].channels if op == "add" else sum(state.channels for state in states)
        layer = Layer(op, channels, phase=self.phase, label=f"{self.title} {label}".strip())
        return _State(self.graph.add(layer, [state.layer for state in states]), channels, states[0].halved)

    # cells

    def cell(self, cell: Cell, earlier: _State, previous: _State, channels: int, reduces: bool) -> _State:
        """Add a cell behind the outputs of the two before it; returns its output."""
        self.title = "input"
        new = self.norm(self.conv(self.relu(previous), channels))
        old = self._aligned(earlier, previous, channels)
        states = [new, old] if self.style.first == "previous" else [old, new]
        for number, (left, one, right, other) in enumerate(cell.nodes, start=1):
            parts = []
            for side, op, source in (("left", left, one), ("right", right, other)):
                self.title = f"node {number} {side}"
                stride = 2 if reduces and source < OUTSIDE else 1
                parts.append(self.operation(op, states[source], channels, stride))
            self.title = f"node {number}"
            states.append(self.merged("add", parts, "add"))
        halved = states[-1].halved
        self.title = "output"
        joined = []
        for place in cell.output:
            state = states[place]
            if state.halved < halved:
                state = self.factorised(self.relu(state), channels)
            joined.append(state)
        return joined[0] if len(joined) == 1 else self.merged("concat", joined, "concat")

    def _aligned(self, earlier: _State, previous: _State, channels: int) -> _State:
        """The output of the cell before the last, in the size of the last one's."""
        self.title = "input 2"
        if earlier.halved < previous.halved:
            return self.factorised(self.relu(earlier), channels)
        if self.style.first == "previous" and earlier.channels == channels:
            return earlier
        return self.norm(self.conv(self.relu(earlier), channels))

    def factorised(self, state: _State, channels: int) -> _State:
        """Half the size without a look at every other pixel alone: half of the channels read the pixels that
        the other half does not."""
        title = self.title
        one = self.conv(state, channels - channels // 2, label="even conv", stride=2)
        if channels > 1:
            shifted = self.add("shift", state, "shift")
            other = self.conv(shifted, channels // 2, label="odd conv", stride=2)
            one = self.merged("concat", [one, other], "halves concat")
        self.title = title
        return self.norm(one)

    # operations

    def operation(self, op: str, state: _State, channels: int, stride: int) -> _State:
        """Apply an operation by name: identity, conv1, max3, avg3, sep5, dil3, conv3, conv1x7, ..."""
        named = _OPERATION.fullmatch(op)
        if named is None:
            raise ValueError(f"{op!r} is no operation of cells")
        kind, size = named.groups(default="")
        if kind == "identity":
            if stride == 1:
                return state
            if self.style.strided_identity == "factorised":
                return self.factorised(self.relu(state), channels)
            return self.norm(self.conv(self.relu(state), channels, stride=stride))
        if kind in ("max", "avg"):
            how = {"kernel": int(size), "stride": stride, "padding": (int(size) - 1) // 2}
            return self.add(f"{kind}_pool", state, "pool", **how)
        if kind == "sep":
            return self._separable(
                self._separable(state, channels, int(size), stride, 1, ""), channels, int(size)
            )
        if kind == "dil":
            return self._separable(state, channels, int(size), stride, 2, "")
        return self._convolution(state, channels, size, stride)

    def _separable(
        self,
        state: _State,
        channels: int,
        kernel: int,
        stride: int = 1,
        dilation: int = 1,
        again: str = " again",
    ) -> _State:
        settings = {"groups": state.channels} | ({"dilation": dilation} if dilation > 1 else {})
        deep = self.conv(
            self.relu(state, f"relu{again}"), state.channels, kernel, f"depthwise{again}", stride, **settings
        )
        return self.norm(self.conv(deep, channels, label=f"pointwise{again}"), f"norm{again}")

    def _convolution(self, state: _State, channels: int, size: str, stride: int) -> _State:
        share = 3 / 8 if size == "1x3" else 1 / 4
        narrow = int(channels * share) if self.style.bottleneck and size != "1" else 0
        at, width = self.relu(state), narrow or channels
        if narrow:
            at = self.relu(
                self.norm(self.conv(at, narrow, label="narrow conv"), "narrow norm"), "narrow relu"
            )
        if "x" in size:
            # both directions are halved by the first of the two, which has the same weights
            short, long = map(int, size.split("x"))
            at = self.conv(at, width, short, f"{short}x{long} conv", stride, width=long)
            if narrow:
                at = self.relu(self.norm(at, "between norm"), "between relu")
            at = self.conv(at, width, long, f"{long}x{short} conv", width=short)
        else:
            at = self.conv(at, width, int(size), stride=stride)
        at = self.norm(at)
        if narrow:
            at = self.norm(self.conv(self.relu(at, "wide relu"), channels, label="wide conv"), "wide norm")
        return at
