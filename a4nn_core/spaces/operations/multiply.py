"""Merging by a product."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, Literal

from a4nn_core.spaces.layer import Cost, Layer, Shape
from a4nn_core.spaces.operations.base import Kept, Operation

if TYPE_CHECKING:
    from torch import Tensor, nn


class Multiply(Operation):
    """The product of its inputs, such as feature maps and a weight for each of their channels. Inputs have
    equal shapes, or one value per channel."""

    name: Literal["multiply"] = "multiply"
    takes_many: ClassVar[bool] = True
    words: ClassVar[tuple[str, ...]] = ("merge",)

    def cost(self, layer: Layer, inputs: Sequence[Shape]) -> Cost:
        largest = max(inputs)
        if any(shape not in (largest, (largest[0], 1, 1)) for shape in inputs):
            raise ValueError(f"inputs of shapes {', '.join(map(str, inputs))} cannot be multiplied")
        return Cost(largest, 0, 0)

    def module(self, layer: Layer, inputs: Sequence[Shape]) -> nn.Module:
        from a4nn_core.spaces.build import Function

        return Function(_product)

    def kept(self, compiled: bool) -> Kept:
        return Kept(inputs=not compiled, held=not compiled)


def _product(inputs: Sequence[Tensor]) -> Tensor:
    product = inputs[0]
    for another in inputs[1:]:
        product = product * another
    return product
