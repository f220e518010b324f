"""A fully connected layer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from a4nn_core.spaces.layer import Cost, Layer, Shape
from a4nn_core.spaces.operations.base import Kept, Operation, elements
from a4nn_core.spaces.weights import Start

if TYPE_CHECKING:
    from torch import nn


class Linear(Operation):
    """Every output is a weighted sum of all inputs. Its input is flat: shape (batch, numbers)."""

    name: Literal["linear"] = "linear"

    start: Start = "usual"
    """weights before training, as for ``conv``"""
    weight_mean: float = Field(default=0.0, allow_inf_nan=False)
    """mean of the weights before training, if weight_sd is given"""
    weight_sd: float | None = Field(default=None, ge=0, allow_inf_nan=False)
    """standard deviation of the weights before training, as for ``conv``"""

    def cost(self, layer: Layer, inputs: Sequence[Shape]) -> Cost:
        if self.start == "identity" and elements(inputs[0]) != layer.channels:
            raise ValueError(
                f"{elements(inputs[0])} to {layer.channels} numbers cannot start as the identity"
            )
        weights = elements(inputs[0]) * layer.channels
        return Cost((layer.channels, 1, 1), weights, weights + (layer.channels if layer.bias else 0))

    def module(self, layer: Layer, inputs: Sequence[Shape]) -> nn.Module:
        from torch import nn

        from a4nn_core.spaces.weights import begin

        made = nn.Linear(elements(inputs[0]), layer.channels, bias=layer.bias)
        return begin(made, self.start, self.weight_mean, self.weight_sd)

    def kept(self, compiled: bool) -> Kept:
        return Kept(inputs=not compiled, held=not compiled)
