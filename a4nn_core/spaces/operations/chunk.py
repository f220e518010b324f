"""One of several equal parts of the channels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from a4nn_core.component import Unit
from a4nn_core.spaces.layer import Cost, Layer, Shape
from a4nn_core.spaces.operations.base import Kept, Operation

if TYPE_CHECKING:
    from torch import Tensor, nn


class Chunk(Operation):
    """Passes on one of several equal parts of the channels (the split of ShuffleNet V2)."""

    name: Literal["chunk"] = "chunk"

    parts: Annotated[int, Unit("parts")] = Field(default=2, ge=2)
    """into how many parts the channels are divided"""
    part: int = Field(default=0, ge=0)
    """which part, from 0"""

    def cost(self, layer: Layer, inputs: Sequence[Shape]) -> Cost:
        channels, height, width = inputs[0]
        if channels % self.parts or self.part >= self.parts:
            raise ValueError(f"{channels} channels have no part {self.part} of {self.parts} equal ones")
        return Cost((channels // self.parts, height, width), 0, 0)

    def module(self, layer: Layer, inputs: Sequence[Shape]) -> nn.Module:
        from a4nn_core.spaces.build import Function

        width = inputs[0][0] // self.parts
        start = self.part * width

        def part(given: Sequence[Tensor]) -> Tensor:
            return given[0][:, start : start + width]

        return Function(part)

    def kept(self, compiled: bool) -> Kept:
        return Kept(held=False)  # it is a view

    def text(self) -> str:
        return f"part {self.part + 1} of {self.parts}"
