"""The words that experiments, rules and records share, each spelled once.

They are text: JSON, Parquet and SQL hold them as they are.
"""

from __future__ import annotations

from enum import StrEnum


class Direction(StrEnum):
    """Which values of a metric are the better ones."""

    minimise = "minimise"
    maximise = "maximise"

    @property
    def sign(self) -> float:
        """Times this, smaller is better, whatever the direction: 1.0 or -1.0."""
        return 1.0 if self is Direction.minimise else -1.0

    @classmethod
    def _missing_(cls, value: object) -> Direction | None:
        """``min``, ``max`` and the American spellings, as other tools write them."""
        known = {"min": cls.minimise, "minimize": cls.minimise, "max": cls.maximise, "maximize": cls.maximise}
        return known.get(value) if isinstance(value, str) else None


class RunStatus(StrEnum):
    """How a run stands. One that was killed says ``running``."""

    running = "running"
    completed = "completed"
    interrupted = "interrupted"
    failed = "failed"


class NetworkStatus(StrEnum):
    """What became of a network."""

    completed = "completed"
    """trained for its whole budget"""
    stopped = "stopped"
    """ended early by a verdict"""
    paused = "paused"
    """waits at a checkpoint"""
    failed = "failed"
    equal = "equal"
    """builds the same architecture as an earlier network, whose result it shares"""
    infeasible = "infeasible"
    """outside the bounds of ``[search.constraints]``, never trained"""


class Action(StrEnum):
    """What a termination rule wants done after an epoch."""

    proceed = "continue"
    pause = "pause"
    stop = "stop"


class EventKind(StrEnum):
    """What an entry of the event log tells."""

    started = "started"
    resumed = "resumed"
    asked = "asked"
    submitted = "submitted"
    completed = "completed"
    stopped = "stopped"
    paused = "paused"
    failed = "failed"
    told = "told"
    checkpoints_removed = "checkpoints_removed"
    interrupted = "interrupted"
