"""From vectors to images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from a4nn_core.component import Unit
from a4nn_core.spaces.layer import Cost, Layer, Shape
from a4nn_core.spaces.operations.base import Kept, Operation, elements

if TYPE_CHECKING:
    from torch import nn


class Unflatten(Operation):
    """The values of a row as images: the opposite of ``flatten``."""

    name: Literal["unflatten"] = "unflatten"

    height: Annotated[int, Unit("pixels")] = Field(ge=1)
    """height of the output in pixels"""
    width: Annotated[int, Unit("pixels")] = Field(ge=1)
    """width of the output in pixels"""

    def cost(self, layer: Layer, inputs: Sequence[Shape]) -> Cost:
        numbers, area = elements(inputs[0]), self.height * self.width
        if numbers % area:
            raise ValueError(f"{numbers} numbers are no images of {self.height} x {self.width} pixels")
        return Cost((numbers // area, self.height, self.width), 0, 0)

    def module(self, layer: Layer, inputs: Sequence[Shape]) -> nn.Module:
        from torch import nn

        return nn.Unflatten(1, (elements(inputs[0]) // (self.height * self.width), self.height, self.width))

    def kept(self, compiled: bool) -> Kept:
        return Kept(held=False)
