"""How the published code counts multiply-adds, to compare with: torch is run and asked, no graph is read."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from a4nn_core.spaces.layer import Shape


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
            case nn.BatchNorm2d() | nn.BatchNorm1d():
                total += 2 * inputs[0][0].numel()
            case nn.ReLU() | nn.Tanh() | nn.Hardswish() | nn.Hardsigmoid() | nn.Sigmoid() | nn.SiLU():
                total += output[0].numel()
            case nn.MaxPool2d() | nn.AvgPool2d() | nn.AdaptiveAvgPool2d():
                total += inputs[0][0].numel()
            case nn.Linear():
                total += module.weight.numel()

    hooks = [module.register_forward_hook(count) for module in network.modules()]
    # on the meta device nothing is computed: a full-size network is counted in milliseconds
    training = network.training
    network.eval()
    with torch.no_grad():
        network(torch.zeros(1, *input_shape, device=next(network.parameters()).device))
    network.train(training)
    for hook in hooks:
        hook.remove()
    return total
