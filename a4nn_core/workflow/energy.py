"""Says before a search trains that its energy cannot be measured, where somebody can see it."""

from __future__ import annotations

import logging

from a4nn_core.training.energy import Unmeasurable, counters
from a4nn_core.workflow.devices import discover

log = logging.getLogger(__name__)


def warn_unless_measured(device: str, slots: int) -> None:
    """Log a warning where no energy will be in the records of networks that train on a device.

    Args:
        device: as ``choose_device`` gives it.
        slots: of a segment: networks that share the device; 0 if that is not known.
    """
    kind = device.partition(":")[0]
    gpus = [gpu.identity for gpu in discover(device)] if kind == "cuda" else [""]
    for gpu in gpus:
        try:
            counters("cpu" if kind == "fake" else kind, gpu)
            if kind != "cuda" and slots == 0:
                raise Unmeasurable("of this machine of a pool or cluster it is not known who shares its CPUs")
        except Unmeasurable as error:
            log.warning("training.energy: no energy will be recorded: %s", error)
            return
