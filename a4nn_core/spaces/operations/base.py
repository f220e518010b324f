"""The interface of an operation, which declares all facts about one kind of layer."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from a4nn_core.component import Component
from a4nn_core.spaces.layer import Cost, Layer, Shape

if TYPE_CHECKING:
    from torch import Tensor, nn
    from torch.optim import Optimizer


@dataclass(frozen=True)
class Kept:
    """What the forward step of a layer keeps for the backward step; False where it is not certain.

    Attributes:
        inputs: whether its own backward step reads its inputs.
        output: whether its own backward step reads its output.
        held: whether its output is a separate tensor that is kept if a backward step reads it; False if it is
            the input itself, or is recomputed when needed.
    """

    inputs: bool = False
    output: bool = False
    held: bool = True


class Operation(Component):
    """The operation of a layer. Its fields are the settings that ``Layer`` has no field for.

    To add one here, put a file into this folder with the operation's name and the class of that name in
    CamelCase: ``avg_pool.py``, ``AvgPool``. Another package names the class in the entry point group
    ``a4nn.operations``. No other edit is needed. Torch is imported in ``module`` alone, so that networks can
    be decoded and their costs computed without it.

    The default of a setting must never change, and a new setting's default must be what was done before: a
    setting at its default is in no hash and no record.
    """

    takes_many: ClassVar[bool] = False
    """Whether a layer may have several inputs. Their order does not count in an architecture's hash."""
    objective: ClassVar[bool] = False
    """Whether its output, one number for each image, is what the network is trained to minimise, instead of
    the cross entropy of its class scores. Such an operation has a method ``optimizer``."""
    makes_images: ClassVar[bool] = False
    """Whether a network that ends with it restores images instead of classifying them."""
    words: ClassVar[tuple[str, ...]] = ()
    """Words beside its name that mark a layer as part of a node in labels: ``node 2 norm`` is drawn as part
    of ``node 2``."""

    @abstractmethod
    def cost(self, layer: Layer, inputs: Sequence[Shape]) -> Cost:
        """Output shape and cost of a layer.

        Multiply-adds are counted as the published code counts them with forward hooks on torch modules, which
        do not see functions: merging tensors is free.

        Args:
            layer: the layer.
            inputs: shape of each input, (channels, height, width); one unless ``takes_many``.

        Raises:
            ValueError: the operation cannot be applied to these inputs.
        """

    @abstractmethod
    def module(self, layer: Layer, inputs: Sequence[Shape]) -> nn.Module:
        """The torch module; called with one tensor per input, shape (batch, channels, height, width).

        Args:
            layer: the layer.
            inputs: shape of each input for one image, (channels, height, width).
        """

    def kept(self, compiled: bool) -> Kept:
        """What certainly stays in memory for the backward step.

        Args:
            compiled: whether torch compiles the network; then cheap results are recomputed instead of kept.
        """
        return Kept(held=not compiled)

    def optimizer(self, parameters: Iterable[Tensor]) -> Optimizer:
        """The optimiser of a network that is trained to minimise its output; see ``objective``."""
        raise NotImplementedError(f"no network is trained to minimise the output of {self.name}")

    def text(self) -> str:
        """Text for a layer without a label in pictures."""
        return self.name

    def changed(self) -> dict[str, Any]:
        """The settings that are not at their defaults, as JSON values; empty for most layers."""
        return self.model_dump(mode="json", exclude={"name"}, exclude_defaults=True)


def windows(side: int, layer: Layer, dilation: int = 1, ceil: bool = False) -> int:
    """Number of positions of a layer's kernel along one side of its input.

    Args:
        side: length of the side in pixels.
        layer: the layer.
        dilation: distance between the pixels that the kernel reads.
        ceil: whether a last window that reaches beyond the edge counts, as in torch: it must begin inside the
            image or its padding at the left.
    """
    reach = dilation * (layer.kernel - 1) + 1
    room = side + 2 * layer.padding - reach
    if not ceil:
        return room // layer.stride + 1
    positions = -(-room // layer.stride) + 1
    return positions - ((positions - 1) * layer.stride >= side + layer.padding)


def elements(shape: Shape) -> int:
    """Number of elements of a tensor for one image."""
    channels, height, width = shape
    return channels * height * width


def pooled(layer: Layer, shape: Shape, ceil: bool = False) -> Cost:
    """The cost of pooling: one operation per element of the input. ``ceil`` as for ``windows``.

    Raises:
        ValueError: the padding is more than half of the kernel, which torch does not allow.
    """
    if 2 * layer.padding > layer.kernel:
        raise ValueError(f"padding {layer.padding} is more than half of kernel {layer.kernel}")
    channels, height, width = shape
    high, wide = (windows(side, layer, ceil=ceil) for side in (height, width))
    return Cost((channels, high, wide), elements(shape), 0)
