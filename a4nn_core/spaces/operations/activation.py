"""Smooth and bounded activations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from a4nn_core.spaces.layer import Cost, Layer, Shape
from a4nn_core.spaces.operations.base import Kept, Operation, elements

if TYPE_CHECKING:
    from torch import nn

Activated = Literal["relu6", "hardswish", "hardsigmoid", "silu", "sigmoid", "gelu", "elu"]


class Activation(Operation):
    """A function of each value on its own; the rectified linear unit and the hyperbolic
    tangent are the operations ``relu`` and ``tanh``."""

    name: Literal["activation"] = "activation"

    function: Activated
    """which function, in torch's words: ReLU6, Hardswish, Hardsigmoid, SiLU, Sigmoid, GELU, ELU"""

    def cost(self, layer: Layer, inputs: Sequence[Shape]) -> Cost:
        return Cost(inputs[0], elements(inputs[0]), 0)

    def module(self, layer: Layer, inputs: Sequence[Shape]) -> nn.Module:
        from torch import nn

        kinds: dict[str, type[nn.Module]] = {
            "relu6": nn.ReLU6,
            "hardswish": nn.Hardswish,
            "hardsigmoid": nn.Hardsigmoid,
            "silu": nn.SiLU,
            "sigmoid": nn.Sigmoid,
            "gelu": nn.GELU,
            "elu": nn.ELU,
        }
        return kinds[self.function]()

    def kept(self, compiled: bool) -> Kept:
        by_output = self.function == "sigmoid"
        return Kept(inputs=not (by_output or compiled), output=by_output and not compiled, held=not compiled)

    def text(self) -> str:
        return self.function
