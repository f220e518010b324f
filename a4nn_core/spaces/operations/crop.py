"""Cutting images to a size."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from a4nn_core.component import Unit
from a4nn_core.spaces.layer import Cost, Layer, Shape
from a4nn_core.spaces.operations.base import Kept, Operation

if TYPE_CHECKING:
    from torch import Tensor, nn


class Crop(Operation):
    """The upper left part of an image; what it lacks at the right and the bottom is filled with zeros."""

    name: Literal["crop"] = "crop"

    height: Annotated[int, Unit("pixels")] = Field(ge=1)
    """height of the output in pixels"""
    width: Annotated[int, Unit("pixels")] = Field(ge=1)
    """width of the output in pixels"""

    def cost(self, layer: Layer, inputs: Sequence[Shape]) -> Cost:
        return Cost((inputs[0][0], self.height, self.width), 0, 0)

    def module(self, layer: Layer, inputs: Sequence[Shape]) -> nn.Module:
        from torch.nn.functional import pad

        from a4nn_core.spaces.build import Function

        _, height, width = inputs[0]
        more = (0, self.width - width, 0, self.height - height)

        def cropped(given: Sequence[Tensor]) -> Tensor:
            return pad(given[0], more)

        return Function(cropped)

    def kept(self, compiled: bool) -> Kept:
        return Kept(held=False)

    def text(self) -> str:
        return f"{self.height} x {self.width}"
