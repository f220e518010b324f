"""Scaling by the least and the greatest value of the training images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from a4nn_core.spaces.layer import Cost, Layer, Shape
from a4nn_core.spaces.operations.base import Kept, Operation

if TYPE_CHECKING:
    from torch import nn


class MinMax(Operation):
    """Scales values so that those of the training images lie between 0 and 1."""

    name: Literal["min_max"] = "min_max"

    def cost(self, layer: Layer, inputs: Sequence[Shape]) -> Cost:
        return Cost(inputs[0], 0, 0)  # as for the scaling of stored images, which is no layer

    def module(self, layer: Layer, inputs: Sequence[Shape]) -> nn.Module:
        import torch
        from torch import Tensor

        from a4nn_core.spaces.fitted import Fitted

        class Scaling(Fitted):
            def __init__(self) -> None:
                super().__init__()
                self.register_buffer("low", torch.zeros(()))
                self.register_buffer("range", torch.ones(()))

            def fit(self, inputs: Tensor, labels: Tensor) -> None:
                del labels
                self.low = inputs.min()
                self.range = (inputs.max() - self.low).clamp(min=1e-12)

            def forward(self, images: Tensor) -> Tensor:
                return (images - self.low) / self.range

        return Scaling()

    def kept(self, compiled: bool) -> Kept:
        return Kept(held=not compiled)

    def text(self) -> str:
        return "scale to 0 ... 1"
