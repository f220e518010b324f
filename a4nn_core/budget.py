"""Budgets: what a run may use before it ends, and what it has used."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Annotated

from pydantic import Field, model_validator

from a4nn_core.component import Settings, Unit

Amount = Annotated[float, Field(gt=0, allow_inf_nan=False)]


@dataclass(frozen=True, slots=True)
class Spent:
    """What was used, in the units of the settings of ``Budget``, which have the same names.

    Attributes:
        hours: wall-clock hours.
        gpu_hours: hours that epochs took on GPUs; where networks share a GPU, in equal parts.
        kwh: energy of the devices in kWh, as far as it was measured.
        gigabytes: size of the files of runs, in 10^9 bytes.
        epochs: epochs trained.
        gflop_epochs: multiply-adds for one image in 10^9, summed over epochs.
    """

    hours: float = 0.0
    gpu_hours: float = 0.0
    kwh: float = 0.0
    gigabytes: float = 0.0
    epochs: int = 0
    gflop_epochs: float = 0.0

    @classmethod
    def sum(cls, parts: Iterable[Spent]) -> Spent:
        """All together."""
        held = list(parts)
        return cls(**{f.name: sum(getattr(part, f.name) for part in held) for f in fields(cls)})


class Budget(Settings):
    """What a run may use at most. Where one of these is used up it ends, and goes on when that is raised."""

    hours: Annotated[Amount | None, Unit("hours")] = None
    """wall-clock hours, over all its sessions"""
    gpu_hours: Annotated[Amount | None, Unit("hours")] = None
    """hours that its epochs take on GPUs; one that `training.slots_per_device` networks share counts once"""
    kwh: Annotated[Amount | None, Unit("kWh")] = None
    """energy of the devices that train; needs `training.energy`, and counters that can be read"""
    gigabytes: Annotated[Amount | None, Unit("10^9 bytes")] = None
    """size of the files in its folder; checkpoints are most of it"""
    epochs: Annotated[int | None, Unit("epochs")] = Field(default=None, gt=0)
    """epochs, over all networks"""
    gflop_epochs: Annotated[Amount | None, Unit("10^9 multiply-adds")] = None
    """multiply-adds for one image, summed over all epochs of all networks"""

    @model_validator(mode="after")
    def _limits_something(self) -> Budget:
        if not self.limits():
            raise ValueError(f"give at least one of {', '.join(f.name for f in fields(Spent))}")
        return self

    def limits(self) -> dict[str, float]:
        """The amounts that are given, by name."""
        known = ((f.name, getattr(self, f.name)) for f in fields(Spent))
        return {name: value for name, value in known if value is not None}

    def used_up(self, spent: Spent) -> str | None:
        """What of it is used up, for people, such as ``2.01 of 2 hours``; None if nothing is."""
        for name, limit in self.limits().items():
            used = getattr(spent, name)
            if used >= limit:
                return f"{_short(used)} of {_short(limit)} {_WORDS[name]}"
        return None


_WORDS = {
    "hours": "hours",
    "gpu_hours": "GPU hours",
    "kwh": "kWh",
    "gigabytes": "gigabytes",
    "epochs": "epochs",
    "gflop_epochs": "GFLOP-epochs",
}


def _short(value: float) -> str:
    return f"{value:.4g}" if value < 1000 else f"{value:,.0f}"
