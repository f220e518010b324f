"""An architecture as a torch module, made of the modules of its operations."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from a4nn_core.spaces.architecture import Architecture, Shape


class Network(nn.Module):
    """Runs the layers of an architecture in order.

    Input: float images, shape (batch, channels, height, width). Output: the output of the last layer; class
    scores, shape (batch, classes), if that is linear. Layers that the last one does not depend on, such as
    the decoder of an autoencoder, are computed only where ``value`` is asked for them.
    """

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        self.architecture = architecture
        self.sources = [architecture.inputs(index) for index in range(len(architecture.layers))]
        self.layers = nn.ModuleList(
            operation.module(layer, [architecture.costs[source].shape for source in sources])
            for operation, layer, sources in zip(
                architecture.operations, architecture.layers, self.sources, strict=True
            )
        )
        self._ways: dict[int, tuple[list[int], dict[int, int]]] = {}

    def forward(self, images: Tensor) -> Tensor:
        return self.value(images, len(self.sources) - 1)

    def value(self, images: Tensor, layer: int) -> Tensor:
        """The output of one layer, computed without the layers that it does not depend on.

        Args:
            images: as for the network.
            layer: index of the layer.
        """
        if layer not in self._ways:
            self._ways[layer] = self._way(layer)
        way, last_use = self._ways[layer]
        outputs: dict[int, Tensor] = {0: images}
        for index in way:
            inputs = [outputs[source] for source in self.sources[index]]
            outputs[index] = self.layers[index](*inputs)
            for source in self.sources[index]:
                if last_use[source] == index:
                    outputs.pop(source, None)
        return outputs[layer]

    def _way(self, layer: int) -> tuple[list[int], dict[int, int]]:
        """The layers that one depends on and itself, and by which of them each output is used last."""
        way = [index for index in self.architecture.behind(layer) if index]
        return way, {source: index for index in way for source in self.sources[index]}


class Function(nn.Module):
    """Module of an operation without weights.

    Args:
        function: computes the output from the list of inputs.
    """

    def __init__(self, function: Callable[[Sequence[Tensor]], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, *inputs: Tensor) -> Tensor:
        return self.function(inputs)


def count_by_torch(network: nn.Module, input_shape: Shape) -> int:
    """Floating-point operations for one image as ``torch.utils.flop_counter`` counts them: two for each
    multiply-add of convolutions and matrix products, nothing for the rest."""
    from torch.utils.flop_counter import FlopCounterMode

    counter: Any = FlopCounterMode(display=False)
    with counter:
        _run_once(network, input_shape)
    return int(counter.get_total_flops())


def _run_once(network: nn.Module, input_shape: Shape) -> None:
    # on the meta device nothing is computed: a full-size network is counted in milliseconds
    training = network.training
    parameter = next(network.parameters())
    network.eval()
    with torch.no_grad():
        network(torch.zeros(1, *input_shape, device=parameter.device))
    network.train(training)
