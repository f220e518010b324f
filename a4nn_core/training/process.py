"""What training needs of the process and the device that it runs in."""

from __future__ import annotations

import gc
import platform
import resource
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from a4nn_core.commons.lock import Held, KernelLock
from a4nn_core.errors import BadInput
from a4nn_core.training.memory import Need, check_room, machine_memory
from a4nn_core.training.segment import Segment


@contextmanager
def only_one(path: Path, device: str) -> Iterator[None]:
    """Hold a lock that the kernel frees at any death, so that no two processes train one network.

    Args:
        path: of the lock file.
        device: that the network trains on, for people.

    Raises:
        BadInput: another process holds it.
    """
    try:
        lock = KernelLock(path, patience=10.0, device=device)
    except Held as error:
        # not the network's fault: the run ends, and goes on when the other one has ended
        raise BadInput(f"this network is being trained by {error}, which holds {path}") from None
    try:
        yield
    finally:
        lock.release()


def check_fits(segment: Segment, images: int, device: torch.device) -> None:
    """Refuse a network that certainly does not fit: on a work pool the machine that searches cannot know.

    Args:
        segment: of the network.
        images: for training.
        device: that it shall train on.

    Raises:
        BadInput: it needs more memory than there is.
    """
    on_gpu = device.type == "cuda"
    check_room(
        f"network {segment.network}",
        Need.of(segment.architecture, segment.training, images, device.type),
        f"{torch.cuda.get_device_name(device)} on {platform.node()}" if on_gpu else platform.node(),
        torch.cuda.get_device_properties(device).total_memory if on_gpu else machine_memory(),
        lower=["training.batch_size", "the search space"],
    )


def choose_algorithms(deterministic: bool, compiled: bool) -> None:
    """Deterministic ones where torch has them, and a warning where it has not.

    ``use_deterministic_algorithms`` tells the compiler, too, and loads the whole of it for that, which takes
    nearly as long as loading torch.
    """
    torch.set_deterministic_debug_mode("warn" if deterministic else "default")
    if compiled:
        torch.use_deterministic_algorithms(deterministic, warn_only=True)


def out_of_memory(error: Exception) -> bool:
    """Whether the device, or the machine, had not enough memory."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    # torch has no class of its own for the memory of the CPU
    text = str(error)
    return isinstance(error, RuntimeError) and "DefaultCPUAllocator" in text and "memory" in text


def give_memory_back(device: torch.device) -> None:
    """Let go of what an attempt that failed has left."""
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()


def peak_memory(device: torch.device) -> int:
    """Bytes: of the GPU's memory since the start of the process, or of the process on the CPU."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
