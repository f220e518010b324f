"""Concatenated rectified linear unit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from a4nn_core.spaces.layer import Cost, Layer, Shape
from a4nn_core.spaces.operations.base import Kept, Operation, elements

if TYPE_CHECKING:
    from torch import nn


class Crelu(Operation):
    """The positive parts of its input, and behind them those of its negative: twice as many channels (Shang
    et al., "Understanding and improving convolutional neural networks via concatenated rectified linear
    units", ICML 2016)."""

    name: Literal["crelu"] = "crelu"

    def cost(self, layer: Layer, inputs: Sequence[Shape]) -> Cost:
        channels, height, width = inputs[0]
        return Cost((2 * channels, height, width), 2 * elements(inputs[0]), 0)

    def module(self, layer: Layer, inputs: Sequence[Shape]) -> nn.Module:
        import torch
        from torch import nn

        from a4nn_core.spaces.build import Function

        both = Function(lambda given: torch.cat([given[0], -given[0]], dim=1))
        return nn.Sequential(both, nn.ReLU())

    def kept(self, compiled: bool) -> Kept:
        return Kept(output=True, held=not compiled)
