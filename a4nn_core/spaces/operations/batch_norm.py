"""Batch normalisation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from a4nn_core.spaces.layer import Cost, Layer, Shape
from a4nn_core.spaces.operations.base import Kept, Operation, elements

if TYPE_CHECKING:
    from torch import nn


class BatchNorm(Operation):
    """Normalises every channel to mean 0 and variance 1 over the batch; scale and shift are learned."""

    name: Literal["batch_norm"] = "batch_norm"
    words: ClassVar[tuple[str, ...]] = ("norm",)

    eps: float = Field(default=1e-5, gt=0)
    """added to the variance"""
    momentum: float = Field(default=0.1, gt=0, le=1)
    """weight of the newest batch in the running statistics"""
    start: Literal["usual", "identity"] = "usual"
    """identity for statistics with which, until it is trained, it passes its input on where it is measured"""
    flat: bool = False
    """whether its input is flat: shape (batch, numbers), each number normalised for itself"""

    def cost(self, layer: Layer, inputs: Sequence[Shape]) -> Cost:
        return Cost(inputs[0], 2 * elements(inputs[0]), 2 * inputs[0][0])

    def module(self, layer: Layer, inputs: Sequence[Shape]) -> nn.Module:
        from torch import nn

        made = (nn.BatchNorm1d if self.flat else nn.BatchNorm2d)(
            layer.channels, eps=self.eps, momentum=self.momentum
        )
        if self.start == "identity":
            # what is divided by is the square root of variance + eps
            assert made.running_var is not None
            made.running_var.fill_(1 - made.eps)
        return made

    def kept(self, compiled: bool) -> Kept:
        return Kept(inputs=True, held=not compiled)
