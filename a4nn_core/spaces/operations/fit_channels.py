"""Cutting or filling up channels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from a4nn_core.spaces.layer import Cost, Layer, Shape
from a4nn_core.spaces.operations.base import Kept, Operation

if TYPE_CHECKING:
    from torch import nn


class FitChannels(Operation):
    """The first channels of its input; where there are too few, channels of zeros follow. No weights."""

    name: Literal["fit_channels"] = "fit_channels"

    def cost(self, layer: Layer, inputs: Sequence[Shape]) -> Cost:
        _, height, width = inputs[0]
        return Cost((layer.channels, height, width), 0, 0)

    def module(self, layer: Layer, inputs: Sequence[Shape]) -> nn.Module:
        from torch.nn.functional import pad

        from a4nn_core.spaces.build import Function

        missing = layer.channels - inputs[0][0]  # negative: channels are cut off
        return Function(lambda given: pad(given[0], (0, 0, 0, 0, 0, missing)))

    def kept(self, compiled: bool) -> Kept:
        return Kept(held=not compiled)
