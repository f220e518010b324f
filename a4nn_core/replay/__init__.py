"""Replay of a search on a virtual clock, from known training times and results."""

from a4nn_core.replay.clock import VirtualExecutor

__all__ = ["VirtualExecutor"]
