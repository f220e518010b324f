"""A search re-run on a virtual clock, from lives that are known."""

from a4nn_core.replay.clock import VirtualExecutor

__all__ = ["VirtualExecutor"]
