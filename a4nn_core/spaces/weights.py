"""How the weights of a layer begin, where a search decides it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeVar

if TYPE_CHECKING:
    from torch import nn

    M = TypeVar("M", nn.Conv2d, nn.Linear)

Start = Literal["usual", "identity", "zero"]
CUT = 2.0
"""standard deviations at which normal distributions of weights are cut, as TensorFlow does"""


def begin(module: M, start: Start, mean: float = 0.0, sd: float | None = None) -> M:
    """Set the weights of a layer that was just made.

    Args:
        module: the layer; a convolution that starts as the identity has odd kernels and as many channels in
            as out, a linear layer as many numbers.
        start: see ``Conv``.
        mean, sd: of the weights; None for torch's usual weights. Biases stay as torch draws them.

    Returns:
        the same layer.
    """
    from torch import nn

    if sd is not None:
        nn.init.trunc_normal_(module.weight, mean, sd, mean - CUT * sd, mean + CUT * sd)
    if start == "usual":
        return module
    if module.bias is not None:
        nn.init.zeros_(module.bias)
    usual = module.weight.detach().clone()
    if start == "zero":
        nn.init.zeros_(module.weight)
    elif isinstance(module, nn.Conv2d):
        nn.init.dirac_(module.weight, module.groups)
        # channels that there is no input for: with zeros, and nothing that reads them, they would never learn
        module.weight.data[module.in_channels :] = usual[module.in_channels :]
    else:
        nn.init.eye_(module.weight)
    return module
