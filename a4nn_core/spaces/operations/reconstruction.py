"""How well an image was reconstructed: what an autoencoder is trained for."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from a4nn_core.spaces.layer import Cost, Layer, Shape
from a4nn_core.spaces.operations.base import Kept, Operation

if TYPE_CHECKING:
    from torch import Tensor, nn
    from torch.optim import Optimizer


class Reconstruction(Operation):
    """The mean squared difference between an image and its reconstruction. A network with this layer is
    trained for it, by Adamax, and not for the class scores: no label is used."""

    name: Literal["reconstruction"] = "reconstruction"
    takes_many: ClassVar[bool] = True
    objective: ClassVar[bool] = True

    learning_rate: float = Field(default=1e-3, gt=0)
    """learning rate of Adamax at the first step, that of Keras"""
    sees_all: bool = False
    """whether it is trained on the validation and test images, too, as XPSI is published: then its accuracies
    on them are no accuracies on new images"""

    def cost(self, layer: Layer, inputs: Sequence[Shape]) -> Cost:
        if len(inputs) != 2 or inputs[0] != inputs[1]:
            raise ValueError(f"inputs of shapes {', '.join(map(str, inputs))} are not an image and another")
        return Cost((1, 1, 1), 0, 0)

    def module(self, layer: Layer, inputs: Sequence[Shape]) -> nn.Module:
        from a4nn_core.spaces.build import Function

        return Function(_mean_square)

    def optimizer(self, parameters: Iterable[Tensor]) -> Optimizer:
        """The optimiser of a network that is trained for it."""
        from torch.optim import Adamax

        return Adamax(parameters, lr=self.learning_rate)

    def kept(self, compiled: bool) -> Kept:
        return Kept(held=False)


def _mean_square(inputs: Sequence[Tensor]) -> Tensor:
    return (inputs[0] - inputs[1]).square().mean(dim=(1, 2, 3))
