"""The identity: its output is its input."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from a4nn_core.spaces.layer import Cost, Layer, Shape
from a4nn_core.spaces.operations.base import Kept, Operation

if TYPE_CHECKING:
    from torch import nn


class Identity(Operation):
    """Passes its input on."""

    name: Literal["identity"] = "identity"

    def cost(self, layer: Layer, inputs: Sequence[Shape]) -> Cost:
        return Cost(inputs[0], 0, 0)

    def module(self, layer: Layer, inputs: Sequence[Shape]) -> nn.Module:
        from torch import nn

        return nn.Identity()

    def kept(self, compiled: bool) -> Kept:
        return Kept(held=False)
