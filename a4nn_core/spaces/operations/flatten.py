"""Flattening."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from a4nn_core.spaces.layer import Cost, Layer, Shape
from a4nn_core.spaces.operations.base import Kept, Operation, elements

if TYPE_CHECKING:
    from torch import nn


class Flatten(Operation):
    """All values of an image in one row: shape (batch, numbers)."""

    name: Literal["flatten"] = "flatten"

    def cost(self, layer: Layer, inputs: Sequence[Shape]) -> Cost:
        return Cost((elements(inputs[0]), 1, 1), 0, 0)

    def module(self, layer: Layer, inputs: Sequence[Shape]) -> nn.Module:
        from torch import nn

        return nn.Flatten()

    def kept(self, compiled: bool) -> Kept:
        return Kept(held=False)
