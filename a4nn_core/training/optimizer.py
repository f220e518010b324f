"""The optimisers of the weights; gradient descent without the compiler."""

from __future__ import annotations

from collections.abc import Iterable
from inspect import unwrap

import torch
from torch import Tensor
from torch.optim import SGD, Adam, Optimizer

from a4nn_core.training.settings import Training

SECOND_BETA = 0.999
"""of Adam: the usual one, and the published one of the system that restores images"""


class EagerSGD(SGD):
    """Stochastic gradient descent, as torch's, whose methods are not wrapped for the compiler.

    The wrappers keep ``torch.compile`` out of these methods. For that they import the whole compiler at their
    first call, which takes a worker nearly as long as importing torch; and the optimiser is never compiled.
    """

    add_param_group = unwrap(SGD.add_param_group)
    load_state_dict = unwrap(SGD.load_state_dict)
    state_dict = unwrap(SGD.state_dict)
    zero_grad = unwrap(SGD.zero_grad)
    step = torch.no_grad()(unwrap(SGD.step))


def optimizer(settings: Training, parameters: Iterable[Tensor]) -> Optimizer:
    """The optimiser that the settings ask for."""
    rate, decay = settings.learning_rate, settings.weight_decay
    if settings.optimizer == "adam":
        betas = (settings.momentum, SECOND_BETA)
        return Adam(parameters, lr=rate, betas=betas, weight_decay=decay)
    return EagerSGD(parameters, lr=rate, momentum=settings.momentum, weight_decay=decay)
