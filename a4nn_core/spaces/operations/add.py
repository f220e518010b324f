"""Merging by a sum."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, Literal

from a4nn_core.spaces.layer import Cost, Layer, Shape
from a4nn_core.spaces.operations.base import Operation

if TYPE_CHECKING:
    from torch import Tensor, nn


class Add(Operation):
    """The sum of its inputs, which have equal shapes."""

    name: Literal["add"] = "add"
    takes_many: ClassVar[bool] = True
    words: ClassVar[tuple[str, ...]] = ("merge",)

    def cost(self, layer: Layer, inputs: Sequence[Shape]) -> Cost:
        if len(set(inputs)) > 1:
            raise ValueError(f"inputs of shapes {', '.join(map(str, inputs))} cannot be added")
        return Cost(inputs[0], 0, 0)

    def module(self, layer: Layer, inputs: Sequence[Shape]) -> nn.Module:
        from a4nn_core.spaces.build import Function

        return Function(_total)


def _total(inputs: Sequence[Tensor]) -> Tensor:
    total = inputs[0]
    for another in inputs[1:]:
        total = total + another
    return total
