"""The devices of this machine, which of them a run trains on, and how many networks at a time."""

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
"""Environment variable naming devices that are not there, to try out device slots without a GPU: names with
commas between, or ``@`` and a file that holds them. They are locked and pinned like GPUs, and compute on the
CPU."""


@dataclass(frozen=True)
class Device:
    """One device that networks are placed on.

    Attributes:
        identity: its name for every process of this machine, such as the UUID of a GPU.
        torch_name: its name for torch inside a process that is pinned to it.
        environment: variables that pin a process to it.
    """

    identity: str
    torch_name: str
    environment: Mapping[str, str] = field(default_factory=dict)


def discover(name: str) -> list[Device]:
    """The devices behind a resolved name, those that are there now. None for the CPU and mps, which need no
    placing.

    Args:
        name: as ``choose_device`` returns it.
    """
    if name == "fake":
        return [Device(n, "cpu", {"CUDA_VISIBLE_DEVICES": n}) for n in _fakes()]
    if name.partition(":")[0] != "cuda":
        return []
    _, _, index = name.partition(":")
    return _gpus(int(index) if index else None)


def places(name: str) -> bool:
    """Whether networks must be placed on devices of that name one by one."""
    return name.partition(":")[0] in ("cuda", "fake")


def _fakes() -> list[str]:
    text = os.environ.get(FAKE_DEVICES, "")
    if text.startswith("@"):
        path = Path(text[1:])
        text = path.read_text() if path.exists() else ""
    names = [name.strip() for name in text.replace("\n", ",").split(",") if name.strip()]
    # hidden from a process as GPUs are, by number or by name
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
    """What ``nvidia-smi -L`` says, None where there is no such program or it does not answer."""
    try:
        done = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, timeout=30, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if "UUID" in done.stdout else None


def _no_gpu() -> bool:
    """Whether there certainly is none, known without torch: importing that takes seconds, in which the
    workers of a short search could train. Without NVIDIA's driver library, or the device file of AMD's
    driver, torch finds no GPU either."""
    if sys.platform != "linux" or Path("/dev/kfd").exists():
        return False
    try:
        ctypes.CDLL("libcuda.so.1")
    except OSError:
        return True
    return False


def choose_device(name: str) -> str:
    """The device behind a setting.

    Args:
        name: ``auto``, or as torch names devices.

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
    """How many networks train at the same time: as set, else one a core's worth of threads on the CPU, and
    ``slots_per_device`` a GPU."""
    if settings.slots is not None:
        return settings.slots
    if places(device):
        return max(1, len(discover(device))) * settings.slots_per_device
    if device != "cpu":
        return 1
    return max(1, len(os.sched_getaffinity(0)) // settings.threads) if hasattr(os, "sched_getaffinity") else 1


@dataclass(frozen=True)
class Machine:
    """What the machine that searches offers for training.

    Attributes:
        device: that networks train on, as ``choose_device`` returns it; the setting as it is where this
            machine has no such device.
        slots: networks trained at the same time.
        threads: CPU threads of each.
        missing: one sentence if this machine has no such device, None if it has.
    """

    device: str
    slots: int
    threads: int
    missing: str | None = None

    @classmethod
    def of(cls, settings: Training) -> Machine:
        """This machine, under settings of training."""
        try:
            device = choose_device(settings.device)
        except BadInput as error:
            # the machines that train may have what this one has not
            return cls(settings.device, settings.slots or 1, settings.threads, missing=str(error))
        return cls(device, choose_slots(settings, device), settings.threads)

    def require_device(self) -> None:
        """Make sure that networks can train here.

        Raises:
            BadInput: this machine has no such device.
        """
        if self.missing is not None:
            raise BadInput(self.missing)
