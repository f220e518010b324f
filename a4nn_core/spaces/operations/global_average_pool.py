"""Global average pooling."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from a4nn_core.spaces.layer import Cost, Layer, Shape
from a4nn_core.spaces.operations.base import Operation, elements

if TYPE_CHECKING:
    from torch import nn


class GlobalAveragePool(Operation):
    """The mean of every channel, flat: shape (batch, channels)."""

    name: Literal["global_average_pool"] = "global_average_pool"

    def cost(self, layer: Layer, inputs: Sequence[Shape]) -> Cost:
        return Cost((inputs[0][0], 1, 1), elements(inputs[0]), 0)

    def module(self, layer: Layer, inputs: Sequence[Shape]) -> nn.Module:
        from torch import nn

        return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
