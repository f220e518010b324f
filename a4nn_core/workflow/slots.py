"""Device slots: places on the devices of this machine, each held by one worker process at a time.

A slot is a lock file in a folder that all runs of the machine share. The kernel holds the lock for as long as
the worker, or the run that started it, lives: any death frees it, and nothing is left to clean up.
"""

from __future__ import annotations

import glob
import logging
import os
import random
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from a4nn_core.commons.lock import Held, KernelLock, holder, last_holder
from a4nn_core.errors import BadInput
from a4nn_core.files import user_errors
from a4nn_core.jsonable import Json, whole
from a4nn_core.training.segment import SLOT_VARIABLE
from a4nn_core.workflow.devices import Device, discover

LOCK_FOLDER = "A4NN_LOCKS"
"""Environment variable that names the folder of the lock files; default: ``a4nn-slots`` in the machine's
folder of temporary files. Containers that share a GPU must share the folder."""

POLL_SECONDS = 0.5
log = logging.getLogger(__name__)


@dataclass
class Slot:
    """A place on a device.

    Attributes:
        device: the device.
        name: name of the slot, such as ``GPU-1b2c...#0``.
        lock: the held lock.
    """

    device: Device
    name: str
    lock: KernelLock

    @property
    def environment(self) -> dict[str, str]:
        """Variables that pin a worker to this slot."""
        return {**self.device.environment, SLOT_VARIABLE: self.name}

    def release(self) -> None:
        """Release the slot; others get it once no worker holds it either."""
        self.lock.release()


def lock_folder() -> Path:
    """The folder of the lock files; created if missing.

    Raises:
        BadInput: it cannot be created.
    """
    chosen = os.environ.get(LOCK_FOLDER)
    folder = Path(chosen) if chosen else Path(tempfile.gettempdir()) / "a4nn-slots"
    with user_errors("create the folder", folder):
        if not folder.is_dir():
            folder.mkdir(parents=True, exist_ok=True)
            folder.chmod(0o1777)  # every user of the machine has slots here, nobody removes another's
    return folder


def acquire(name: str, per_device: int, wanted: Callable[[], bool], **about: str | int | None) -> Slot | None:
    """Wait for a free slot on one of the machine's devices.

    Args:
        name: device name as ``choose_device`` returns it.
        per_device: number of slots per device.
        wanted: called now and then; when it returns False, waiting ends.
        about: facts about the holder to write into the lock file.

    Returns:
        the slot; None if ``wanted`` returned False.

    Raises:
        BadInput: there is no device of that name any more, or the lock files cannot be written.
    """
    folder = lock_folder()
    is_reported = False
    while wanted():
        devices = discover(name)
        if not devices:
            raise BadInput(f"this machine no longer has a device {name!r} to train on")
        holders = []
        for slot, device in _places(devices, per_device):
            path = folder / f"{_file(slot)}.lock"
            try:
                lock = KernelLock(path, patience=0.1, slot=slot, per_device=per_device, **about)
            except Held as error:
                holders.append(f"{slot} by {error}")
                continue
            with suppress(PermissionError):  # another user's file: its owner has done this already
                os.fchmod(lock.fileno(), 0o666)
            if not _crowded(folder, device, per_device):
                return Slot(device, slot, lock)
            lock.release()
            holders.append(f"{device.identity} used by runs with another slots_per_device")
        if not is_reported:
            is_reported = True
            log.warning("waiting for a device slot; held: %s", "; ".join(holders), extra=about)
        time.sleep(POLL_SECONDS * random.uniform(0.5, 1.5))
    return None


@dataclass(frozen=True)
class Occupancy:
    """What is known of a device from the locks of its slots.

    Attributes:
        device: name that is the same in every process of this machine, such as the UUID of a GPU.
        slots: slots that its runs give it: the fewest of those that hold it, else of the last that did.
        used: slots that are held.
    """

    device: str
    slots: int
    used: int


def occupancy() -> list[Occupancy]:
    """The devices of this machine that runs have had slots on since its lock files were made, by name. The
    CPU, on which networks are not placed, is none of them."""
    folder = Path(os.environ.get(LOCK_FOLDER) or Path(tempfile.gettempdir()) / "a4nn-slots")
    devices: dict[str, list[tuple[bool, dict[str, Json]]]] = {}
    for path in sorted(folder.glob("*#*.lock")):
        said = holder(path)
        devices.setdefault(path.stem.rpartition("#")[0], []).append(
            (said is not None, last_holder(path) if said is None else said)
        )
    return [_occupancy(name, places) for name, places in devices.items()]


def _occupancy(device: str, places: list[tuple[bool, dict[str, Json]]]) -> Occupancy:
    held = [said for is_held, said in places if is_held]
    newest = max((said for _, said in places), key=lambda said: str(said.get("since", "")))
    slots = min(whole(said.get("per_device")) or 1 for said in held or [newest])
    return Occupancy(device, max(slots, len(held)), len(held))


def _crowded(folder: Path, device: Device, per_device: int) -> bool:
    """Whether a device has more networks than the ``slots_per_device`` of one of their runs allows.

    Called while holding a slot: of two processes that come at the same time at least one sees the other, and
    if both do, both try again.
    """
    found = [holder(path) for path in folder.glob(f"{glob.escape(_file(device.identity))}#*.lock")]
    held = [said for said in found if said is not None]
    # a lock file that is just being written is unreadable: its run may want the device for itself
    return len(held) > min([per_device, *((whole(said.get("per_device")) or 1) for said in held)])


def _file(slot: str) -> str:
    return slot.replace("/", "_")


def _places(devices: list[Device], per_device: int) -> Iterator[tuple[str, Device]]:
    """Slots in the order in which they are tried: every device gets one network before any gets two."""
    for number in range(per_device):
        for device in devices:
            yield f"{device.identity}#{number}", device
