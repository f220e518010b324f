"""Hyperbolic tangent."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from a4nn_core.spaces.layer import Cost, Layer, Shape
from a4nn_core.spaces.operations.base import Kept, Operation, elements

if TYPE_CHECKING:
    from torch import nn


class Tanh(Operation):
    """The hyperbolic tangent of its input."""

    name: Literal["tanh"] = "tanh"

    def cost(self, layer: Layer, inputs: Sequence[Shape]) -> Cost:
        return Cost(inputs[0], elements(inputs[0]), 0)

    def module(self, layer: Layer, inputs: Sequence[Shape]) -> nn.Module:
        from torch import nn

        return nn.Tanh()

    def kept(self, compiled: bool) -> Kept:
        return Kept(output=True, held=not compiled)
