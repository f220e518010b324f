"""The head of networks that make images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, Literal

from a4nn_core.spaces.layer import Cost, Layer, Shape
from a4nn_core.spaces.operations.base import Kept, Operation

if TYPE_CHECKING:
    from torch import nn


class ImageOutput(Operation):
    """An image in the units of the data set: its input times a scale, which is that of the training images'
    expected values and no weight. As the last layer it makes a network one that restores images."""

    name: Literal["image_output"] = "image_output"
    makes_images: ClassVar[bool] = True

    positive: bool = False
    """whether values are made positive by log(1 + exp(x)), as expected counts are"""

    def cost(self, layer: Layer, inputs: Sequence[Shape]) -> Cost:
        return Cost(inputs[0], 0, 0)

    def module(self, layer: Layer, inputs: Sequence[Shape]) -> nn.Module:
        import torch
        from torch import Tensor, nn
        from torch.nn.functional import softplus

        positive = self.positive

        class Scaled(nn.Module):
            scale: Tensor

            def __init__(self) -> None:
                super().__init__()
                self.register_buffer("scale", torch.ones(()))

            def forward(self, image: Tensor) -> Tensor:
                return (softplus(image) if positive else image) * self.scale

        return Scaled()

    def kept(self, compiled: bool) -> Kept:
        return Kept(inputs=self.positive, held=not compiled)

    def text(self) -> str:
        return "image"
