"""Dropout."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from a4nn_core.spaces.layer import Cost, Layer, Shape
from a4nn_core.spaces.operations.base import Kept, Operation

if TYPE_CHECKING:
    from torch import nn


class Dropout(Operation):
    """In training, sets values to 0 at random and scales up the others."""

    name: Literal["dropout"] = "dropout"

    rate: float = Field(ge=0, lt=1)
    """fraction of the values that are set to 0"""

    def cost(self, layer: Layer, inputs: Sequence[Shape]) -> Cost:
        return Cost(inputs[0], 0, 0)

    def module(self, layer: Layer, inputs: Sequence[Shape]) -> nn.Module:
        from torch import nn

        return nn.Dropout(self.rate)

    def kept(self, compiled: bool) -> Kept:
        # its own mask takes one byte per value on some devices, four on others; with a rate of 0 its output
        # is its input
        return Kept(held=not compiled and self.rate > 0)

    def text(self) -> str:
        return f"dropout {self.rate:g}"
