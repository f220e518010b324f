"""A fixed permutation of the channels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from a4nn_core.component import Unit
from a4nn_core.spaces.layer import Cost, Layer, Shape
from a4nn_core.spaces.operations.base import Operation

if TYPE_CHECKING:
    from torch import Tensor, nn


class ChannelShuffle(Operation):
    """Takes the channels of several groups in turn, so that later groups see all of them (Zhang et al. 2018,
    "ShuffleNet", arXiv 1707.01083)."""

    name: Literal["channel_shuffle"] = "channel_shuffle"

    groups: Annotated[int, Unit("groups")] = Field(default=2, ge=1)
    """number of groups"""

    def cost(self, layer: Layer, inputs: Sequence[Shape]) -> Cost:
        if inputs[0][0] % self.groups:
            raise ValueError(f"{inputs[0][0]} channels cannot be divided into {self.groups} groups")
        return Cost(inputs[0], 0, 0)

    def module(self, layer: Layer, inputs: Sequence[Shape]) -> nn.Module:
        from a4nn_core.spaces.build import Function

        channels, height, width = inputs[0]
        groups = self.groups

        # nn.ChannelShuffle has no ONNX form
        def shuffled(given: Sequence[Tensor]) -> Tensor:
            by_group = given[0].reshape(-1, groups, channels // groups, height, width)
            return by_group.transpose(1, 2).reshape(-1, channels, height, width)

        return Function(shuffled)

    def text(self) -> str:
        return "shuffle channels"
