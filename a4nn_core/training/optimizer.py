"""The optimiser of the weights, without the compiler."""

from __future__ import annotations

from inspect import unwrap

import torch
from torch.optim import SGD


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
