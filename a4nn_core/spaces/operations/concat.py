"""Merging by concatenation of channels."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, ClassVar, Literal

from a4nn_core.spaces.layer import Cost, Layer, Shape
from a4nn_core.spaces.operations.base import Operation

if TYPE_CHECKING:
    from torch import nn


class Concat(Operation):
    """The channels of all inputs, in the order of the edges."""

    name: Literal["concat"] = "concat"
    takes_many: ClassVar[bool] = True

    def cost(self, layer: Layer, inputs: Sequence[Shape]) -> Cost:
        channels = sum(shape[0] for shape in inputs)
        return Cost((channels, *inputs[0][1:]), 0, 0)

    def module(self, layer: Layer, inputs: Sequence[Shape]) -> nn.Module:
        import torch

        from a4nn_core.spaces.build import Function

        return Function(partial(torch.cat, dim=1))
