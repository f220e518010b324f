"""Checkpoints: the network that was measured, and everything that training needs to continue bit for bit, in
one safetensors file.

Tensors are the file's tensors: ``model.*`` the weights and statistics that were measured, ``training.*``
those that training continues from if they differ, the optimiser's state, the states of the random number
generators. Everything else (scheduler, optimiser settings, epoch) is JSON in its header. Nothing is ever
unpickled.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from a4nn_core.errors import A4NNError
from a4nn_core.files import atomic_write_bytes
from a4nn_core.training.evaluation import EvaluatedNetwork


def checkpoint_name(epoch: int) -> str:
    """File name of the checkpoint after an epoch."""
    return f"epoch-{epoch:04d}.safetensors"


def save_checkpoint(
    path: Path,
    epoch: int,
    model: nn.Module,
    optimizer: Optimizer,
    scheduler: LRScheduler,
    measured: EvaluatedNetwork,
) -> str:
    """Write a checkpoint atomically.

    Args:
        path: path of the file.
        epoch: number of the epoch after which it is written, from 1.
        model, optimizer, scheduler: the network in training, its optimiser and its scheduler.
        measured: the network that was measured after this epoch.

    Returns:
        SHA-256 of the file, hexadecimal.

    Raises:
        BadInput: the file cannot be written; an existing file is unchanged.
    """
    kept = measured.network.state_dict()
    tensors: dict[str, Tensor] = {f"model.{name}": value for name, value in kept.items()}
    for name, value in model.state_dict().items():
        if not torch.equal(value, kept[name]):
            tensors[f"training.{name}"] = value
    state = optimizer.state_dict()
    plain: dict[str, dict[str, object]] = {}
    for index, entries in state["state"].items():
        for name, value in entries.items():
            if isinstance(value, Tensor):
                tensors[f"optimizer.{index}.{name}"] = value
            else:
                plain.setdefault(str(index), {})[name] = value
    tensors["random.cpu"] = torch.get_rng_state()
    device = next(model.parameters()).device
    if device.type == "cuda":
        tensors["random.cuda"] = torch.cuda.get_rng_state(device)
    header = {
        "epoch": epoch,
        "optimizer": {"groups": state["param_groups"], "state": plain},
        "scheduler": scheduler.state_dict(),
        **({"averaged_steps": measured.steps} if measured.steps else {}),
    }
    data = save(
        {name: value.detach().cpu().contiguous() for name, value in tensors.items()},
        metadata={"a4nn": json.dumps(header)},
    )
    atomic_write_bytes(path, data)
    return hashlib.sha256(data).hexdigest()


def load_network(path: Path, model: nn.Module) -> None:
    """Load the weights and statistics that were measured into a network.

    Raises:
        A4NNError: the file is damaged or missing.
    """
    model.load_state_dict(network_tensors(path))


def network_tensors(path: Path) -> dict[str, Tensor]:
    """The weights and statistics that were measured, by their names in the network.

    Raises:
        A4NNError: the file is damaged or missing.
    """
    _, tensors = _read(path)
    return below("model.", tensors)


def resume_training(
    path: Path,
    model: nn.Module,
    optimizer: Optimizer,
    scheduler: LRScheduler,
    measured: EvaluatedNetwork,
) -> None:
    """Load a checkpoint's state into a training and the random number generators.

    Raises:
        A4NNError: the file is damaged or missing.
    """
    header, tensors = _read(path)
    kept = below("model.", tensors)
    # the measured network first: it can share some or all of its tensors with the trained one
    measured.network.load_state_dict(kept)
    measured.steps = int(header.get("averaged_steps", 0))
    model.load_state_dict(kept | below("training.", tensors))
    state: dict[int, dict[str, object]] = {
        int(index): dict(values) for index, values in header["optimizer"]["state"].items()
    }
    for name, value in below("optimizer.", tensors).items():
        index, key = name.split(".", 1)
        state.setdefault(int(index), {})[key] = value
    optimizer.load_state_dict({"state": state, "param_groups": header["optimizer"]["groups"]})
    scheduler.load_state_dict(header["scheduler"])
    torch.set_rng_state(tensors["random.cpu"])
    if "random.cuda" in tensors:
        torch.cuda.set_rng_state(tensors["random.cuda"], next(model.parameters()).device)


def _read(path: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    try:
        with safe_open(path, framework="pt") as file:
            header = json.loads(file.metadata()["a4nn"])
            tensors: dict[str, Tensor] = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
        raise A4NNError(f"checkpoint {path} cannot be read: {error}") from error
    return header, tensors


def below(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors whose names begin with a prefix, by the rest of their names."""
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
