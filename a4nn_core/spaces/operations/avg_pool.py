"""Average pooling."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, Literal

from a4nn_core.spaces.layer import Cost, Layer, Shape
from a4nn_core.spaces.operations.base import Kept, Operation, pooled

if TYPE_CHECKING:
    from torch import nn


class AvgPool(Operation):
    """The mean of the values under the kernel, by default without those of the padding."""

    name: Literal["avg_pool"] = "avg_pool"
    words: ClassVar[tuple[str, ...]] = ("pool",)

    count_padding: bool = False
    """whether zeros of the padding count in the mean"""

    def cost(self, layer: Layer, inputs: Sequence[Shape]) -> Cost:
        return pooled(layer, inputs[0])

    def module(self, layer: Layer, inputs: Sequence[Shape]) -> nn.Module:
        from torch import nn

        return nn.AvgPool2d(
            layer.kernel, stride=layer.stride, padding=layer.padding, count_include_pad=self.count_padding
        )

    def kept(self, compiled: bool) -> Kept:
        return Kept(inputs=not compiled, held=not compiled)
