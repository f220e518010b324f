"""A search replayed on a virtual clock, from training times and results that are known."""

from a4nn_core.replay.clock import VirtualExecutor

__all__ = ["VirtualExecutor"]
