"""An architecture as a torch module. The one place where the graph meets torch."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from a4nn_core.spaces.architecture import Architecture, Layer, Shape


class Network(nn.Module):
    """Runs the layers of an architecture in order.

    Input: float images, shape (batch, channels, height, width). Output: class scores, (batch, classes).
    """

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        self.architecture = architecture
        self.sources = [architecture.inputs(index) for index in range(len(architecture.layers))]
        self.layers = nn.ModuleList(
            _module(layer, [architecture.costs[source].shape for source in self.sources[index]])
            for index, layer in enumerate(architecture.layers)
        )
        self.last_use = [
            max((t for s, t in architecture.edges if s == index), default=len(architecture.layers))
            for index in range(len(architecture.layers))
        ]

    def forward(self, images: Tensor) -> Tensor:
        outputs: dict[int, Tensor] = {0: images}
        for index in range(1, len(self.sources)):
            inputs = [outputs[source] for source in self.sources[index]]
            outputs[index] = self.layers[index](torch.cat(inputs, dim=1) if len(inputs) > 1 else inputs[0])
            for source in self.sources[index]:
                if self.last_use[source] == index:
                    outputs.pop(source, None)
        return outputs[len(self.sources) - 1]


def _module(layer: Layer, sources: list[Shape]) -> nn.Module:
    match layer.op:
        case "conv":
            return nn.Conv2d(
                sources[0][0],
                layer.channels,
                layer.kernel,
                stride=layer.stride,
                padding=layer.padding,
                bias=layer.bias,
            )
        case "batch_norm":
            return nn.BatchNorm2d(layer.channels)
        case "relu":
            return nn.ReLU()
        case "max_pool":
            return nn.MaxPool2d(layer.kernel, stride=layer.stride)
        case "global_average_pool":
            return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
        case "linear":
            channels, height, width = sources[0]
            return nn.Linear(channels * height * width, layer.channels, bias=layer.bias)
        case "input" | "concat" | "identity":
            return nn.Identity()
    raise AssertionError(layer.op)


def count_by_hooks(network: nn.Module, input_shape: Shape) -> int:
    """Multiply-adds for one image, counted on the built module by forward hooks as the published code does.

    Args:
        network: a module made of the layer types that ``Network`` uses.
        input_shape: (channels, height, width).
    """
    total = 0

    def count(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        nonlocal total
        match module:
            case nn.Conv2d():
                bias = 0 if module.bias is None else output[0].numel()
                total += module.weight.numel() * output.shape[2] * output.shape[3] + bias
            case nn.BatchNorm2d():
                total += 2 * inputs[0][0].numel()
            case nn.ReLU():
                total += output[0].numel()
            case nn.MaxPool2d() | nn.AdaptiveAvgPool2d():
                total += inputs[0][0].numel()
            case nn.Linear():
                total += module.weight.numel()

    hooks = [module.register_forward_hook(count) for module in network.modules()]
    _run_once(network, input_shape)
    for hook in hooks:
        hook.remove()
    return total


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
