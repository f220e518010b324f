"""The interface of an operation: all that there is to know about one kind of layer."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from a4nn_core.component import Component
from a4nn_core.spaces.layer import Cost, Layer, Shape

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class Kept:
    """What the forward step of a layer keeps for the backward step; say False where it is not certain.

    Attributes:
        inputs: its own backward step reads its inputs.
        output: its own backward step reads its output.
        held: its output is a tensor of its own that stays if a backward step reads it. Not so if it is its
            input, or if it is computed again when it is needed.
    """

    inputs: bool = False
    output: bool = False
    held: bool = True


class Operation(Component):
    """What a layer does. Its fields are those of its settings that ``Layer`` has no field for.

    To add one here, put a file into this folder that is named as the operation and holds the class, its name
    in capitals: ``avg_pool.py``, ``AvgPool``. Another package names the class in the entry point group
    ``a4nn.operations``. Nothing else needs to know. Torch is imported in ``module`` alone, so that networks
    can be decoded and their cost known without it.

    The default of a setting is never changed, and a new setting's default is what was done before: a setting
    at its default is in no hash and no record.
    """

    takes_many: ClassVar[bool] = False
    """Whether a layer may have several inputs. Their order does not count in an architecture's hash."""
    words: ClassVar[tuple[str, ...]] = ()
    """Words beside its name by which labels tell a layer inside a node: ``node 2 norm`` is drawn as part of
    ``node 2``."""

    @abstractmethod
    def cost(self, layer: Layer, inputs: Sequence[Shape]) -> Cost:
        """Shape of the output and what it costs.

        Multiply-adds are counted as the published code does by its forward hooks on torch modules, which see
        no functions: joining tensors is free.

        Args:
            layer: that does it.
            inputs: shape of each, (channels, height, width); one unless ``takes_many``.

        Raises:
            ValueError: the layer cannot do this with these inputs.
        """

    @abstractmethod
    def module(self, layer: Layer, inputs: Sequence[Shape]) -> nn.Module:
        """The torch module; called with a tensor for each input, (batch, channels, height, width).

        Args:
            layer: that does it.
            inputs: shape of each for one image.
        """

    def kept(self, compiled: bool) -> Kept:
        """What stays in memory for the backward step, at least.

        Args:
            compiled: torch compiles the network. Then what is cheap is computed again instead of kept.
        """
        return Kept(held=not compiled)

    def text(self) -> str:
        """What a picture calls a layer that has no label."""
        return self.name

    def changed(self) -> dict[str, Any]:
        """The settings that are not at their defaults, as JSON can say them; empty for most layers."""
        return self.model_dump(mode="json", exclude={"name"}, exclude_defaults=True)


def windows(side: int, layer: Layer, dilation: int = 1) -> int:
    """How many places a layer's kernel takes along one side of its input."""
    reach = dilation * (layer.kernel - 1) + 1
    return (side + 2 * layer.padding - reach) // layer.stride + 1


def elements(shape: Shape) -> int:
    """Numbers in a tensor for one image."""
    channels, height, width = shape
    return channels * height * width


def pooled(layer: Layer, shape: Shape) -> Cost:
    """The cost of pooling: one for each element of the input.

    Raises:
        ValueError: a padding of more than half the kernel, which torch does not pool with.
    """
    if 2 * layer.padding > layer.kernel:
        raise ValueError(f"padding {layer.padding} is more than half of kernel {layer.kernel}")
    channels, height, width = shape
    return Cost((channels, windows(height, layer), windows(width, layer)), elements(shape), 0)
