"""The head of networks that make images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, Literal

from a4nn_core.spaces.layer import Cost, Layer, Shape
from a4nn_core.spaces.operations.base import Kept, Operation

if TYPE_CHECKING:
    from torch import nn

LEAST = 1e-6
"""of the scale: the least mean value that a positive output begins with"""


class ImageOutput(Operation):
    """An image in the unit of the data set. As the last layer it makes a network one that restores images.

    Its input is multiplied with a scale, and a mean image can be added; both are those of the expected
    training images, and no weights.
    """

    name: Literal["image_output"] = "image_output"
    makes_images: ClassVar[bool] = True

    positive: bool = False
    """whether values are made positive by log(1 + exp(x)), as expected counts are"""
    adds_mean: bool = False
    """whether an input of zeros gives the mean image"""

    def cost(self, layer: Layer, inputs: Sequence[Shape]) -> Cost:
        return Cost(inputs[0], 0, 0)

    def module(self, layer: Layer, inputs: Sequence[Shape]) -> nn.Module:
        import torch
        from torch import Tensor, nn
        from torch.nn.functional import softplus

        positive, adds_mean, shape = self.positive, self.adds_mean, inputs[0]

        class Image(nn.Module):
            scale: Tensor
            zero: Tensor

            def __init__(self) -> None:
                super().__init__()
                self.register_buffer("scale", torch.ones(()))
                self.register_buffer("zero", torch.zeros(shape if adds_mean else ()))

            def take_units(self, scale: float, mean: Tensor) -> None:
                """Take over scale and mean image of a data set, which has the shape of the output."""
                self.scale.fill_(scale)
                if adds_mean:
                    zero = mean.to(self.zero) / scale
                    if positive:  # the inverse of softplus
                        zero = zero.clamp(min=LEAST)
                        zero = zero + torch.log(-torch.expm1(-zero))
                    self.zero.copy_(zero)

            def forward(self, image: Tensor) -> Tensor:
                moved = image + self.zero if adds_mean else image
                return (softplus(moved) if positive else moved) * self.scale

        return Image()

    def kept(self, compiled: bool) -> Kept:
        return Kept(inputs=self.positive and not self.adds_mean, held=not compiled)

    def text(self) -> str:
        return "image"
