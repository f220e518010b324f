"""What training does to its process and its device: locks, algorithms, memory."""

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
    """Hold a kernel lock, so that no two processes train the same network.

    Args:
        path: path of the lock file.
        device: device that the network trains on, noted in the lock file.

    Raises:
        BadInput: another process holds it.
    """
    try:
        lock = KernelLock(path, patience=10.0, device=device)
    except Held as error:
        # not the network's fault: the run ends, and can be resumed when the other process has ended
        raise BadInput(f"this network is being trained by {error}, which holds {path}") from None
    try:
        yield
    finally:
        lock.release()


def check_fits(segment: Segment, images: int, device: torch.device) -> None:
    """Refuse a network that certainly does not fit; the search cannot check this for machines of a work pool.

    Args:
        segment: segment to train.
        images: number of training images.
        device: device to train on.

    Raises:
        BadInput: it needs more memory than the device has.
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
    """Choose deterministic algorithms where torch has them; torch warns where it has none.

    ``use_deterministic_algorithms`` also configures the compiler, and imports all of it for that, which takes
    nearly as long as importing torch.
    """
    torch.set_deterministic_debug_mode("warn" if deterministic else "default")
    if compiled:
        torch.use_deterministic_algorithms(deterministic, warn_only=True)


def out_of_memory(error: Exception) -> bool:
    """Whether the error says that the device or the machine ran out of memory."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    # torch has no exception class for the memory of the CPU
    text = str(error)
    return isinstance(error, RuntimeError) and "DefaultCPUAllocator" in text and "memory" in text


def give_memory_back(device: torch.device) -> None:
    """Free the memory that a failed attempt has left."""
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()


def peak_memory(device: torch.device) -> int:
    """Peak memory in bytes since the start of the process: of the GPU, or of the process on the CPU."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
