"""Max pooling."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, Literal

from a4nn_core.spaces.layer import Cost, Layer, Shape
from a4nn_core.spaces.operations.base import Kept, Operation, pooled

if TYPE_CHECKING:
    from torch import nn


class MaxPool(Operation):
    """The greatest value under the kernel."""

    name: Literal["max_pool"] = "max_pool"
    words: ClassVar[tuple[str, ...]] = ("pool",)

    ceil: bool = False
    """whether a window that reaches beyond the edge of the image counts, too"""

    def cost(self, layer: Layer, inputs: Sequence[Shape]) -> Cost:
        return pooled(layer, inputs[0], self.ceil)

    def module(self, layer: Layer, inputs: Sequence[Shape]) -> nn.Module:
        from torch import nn

        return nn.MaxPool2d(layer.kernel, stride=layer.stride, padding=layer.padding, ceil_mode=self.ceil)

    def kept(self, compiled: bool) -> Kept:
        # compiled, it keeps the indices of the greatest values
        return Kept(inputs=not compiled, held=not compiled)
