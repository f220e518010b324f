"""Stochastic depth."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from a4nn_core.spaces.layer import Cost, Layer, Shape
from a4nn_core.spaces.operations.base import Kept, Operation

if TYPE_CHECKING:
    from torch import nn


class StochasticDepth(Operation):
    """In training, sets all values of an image to 0 at random and scales up those of other images: a branch
    that is added to a shortcut is left out (Huang et al. 2016, "Deep networks with stochastic depth", arXiv
    1603.09382)."""

    name: Literal["stochastic_depth"] = "stochastic_depth"

    rate: float = Field(ge=0, lt=1)
    """fraction of the images for which the branch is left out"""

    def cost(self, layer: Layer, inputs: Sequence[Shape]) -> Cost:
        return Cost(inputs[0], 0, 0)

    def module(self, layer: Layer, inputs: Sequence[Shape]) -> nn.Module:
        from torchvision.ops import StochasticDepth

        module: nn.Module = StochasticDepth(self.rate, mode="row")
        return module

    def kept(self, compiled: bool) -> Kept:
        return Kept(held=not compiled and self.rate > 0)

    def text(self) -> str:
        return f"stochastic depth {self.rate:g}"
