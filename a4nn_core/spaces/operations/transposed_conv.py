"""Transposed convolution."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from a4nn_core.component import Unit
from a4nn_core.spaces.layer import Cost, Layer, Shape
from a4nn_core.spaces.operations.base import Kept, Operation

if TYPE_CHECKING:
    from torch import nn


class TransposedConv(Operation):
    """The transpose of a convolution with a square kernel: with stride 2 it doubles an image. The stride and
    padding of the layer are those of the convolution that it is the transpose of."""

    name: Literal["transposed_conv"] = "transposed_conv"

    height: Annotated[int, Unit("pixels")] = Field(ge=1)
    """height of the output, one of those that the convolution makes the input's height of"""
    width: Annotated[int, Unit("pixels")] = Field(ge=1)
    """width of the output, likewise"""

    def _more(self, layer: Layer, shape: Shape) -> tuple[int, int]:
        """Rows and columns beyond the smallest output: torch's output_padding.

        Raises:
            ValueError: the convolution makes something else of an image of that size.
        """
        _, *sides = shape
        reach = layer.kernel - 2 * layer.padding
        high, wide = (
            wanted - ((side - 1) * layer.stride + reach)
            for wanted, side in zip((self.height, self.width), sides, strict=True)
        )
        if not (0 <= high < layer.stride and 0 <= wide < layer.stride):
            raise ValueError(
                f"an image of {shape[1]} x {shape[2]} pixels cannot become one of {self.height} x "
                f"{self.width} with kernel {layer.kernel}, stride {layer.stride} and padding {layer.padding}"
            )
        return high, wide

    def cost(self, layer: Layer, inputs: Sequence[Shape]) -> Cost:
        channels, height, width = inputs[0]
        self._more(layer, inputs[0])
        weights = layer.kernel**2 * channels * layer.channels
        bias = layer.channels if layer.bias else 0
        # every pixel of the input is multiplied with the whole kernel
        flops = weights * height * width + bias * self.height * self.width
        return Cost((layer.channels, self.height, self.width), flops, weights + bias)

    def module(self, layer: Layer, inputs: Sequence[Shape]) -> nn.Module:
        from torch import nn

        return nn.ConvTranspose2d(
            inputs[0][0],
            layer.channels,
            layer.kernel,
            stride=layer.stride,
            padding=layer.padding,
            output_padding=self._more(layer, inputs[0]),
            bias=layer.bias,
        )

    def kept(self, compiled: bool) -> Kept:
        return Kept(inputs=True)

    def text(self) -> str:
        return f"transposed convolution to {self.height} x {self.width}"
