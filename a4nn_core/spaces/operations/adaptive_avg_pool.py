"""Average pooling to a given size."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field

from a4nn_core.component import Unit
from a4nn_core.spaces.layer import Cost, Layer, Shape
from a4nn_core.spaces.operations.base import Operation, elements

if TYPE_CHECKING:
    from torch import nn


class AdaptiveAvgPool(Operation):
    """Means over windows that divide the input evenly, whatever its size. Unlike ``global_average_pool`` its
    output is still an image."""

    name: Literal["adaptive_avg_pool"] = "adaptive_avg_pool"
    words: ClassVar[tuple[str, ...]] = ("pool",)

    side: Annotated[int, Unit("pixels")] = Field(default=1, ge=1)
    """height and width of the output, in pixels"""

    def cost(self, layer: Layer, inputs: Sequence[Shape]) -> Cost:
        return Cost((inputs[0][0], self.side, self.side), elements(inputs[0]), 0)

    def module(self, layer: Layer, inputs: Sequence[Shape]) -> nn.Module:
        from torch import nn

        return nn.AdaptiveAvgPool2d(self.side)

    def text(self) -> str:
        return f"pool to {self.side} x {self.side}"
