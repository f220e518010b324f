"""Which device a run trains on, and how many networks at a time."""

from __future__ import annotations

import os

from a4nn_core.errors import BadInput
from a4nn_core.training.settings import Training


def choose_device(name: str) -> str:
    """The device behind a setting.

    Args:
        name: ``auto``, or as torch names devices.

    Raises:
        BadInput: the machine has no such device.
    """
    import torch

    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError:
        raise BadInput(
            f"[training] device = {name!r} is no device; use auto, cpu, cuda, cuda:1 or mps"
        ) from None
    missing = (device.type == "cuda" and not torch.cuda.is_available()) or (
        device.type == "mps" and not torch.backends.mps.is_available()
    )
    if missing or (device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count()):
        raise BadInput(f"[training] device = {name!r}: this machine has no such device")
    return name


def choose_slots(settings: Training, device: str) -> int:
    """How many networks train at the same time: as set, else one a core's worth of threads on the CPU, one on
    a GPU."""
    if settings.slots is not None:
        return settings.slots
    if device != "cpu":
        return 1
    return max(1, len(os.sched_getaffinity(0)) // settings.threads) if hasattr(os, "sched_getaffinity") else 1
