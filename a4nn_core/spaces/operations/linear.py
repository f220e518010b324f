"""A fully connected layer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from a4nn_core.spaces.layer import Cost, Layer, Shape
from a4nn_core.spaces.operations.base import Kept, Operation, elements

if TYPE_CHECKING:
    from torch import nn


class Linear(Operation):
    """Every output is a weighted sum of all inputs. Its input is flat: shape (batch, numbers)."""

    name: Literal["linear"] = "linear"

    def cost(self, layer: Layer, inputs: Sequence[Shape]) -> Cost:
        weights = elements(inputs[0]) * layer.channels
        return Cost((layer.channels, 1, 1), weights, weights + (layer.channels if layer.bias else 0))

    def module(self, layer: Layer, inputs: Sequence[Shape]) -> nn.Module:
        from torch import nn

        return nn.Linear(elements(inputs[0]), layer.channels, bias=layer.bias)

    def kept(self, compiled: bool) -> Kept:
        return Kept(inputs=not compiled, held=not compiled)
