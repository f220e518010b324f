"""Shifting of images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from a4nn_core.component import Unit
from a4nn_core.spaces.layer import Cost, Layer, Shape
from a4nn_core.spaces.operations.base import Kept, Operation

if TYPE_CHECKING:
    from torch import nn


class Shift(Operation):
    """Drops the first rows and columns; zeros fill up the last ones, so that the size stays."""

    name: Literal["shift"] = "shift"

    pixels: Annotated[int, Unit("pixels")] = Field(default=1, ge=1)
    """how many rows and columns"""

    def cost(self, layer: Layer, inputs: Sequence[Shape]) -> Cost:
        return Cost(inputs[0], 0, 0)

    def module(self, layer: Layer, inputs: Sequence[Shape]) -> nn.Module:
        from torch.nn.functional import pad

        from a4nn_core.spaces.build import Function

        by = self.pixels
        return Function(lambda given: pad(given[0][:, :, by:, by:], (0, by, 0, by)))

    def kept(self, compiled: bool) -> Kept:
        return Kept(held=not compiled)

    def text(self) -> str:
        return f"shift by {self.pixels}"
