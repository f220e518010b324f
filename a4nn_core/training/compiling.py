"""Whether compiling a network pays off, from its settings and its architecture alone, without torch."""

from __future__ import annotations

import shutil

from a4nn_core.spaces.architecture import Architecture
from a4nn_core.training.settings import Training

COMPILE_PAYS = {"cpu": 2e13, "cuda": 1e15}
"""Multiply-adds of a network's whole budget from which on compiling pays off: it costs about a minute and
saves about a fifth, so training must take many minutes (see ``CPU_PACE``). The figure for GPUs is an order of
magnitude: on the one that was measured (docs/benchmarks.md) it is 2.3e15."""
CPU_PACE = 2e10
"""Multiply-adds that a CPU thread does in a second, as a rule of thumb: networks of a few million do half."""
TRAINING_COST = 3.0
"""cost of a forward and backward step relative to a forward step alone"""


def pays(settings: Training, architecture: Architecture, images: int, kind: str) -> bool:
    """Whether compiling pays off for a network. Its whole budget counts, not the remaining part, so that it
    is compiled from its first epoch to its last.

    Args:
        settings: training settings.
        architecture: architecture of the network.
        images: number of training images.
        kind: kind of device in torch's words: cpu, cuda, mps.
    """
    if settings.compile != "auto":
        return settings.compile == "always"
    if kind == "cpu" and not any(map(shutil.which, ("c++", "g++", "clang++"))):
        return False
    work = TRAINING_COST * architecture.flops * images * settings.epochs
    return work >= COMPILE_PAYS.get(kind, float("inf"))
