"""Convolution."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field

from a4nn_core.component import Unit
from a4nn_core.spaces.layer import Cost, Layer, Shape
from a4nn_core.spaces.operations.base import Kept, Operation
from a4nn_core.spaces.weights import Start

if TYPE_CHECKING:
    from torch import nn


class Conv(Operation):
    """A convolution with a rectangular kernel, square by default."""

    name: Literal["conv"] = "conv"
    words: ClassVar[tuple[str, ...]] = ("merge",)

    groups: Annotated[int, Unit("groups")] = Field(default=1, ge=1)
    """number of groups of channels that are convolved separately; depthwise if there are as many as
    channels"""
    dilation: Annotated[int, Unit("pixels")] = Field(default=1, ge=1)
    """distance between the pixels that a kernel reads"""
    width: Annotated[int | None, Unit("pixels")] = Field(default=None, ge=1)
    """width of the kernel, whose height is that of the layer; None for a square kernel"""
    same: bool = False
    """whether padding follows from the kernel, so that the output is as large as the input over the stride,
    rounded up; the layer's own must be 0. What an even kernel lacks is added at the right and the bottom."""
    start: Start = "usual"
    """weights before training: usual for those of torch; identity for passing on the input, or as many of its
    channels as there are; zero"""
    weight_mean: float = Field(default=0.0, allow_inf_nan=False)
    """mean of the weights before training, if weight_sd is given"""
    weight_sd: float | None = Field(default=None, ge=0, allow_inf_nan=False)
    """standard deviation of the weights before training, which are then drawn from a normal distribution that
    is cut at two of these; None for torch's usual weights"""

    def _kernel(self, layer: Layer) -> tuple[int, int]:
        return layer.kernel, self.width or layer.kernel

    def _padding(self, layer: Layer) -> tuple[int, int]:
        """Pixels added at the top and bottom, and at the left and right."""
        high, wide = self._kernel(layer)
        if self.same:
            return self.dilation * (high - 1) // 2, self.dilation * (wide - 1) // 2
        if self.width is None:
            return layer.padding, layer.padding
        # a side of one pixel needs none, so that a 1x7 kernel with padding 3 keeps the size of an image
        return (layer.padding if high > 1 else 0), (layer.padding if wide > 1 else 0)

    def _sides(self, layer: Layer, sides: Sequence[int]) -> list[int]:
        if self.same:
            if layer.padding:
                raise ValueError(
                    f"the padding of same follows from the kernel, and cannot be {layer.padding}"
                )
            return [(side - 1) // layer.stride + 1 for side in sides]
        return [
            (side + 2 * padding - self.dilation * (kernel - 1) - 1) // layer.stride + 1
            for side, kernel, padding in zip(sides, self._kernel(layer), self._padding(layer), strict=True)
        ]

    def cost(self, layer: Layer, inputs: Sequence[Shape]) -> Cost:
        channels, *sides = inputs[0]
        if channels % self.groups or layer.channels % self.groups:
            raise ValueError(
                f"{channels} and {layer.channels} channels cannot be divided into {self.groups} groups"
            )
        height, width = self._sides(layer, sides)
        high, wide = self._kernel(layer)
        if self.start == "identity" and not (high % 2 and wide % 2):
            raise ValueError(f"an even kernel of {high} x {wide} pixels cannot start as the identity")
        if self.start == "identity" and self.groups > 1 and channels != layer.channels:
            raise ValueError(
                f"groups of {channels} to {layer.channels} channels cannot start as the identity"
            )
        weights = high * wide * channels // self.groups * layer.channels
        bias = layer.channels if layer.bias else 0
        return Cost((layer.channels, height, width), (weights + bias) * height * width, weights + bias)

    def module(self, layer: Layer, inputs: Sequence[Shape]) -> nn.Module:
        from torch import nn

        from a4nn_core.spaces.weights import begin

        made = nn.Conv2d(
            inputs[0][0],
            layer.channels,
            self._kernel(layer),
            stride=layer.stride,
            padding=self._padding(layer),
            dilation=self.dilation,
            groups=self.groups,
            bias=layer.bias,
        )
        begin(made, self.start, self.weight_mean, self.weight_sd)
        # one more pixel at the bottom and the right, for kernels that reach further there
        lower, right = (self.dilation * (side - 1) % 2 if self.same else 0 for side in self._kernel(layer))
        return nn.Sequential(nn.ZeroPad2d((0, right, 0, lower)), made) if lower or right else made

    def kept(self, compiled: bool) -> Kept:
        # torch/_functorch/partitioners.py: compute-intensive results are not recomputed
        return Kept(inputs=True)
