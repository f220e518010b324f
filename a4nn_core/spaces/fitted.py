"""Layers that learn by looking at the training images rather than by gradient: neighbours, ranges."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from a4nn_core.spaces.build import Network

Batches = Callable[[], Iterable[tuple[Tensor, Tensor]]]
"""Makes a pass over all training images: (images, labels) as the network takes them."""


class Fitted(nn.Module):
    """Base of such layers. What they learn is in buffers, which checkpoints keep; their sizes follow from the
    images."""

    @property
    def left_out(self) -> Tensor | None:
        """Of a layer with examples, the fraction of them that the others classify correctly."""
        return None

    def fit(self, inputs: Tensor, labels: Tensor) -> None:
        """Learn from the outputs of the layer before.

        Args:
            inputs: what it is given of all training images, shape (images, ...).
            labels: their classes, shape (images,).
        """
        raise NotImplementedError

    def _load_from_state_dict(self, state_dict: Mapping[str, Any], prefix: str, *others: Any) -> None:
        for name, buffer in self.named_buffers(recurse=False):
            kept = state_dict.get(prefix + name)
            if isinstance(kept, Tensor) and kept.shape != buffer.shape:
                setattr(self, name, torch.empty_like(kept, device=buffer.device))
        super()._load_from_state_dict(state_dict, prefix, *others)


@torch.no_grad()
def fit(network: nn.Module, batches: Batches) -> None:
    """Let the layers of a network that learn by looking look at the training images, in the order of the
    layers. Others are not touched; a network without such layers computes nothing.

    Args:
        network: in evaluation mode afterwards.
        batches: makes a pass over the training images.
    """
    if not isinstance(network, Network):
        return
    for index, layer in enumerate(network.layers):
        if isinstance(layer, Fitted):
            network.eval()
            [source] = network.sources[index]
            seen = [(network.value(images, source), labels) for images, labels in batches()]
            layer.fit(torch.cat([inputs for inputs, _ in seen]), torch.cat([labels for _, labels in seen]))


def left_out_accuracy(network: nn.Module) -> float | None:
    """Fraction of the training images that the network classified correctly without having them among its
    examples, when it last looked at them; None of a network that has no examples."""
    found = [module.left_out for module in network.modules() if isinstance(module, Fitted)]
    known = [fraction for fraction in found if fraction is not None]
    return float(known[-1]) if known else None
