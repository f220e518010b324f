"""A segment: the unit of work. Plain data, so that it travels to any worker as JSON."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

Status = Literal["completed", "stopped", "paused", "failed"]
ALIVE = ".\n"
"""what a worker says between answers, at most once a second, when it has made progress"""
SLOT_VARIABLE = "A4NN_SLOT"
"""environment variable in which a worker finds the name of the device slot it is pinned to"""


@dataclass(frozen=True)
class Segment:
    """Train one network from its last checkpoint until a verdict or an epoch limit.

    Attributes:
        commons, run_id, network: which network, and where its journal and checkpoints lie.
        generation: it belongs to, for people.
        architecture: the graph, as ``Architecture.to_json`` gives it.
        data, training, termination: settings, as the experiment gives them.
        fixed: metric values known before training, such as ``{"mflops": 7.1}``.
        front_version, front_points: the front snapshot to judge against.
        objectives: metric name to ``minimise`` or ``maximise``, for the front.
        seed: of this network's weights, shuffling and augmentation.
        device: such as ``cpu`` or ``cuda:0``.
        slots: networks that train at the same time where this one does; 0 if that is not known.
        number: of this segment in the network's life, from 0.
        epoch_limit: last epoch to train in this segment, None for the whole budget.
    """

    commons: str
    run_id: str
    network: int
    generation: int
    architecture: dict[str, Any]
    data: dict[str, Any]
    training: dict[str, Any]
    termination: dict[str, Any]
    fixed: dict[str, float]
    seed: int
    device: str
    slots: int = 1
    number: int = 0
    epoch_limit: int | None = None
    front_version: int = 0
    front_points: list[dict[str, float]] = field(default_factory=list)
    objectives: dict[str, Any] = field(default_factory=dict)

    def failed(self, error: str, fatal: bool = False) -> SegmentResult:
        """The result of this segment if it failed; see SegmentResult."""
        return SegmentResult(
            self.network, self.number, "failed", error=error, fatal=fatal, device=self.device
        )

    def to_json(self) -> str:
        """One line."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Segment:
        """The segment that ``to_json`` wrote."""
        return cls(**json.loads(text))


@dataclass(frozen=True)
class SegmentResult:
    """How a segment ended. What happened in it is in the network's journal.

    Attributes:
        network, number: which segment.
        status: ``completed`` (whole budget), ``stopped`` (a verdict ended it early), ``paused`` (its epoch
            limit or a verdict: the checkpoint waits) or ``failed``.
        error: one sentence if it failed.
        fatal: whether the cause is not the network but the place it runs in, such as a full disk: the run
            must end, and the network goes on when the run is resumed.
        test_accuracy_percent: of the best checkpoint; only when the network's life has ended.
        device: name of the device it ran on.
    """

    network: int
    number: int
    status: Status
    error: str | None = None
    fatal: bool = False
    test_accuracy_percent: float | None = None
    device: str = ""

    def to_json(self) -> str:
        """One line."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> SegmentResult:
        """The result that ``to_json`` wrote."""
        return cls(**json.loads(text))
