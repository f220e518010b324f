"""Energy that a device uses, from the device's own counters: no power is sampled.

A GPU's counter is NVML's ``nvmlDeviceGetTotalEnergyConsumption``, in millijoules since the driver was loaded
(Volta and newer; a MIG slice has none). The tests of this package never read it on a GPU. A CPU's counters
are those of the kernel's powercap framework, in microjoules (Documentation/power/powercap/powercap.rst): one
per CPU package, without memory and the rest of the machine. They wrap at ``max_energy_range_uj``, and only
root may read them unless the machine's owner allows more.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

POWERCAP = Path("/sys/class/powercap")
TICK_SECONDS = 10.0
GREATEST_WATTS = 2000.0
"""Upper limit of the power of a GPU or CPU package: a greater difference means that a counter was reset. It
also bounds how soon a counter of a known range can wrap twice."""


class Unmeasurable(Exception):
    """There is no counter that can be read; the message says why."""


@dataclass(frozen=True)
class Counter:
    """An energy counter that only grows.

    Attributes:
        read: returns its count.
        joules: joules per count.
        wraps_at: greatest count, after which it starts from 0; None if it never wraps.
    """

    read: Callable[[], int]
    joules: float
    wraps_at: int | None = None


class Meter:
    """Adds up the energy that counters report between two laps.

    Args:
        counters: counters of one device; if empty, nothing is measured.
        clock: returns a time in seconds.
    """

    def __init__(self, counters: Sequence[Counter], clock: Callable[[], float] = time.monotonic) -> None:
        self._counters = counters
        self._clock = clock
        self._last: list[int] | None = None
        self._when = 0.0
        self._sum: float | None = None

    def tick(self) -> None:
        """Must be called now and then, so that no counter wraps unnoticed."""
        if self._counters and self._clock() - self._when >= TICK_SECONDS:
            self._look()

    def lap(self) -> float | None:
        """Joules since the last lap, never negative; None if they are not certain, and at the first call."""
        self._look()
        found = self._sum
        self._sum = None if self._last is None else 0.0
        return found

    def _look(self) -> None:
        before, when = self._last, self._when
        self._last, self._when = self._counts(), self._clock()
        used = None
        if before is not None and self._last is not None:
            used = self._between(before, self._last, self._when - when)
        self._sum = None if used is None or self._sum is None else self._sum + used

    def _counts(self) -> list[int] | None:
        if not self._counters:
            return None
        try:
            return [counter.read() for counter in self._counters]
        except Exception:  # NVML has one class for each error
            return None

    def _between(self, before: list[int], now: list[int], seconds: float) -> float | None:
        joules = 0.0
        for counter, old, new in zip(self._counters, before, now, strict=True):
            if counter.wraps_at is not None:
                if seconds * GREATEST_WATTS > counter.wraps_at * counter.joules:
                    return None
                new += counter.wraps_at if new < old else 0
            used = (new - old) * counter.joules
            # a reset: the driver was reloaded, the machine slept. At least 1 s, as counters grow in steps
            if not 0 <= used <= GREATEST_WATTS * (seconds + 1):
                return None
            joules += used
        return joules


def counters(kind: str, visible: str) -> list[Counter]:
    """The energy counters of a device.

    Args:
        kind: kind of device in torch's words: cpu, cuda, mps.
        visible: CUDA_VISIBLE_DEVICES of the process that trains, which names its GPU by UUID.

    Raises:
        Unmeasurable: there is no counter that can be read.
    """
    match kind:
        case "cpu":
            return _of_packages(POWERCAP)
        case "cuda":
            return [_of_gpu(visible)]
    raise Unmeasurable(f"no energy counter is known for devices of the kind {kind!r}")


def meter(kind: str, visible: str) -> Meter:
    """The meter of a device; it measures nothing if no counter can be read."""
    try:
        return Meter(counters(kind, visible))
    except Unmeasurable:
        return Meter(())


def _of_packages(folder: Path) -> list[Counter]:
    found = []
    # parts of a package have a second number; "psys" is the whole machine, packages included
    for zone in sorted(folder.glob("intel-rapl:*")):
        if zone.name.count(":") > 1:
            continue
        try:
            if (zone / "name").read_text().startswith("package"):
                counter = _of_zone(zone)
                counter.read()
                found.append(counter)
        except (OSError, ValueError) as error:
            raise Unmeasurable(f"the CPU's energy counter cannot be read: {error}") from None
    if not found:
        raise Unmeasurable(f"the CPU has no energy counter in {folder}")
    return found


def _of_zone(zone: Path) -> Counter:
    energy = zone / "energy_uj"
    return Counter(lambda: int(energy.read_text()), 1e-6, int((zone / "max_energy_range_uj").read_text()))


def _of_gpu(visible: str) -> Counter:
    name = visible.partition(",")[0].strip()
    if not name.startswith("GPU-"):
        raise Unmeasurable(
            f"the GPU {name!r} has no energy counter of its own: only whole GPUs named by UUID do"
        )
    try:
        import pynvml
    except ImportError:
        raise Unmeasurable("the energy of GPUs needs NVML: pip install 'a4nn[energy]'") from None
    nvml: Any = pynvml
    try:
        nvml.nvmlInit()
        handle = nvml.nvmlDeviceGetHandleByUUID(name)
        counter = Counter(lambda: int(nvml.nvmlDeviceGetTotalEnergyConsumption(handle)), 1e-3)
        counter.read()
    except nvml.NVMLError as error:
        raise Unmeasurable(f"the energy counter of {name} cannot be read: {error}") from None
    return counter
