"""Weights that a network takes over from a checkpoint of another one before its first epoch."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

from a4nn_core.errors import A4NNError
from a4nn_core.spaces.architecture import Architecture
from a4nn_core.spaces.build import Network
from a4nn_core.spaces.inheritance import Channels, Taken, is_depthwise, taken
from a4nn_core.training.checkpoint import below, network_tensors
from a4nn_core.training.segment import Inheritance


def inherit(model: Network, what: Inheritance, commons: Path, seed: int) -> None:
    """Give a new network the weights of its parent, those that were measured after its last epoch.

    Args:
        model: the network, with the weights of its own seed.
        what: where weights are taken from.
        commons: folder of the commons.
        seed: decides which channels the new ones of a wider layer are copies of.

    Raises:
        A4NNError: the checkpoint is missing, damaged or not the one that was recorded.
    """
    path = commons / what.checkpoint
    try:
        found = hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise A4NNError(f"the weights of network {what.network} cannot be inherited: {error}") from error
    if found != what.sha256:
        raise A4NNError(
            f"the weights of network {what.network} cannot be inherited: {path} is not the recorded file"
        )
    take_over(model, what.architecture, network_tensors(path), what.morph, seed)


def take_over(
    model: Network, parent: Architecture, tensors: Mapping[str, Tensor], morph: bool, seed: int
) -> list[Taken]:
    """Copy the weights that correspond into a network.

    Args:
        model: the network.
        parent: architecture of the network that the weights are from.
        tensors: its state.
        morph: as for ``taken``.
        seed: as for ``inherit``.

    Returns:
        what was taken over.
    """
    generator = torch.Generator().manual_seed(seed)
    child = model.architecture
    found = taken(child, parent, morph)
    with torch.no_grad():
        for one in found:
            theirs = below(f"layers.{one.source}.", tensors)
            mixes = child.layers[one.layer].op in ("conv", "linear") and not is_depthwise(child, one.layer)
            for name, mine in model.layers[one.layer].state_dict(keep_vars=False).items():
                value = theirs[name]
                if one.outputs is not None and one.inputs is not None and value.dim():
                    inputs = one.inputs if mixes and value.dim() > 1 else None
                    value = _widened(value, mine, inputs, one.outputs, mixes, generator)
                mine.copy_(value)
    return found


def _widened(
    theirs: Tensor,
    fresh: Tensor,
    inputs: Channels | None,
    outputs: Sequence[int | None],
    mixes: bool,
    generator: torch.Generator,
) -> Tensor:
    """A tensor of a layer whose channels are others than those of the parent's layer.

    Args:
        theirs: the parent's tensor, shape (outputs, inputs, ...) or (outputs,).
        fresh: the child's, as it was initialised.
        inputs: channels that correspond; weights that read others are 0. None if the tensor has none.
        outputs: channels that correspond; the others copy random ones, or stay fresh if the layer does not
            mix channels.
        mixes: whether it does.
        generator: chooses what is copied.
    """
    known = [channel for channel in outputs if channel is not None]
    rows = []
    for place, channel in enumerate(outputs):
        if channel is None and not (mixes and known):
            rows.append(fresh[place].cpu())
            continue
        if channel is None:
            channel = known[int(torch.randint(len(known), (1,), generator=generator))]
        row = theirs[channel]
        if inputs is not None:
            kept = torch.zeros(len(inputs), *row.shape[1:], dtype=row.dtype)
            places = [i for i, source in enumerate(inputs) if source is not None]
            kept[places] = row[[source for source in inputs if source is not None]]
            row = kept
        rows.append(row)
    return torch.stack(rows)
