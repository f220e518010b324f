"""Resizing of images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from a4nn_core.component import Unit
from a4nn_core.spaces.layer import Cost, Layer, Shape
from a4nn_core.spaces.operations.base import Kept, Operation

if TYPE_CHECKING:
    from torch import nn


class Resize(Operation):
    """Images of another size; each pixel is that of the input which is nearest to its place."""

    name: Literal["resize"] = "resize"

    height: Annotated[int, Unit("pixels")] = Field(ge=1)
    """height of the output in pixels"""
    width: Annotated[int, Unit("pixels")] = Field(ge=1)
    """width of the output in pixels"""

    def cost(self, layer: Layer, inputs: Sequence[Shape]) -> Cost:
        return Cost((inputs[0][0], self.height, self.width), 0, 0)

    def module(self, layer: Layer, inputs: Sequence[Shape]) -> nn.Module:
        from torch.nn.functional import interpolate

        from a4nn_core.spaces.build import Function

        size = (self.height, self.width)
        return Function(lambda given: interpolate(given[0], size=size, mode="nearest"))

    def kept(self, compiled: bool) -> Kept:
        return Kept(held=not compiled)

    def text(self) -> str:
        return f"resize to {self.height} x {self.width}"
