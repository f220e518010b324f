"""The devices of this machine, which of them a run trains on, and how many networks at the same time."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from a4nn_core.errors import BadInput
from a4nn_core.training.settings import Training

FAKE_DEVICES = "A4NN_FAKE_DEVICES"
"""Environment variable that names fake devices, to try out device slots without a GPU: names separated by
commas, or ``@`` and the path of a file that holds them. They are locked and pinned like GPUs, and compute on
the CPU."""


MOST_PER_CORE = 16
"""threads of all networks in training for each core; with more, a machine mostly changes between them"""


def cores() -> int:
    """Number of CPU cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@dataclass(frozen=True)
class Device:
    """One device that networks are placed on.

    Attributes:
        identity: name that is the same in every process of this machine, such as the UUID of a GPU.
        torch_name: torch's name for it inside a process that is pinned to it.
        environment: environment variables that pin a process to it.
    """

    identity: str
    torch_name: str
    environment: Mapping[str, str] = field(default_factory=dict)


def discover(name: str) -> list[Device]:
    """The devices that a name stands for and that are available now. Empty for the CPU and mps, where
    networks need no placing.

    Args:
        name: device name as ``choose_device`` returns it.
    """
    if name == "fake":
        return [Device(n, "cpu", {"CUDA_VISIBLE_DEVICES": n}) for n in _fakes()]
    if name.partition(":")[0] != "cuda":
        return []
    _, _, index = name.partition(":")
    return _gpus(int(index) if index else None)


def places(name: str) -> bool:
    """Whether each network must be placed on one of several devices of that name."""
    return name.partition(":")[0] in ("cuda", "fake")


def _fakes() -> list[str]:
    text = os.environ.get(FAKE_DEVICES, "")
    if text.startswith("@"):
        path = Path(text[1:])
        text = path.read_text() if path.exists() else ""
    names = [name.strip() for name in text.replace("\n", ",").split(",") if name.strip()]
    # the variable hides them as it hides GPUs, by number or by name
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is None:
        return names
    seen = [token.strip() for token in visible.split(",")]
    return [name for number, name in enumerate(names) if name in seen or str(number) in seen]


def _gpus(only: int | None) -> list[Device]:
    """The GPUs that this process may use, or one of them, by UUID: their numbers differ between processes
    that see different ones."""
    import torch

    tokens = [t.strip() for t in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if t.strip()]
    listed = _listed_by_driver()
    found = []
    for index in range(torch.cuda.device_count()) if only is None else [only]:
        token = tokens[index] if index < len(tokens) else ""
        if not token.startswith(("GPU-", "MIG-")):
            token = f"GPU-{torch.cuda.get_device_properties(index).uuid}"
        # torch counts devices once; the driver knows one that has fallen off the bus since
        if listed is None or token in listed:
            found.append(Device(token, "cuda", {"CUDA_VISIBLE_DEVICES": token}))
    return found


def gpu_memory(name: str) -> int | None:
    """Bytes of memory of the GPU of a name such as ``cuda:1``; of the largest GPU for ``cuda``. None if there
    is none any more."""
    import torch

    _, _, index = name.partition(":")
    which = [int(index)] if index else range(torch.cuda.device_count())
    return max((torch.cuda.get_device_properties(i).total_memory for i in which), default=None)


def _listed_by_driver() -> str | None:
    """The output of ``nvidia-smi -L``; None if there is no such program or it does not answer."""
    try:
        done = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, timeout=30, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if "UUID" in done.stdout else None


def _no_gpu() -> bool:
    """Whether there certainly is no GPU, found out without torch, whose import takes seconds in which the
    workers of a short search could train. Without NVIDIA's driver library and without the device file of
    AMD's driver, torch finds no GPU either."""
    if sys.platform != "linux" or Path("/dev/kfd").exists():
        return False
    try:
        ctypes.CDLL("libcuda.so.1")
    except OSError:
        return True
    return False


def choose_device(name: str) -> str:
    """The device that the setting ``training.device`` stands for.

    Args:
        name: ``auto``, or a device name of torch such as ``cuda:1``.

    Raises:
        BadInput: the machine has no such device.
    """
    if name == "auto" and _fakes():
        return "fake"
    if name == "cpu" or (name == "auto" and _no_gpu()):
        return "cpu"
    import torch

    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError:
        raise BadInput(
            f"[training] device = {name!r} is not a device; use auto, cpu, cuda, cuda:1 or mps"
        ) from None
    missing = (device.type == "cuda" and not torch.cuda.is_available()) or (
        device.type == "mps" and not torch.backends.mps.is_available()
    )
    if missing or (device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count()):
        raise BadInput(f"[training] device = {name!r}: this machine has no such device")
    return name


def choose_slots(settings: Training, device: str) -> int:
    """How many networks train at the same time: as set; otherwise on the CPU as many as its cores can give
    threads to, and on GPUs ``slots_per_device`` per GPU."""
    if settings.slots is not None:
        return settings.slots
    if places(device):
        return max(1, len(discover(device))) * settings.slots_per_device
    if device != "cpu":
        return 1
    return max(1, cores() // settings.threads) if hasattr(os, "sched_getaffinity") else 1


@dataclass(frozen=True)
class Machine:
    """What the machine on which the search loop runs offers for training.

    Attributes:
        device: device that networks train on, as ``choose_device`` returns it; the setting itself if this
            machine has no such device.
        slots: number of networks trained at the same time.
        threads: CPU threads per network.
        missing: error message if this machine has no such device, otherwise None.
    """

    device: str
    slots: int
    threads: int
    missing: str | None = None

    @classmethod
    def of(cls, settings: Training) -> Machine:
        """What this machine offers under some training settings."""
        try:
            device = choose_device(settings.device)
        except BadInput as error:
            # an executor may train on other machines, which may have the device
            return cls(settings.device, settings.slots or 1, settings.threads, missing=str(error))
        return cls(device, choose_slots(settings, device), settings.threads)

    def require_device(self) -> None:
        """Make sure that networks can train on this machine.

        Raises:
            BadInput: this machine has no such device, or far too few cores.
        """
        if self.missing is not None:
            raise BadInput(self.missing)
        together, most = self.slots * self.threads, MOST_PER_CORE * cores()
        if together > most:
            raise BadInput(
                f"[training] slots x threads = {self.slots:,} x {self.threads:,} threads on {cores()} cores "
                f"would do little else than take turns: at most {most} are allowed here, and {cores()} are "
                "fastest; lower one of the two"
            )
