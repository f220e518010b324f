"""Checkpoints: everything a network needs to go on bit for bit, in one safetensors file.

Tensors (weights, optimiser state, random number states) are the file's tensors; everything else (scheduler,
optimiser settings, epoch) is JSON in its header. Nothing is ever unpickled.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from a4nn_core.errors import A4NNError
from a4nn_core.files import write_whole


def checkpoint_name(epoch: int) -> str:
    """File name of the checkpoint after an epoch."""
    return f"epoch-{epoch:04d}.safetensors"


def save_checkpoint(
    path: Path, epoch: int, model: nn.Module, optimizer: Optimizer, scheduler: LRScheduler
) -> str:
    """Write a checkpoint atomically.

    Returns:
        SHA-256 of the file, hexadecimal.

    Raises:
        BadInput: the file cannot be written; what was there before is untouched.
    """
    tensors: dict[str, Tensor] = {f"model.{name}": value for name, value in model.state_dict().items()}
    state = optimizer.state_dict()
    plain: dict[str, dict[str, Any]] = {}
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
    }
    data = save(
        {name: value.detach().cpu().contiguous() for name, value in tensors.items()},
        metadata={"a4nn": json.dumps(header)},
    )
    write_whole(path, data)
    return hashlib.sha256(data).hexdigest()


def load_checkpoint(
    path: Path,
    model: nn.Module,
    optimizer: Optimizer | None = None,
    scheduler: LRScheduler | None = None,
) -> int:
    """Put a checkpoint's state into a model, and into its optimiser, scheduler and the random number
    generators if given.

    Returns:
        the epoch after which it was written.

    Raises:
        A4NNError: the file is damaged or missing.
    """
    try:
        with safe_open(path, framework="pt") as file:
            header = json.loads(file.metadata()["a4nn"])
            tensors: dict[str, Tensor] = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
        raise A4NNError(f"checkpoint {path} cannot be read: {error}") from error
    model.load_state_dict(
        {name.removeprefix("model."): value for name, value in tensors.items() if name.startswith("model.")}
    )
    if optimizer is not None:
        state: dict[int, dict[str, Any]] = {
            int(index): dict(values) for index, values in header["optimizer"]["state"].items()
        }
        for name, value in tensors.items():
            if name.startswith("optimizer."):
                _, index, key = name.split(".", 2)
                state.setdefault(int(index), {})[key] = value
        optimizer.load_state_dict({"state": state, "param_groups": header["optimizer"]["groups"]})
    if scheduler is not None:
        scheduler.load_state_dict(header["scheduler"])
        torch.set_rng_state(tensors["random.cpu"])
        if "random.cuda" in tensors:
            torch.cuda.set_rng_state(tensors["random.cuda"], next(model.parameters()).device)
    return int(header["epoch"])
