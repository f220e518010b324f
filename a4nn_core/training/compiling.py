"""Whether compiling a network pays, from its settings and its architecture alone: torch is not needed."""

from __future__ import annotations

import shutil

from a4nn_core.spaces.architecture import Architecture
from a4nn_core.training.settings import Training

COMPILE_PAYS = {"cpu": 2e13, "cuda": 1e15}
"""Multiply-adds of a network's whole budget from which on compiling pays by itself: it costs about a minute
and gains about a fifth, so training must take many minutes. A thread of a CPU does some 2e10 a second. The
figure for GPUs is a guess."""
_TRAINING_COST = 3.0
"""forward and backward against forward alone"""


def pays(settings: Training, architecture: Architecture, images: int, kind: str) -> bool:
    """Whether compiling pays for a network. Its whole budget counts, not what is left of it, so that it is
    compiled from its first epoch to its last.

    Args:
        settings: of training.
        architecture: of the network.
        images: for training.
        kind: of device, as torch names it: cpu, cuda, mps.
    """
    if settings.compile != "auto":
        return settings.compile == "always"
    if kind == "cpu" and not any(map(shutil.which, ("c++", "g++", "clang++"))):
        return False
    work = _TRAINING_COST * architecture.flops * images * settings.epochs
    return work >= COMPILE_PAYS.get(kind, float("inf"))
