"""Convolution."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field

from a4nn_core.component import Unit
from a4nn_core.spaces.layer import Cost, Layer, Shape
from a4nn_core.spaces.operations.base import Kept, Operation, windows

if TYPE_CHECKING:
    from torch import nn


class Conv(Operation):
    """A convolution with a square kernel."""

    name: Literal["conv"] = "conv"
    words: ClassVar[tuple[str, ...]] = ("merge",)

    groups: Annotated[int, Unit("groups")] = Field(default=1, ge=1)
    """number of groups of channels that are convolved separately; depthwise if there are as many as
    channels"""
    dilation: Annotated[int, Unit("pixels")] = Field(default=1, ge=1)
    """distance between the pixels that a kernel reads"""

    def cost(self, layer: Layer, inputs: Sequence[Shape]) -> Cost:
        channels, *sides = inputs[0]
        if channels % self.groups or layer.channels % self.groups:
            raise ValueError(
                f"{channels} and {layer.channels} channels cannot be divided into {self.groups} groups"
            )
        height, width = (windows(side, layer, self.dilation) for side in sides)
        weights = layer.kernel**2 * channels // self.groups * layer.channels
        bias = layer.channels if layer.bias else 0
        return Cost((layer.channels, height, width), (weights + bias) * height * width, weights + bias)

    def module(self, layer: Layer, inputs: Sequence[Shape]) -> nn.Module:
        from torch import nn

        return nn.Conv2d(
            inputs[0][0],
            layer.channels,
            layer.kernel,
            stride=layer.stride,
            padding=layer.padding,
            dilation=self.dilation,
            groups=self.groups,
            bias=layer.bias,
        )

    def kept(self, compiled: bool) -> Kept:
        # torch/_functorch/partitioners.py: compute-intensive results are not recomputed
        return Kept(inputs=True)
