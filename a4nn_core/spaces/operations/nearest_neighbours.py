"""Classes by the votes of the nearest training images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from a4nn_core.spaces.layer import Cost, Layer, Shape
from a4nn_core.spaces.operations.base import Kept, Operation

if TYPE_CHECKING:
    from torch import nn


class NearestNeighbours(Operation):
    """Scores of the classes from the votes of the training images whose codes are nearest (Euclidean
    distance, equal votes). How many vote, from 2 to 20, is chosen by leaving training images out. Its
    distances depend on how many images there are, so its cost is not counted."""

    name: Literal["nearest_neighbours"] = "nearest_neighbours"

    def cost(self, layer: Layer, inputs: Sequence[Shape]) -> Cost:
        return Cost((layer.channels, 1, 1), 0, 0)

    def module(self, layer: Layer, inputs: Sequence[Shape]) -> nn.Module:
        from a4nn_core.spaces.neighbours import Neighbours

        return Neighbours(inputs[0][0], layer.channels)

    def kept(self, compiled: bool) -> Kept:
        return Kept(held=False)

    def text(self) -> str:
        return "nearest neighbours"
