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
    """While a network is trained, sets values to 0 at random and scales up those that remain."""

    name: Literal["dropout"] = "dropout"

    rate: float = Field(ge=0, lt=1)
    """share of the values that are set to 0"""

    def cost(self, layer: Layer, inputs: Sequence[Shape]) -> Cost:
        return Cost(inputs[0], 0, 0)

    def module(self, layer: Layer, inputs: Sequence[Shape]) -> nn.Module:
        from torch import nn

        return nn.Dropout(self.rate)

    def kept(self, compiled: bool) -> Kept:
        # what it keeps itself, which values were set to 0, takes a byte a value on some devices, four on
        # others; with a rate of 0 its output is its input
        return Kept(held=not compiled and self.rate > 0)

    def text(self) -> str:
        return f"dropout {self.rate:g}"
