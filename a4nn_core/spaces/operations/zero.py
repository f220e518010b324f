"""No connection."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from a4nn_core.spaces.layer import Cost, Layer, Shape
from a4nn_core.spaces.operations.base import Operation

if TYPE_CHECKING:
    from torch import Tensor, nn


class Zero(Operation):
    """Zeros of the shape of its input: a connection that passes nothing on but keeps the graph together."""

    name: Literal["zero"] = "zero"

    def cost(self, layer: Layer, inputs: Sequence[Shape]) -> Cost:
        return Cost(inputs[0], 0, 0)

    def module(self, layer: Layer, inputs: Sequence[Shape]) -> nn.Module:
        from a4nn_core.spaces.build import Function

        return Function(_nothing_of)


def _nothing_of(inputs: Sequence[Tensor]) -> Tensor:
    return inputs[0] * 0.0  # rather than new zeros, so that what is before it has gradients, which are 0
