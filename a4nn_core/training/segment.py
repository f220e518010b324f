"""A segment: the unit of work. It travels to any worker as JSON and is typed again where it arrives."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from a4nn_core.spaces.architecture import Architecture
from a4nn_core.termination.base import FrontSnapshot
from a4nn_core.training.settings import Training
from a4nn_core.vocabulary import NetworkStatus

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
        architecture: the network as a graph.
        data, termination: tables of the experiment. The parts are made by who needs them: only a machine that
            trains must have the packages they come from.
        training: settings of the training.
        fixed: metric values known before training, such as ``{"mflops": 7.1}``.
        seed: of this network's weights, shuffling and augmentation.
        device: such as ``cpu`` or ``cuda:0``.
        slots: networks that train at the same time where this one does; 0 if that is not known.
        number: of this segment in the network's life, from 0.
        from_epoch: epochs that the network had when the segment was submitted.
        epoch_limit: last epoch to train in this segment, None for the whole budget.
        front: the front snapshot to judge against.
    """

    commons: str
    run_id: str
    network: int
    generation: int
    architecture: Architecture
    data: Mapping[str, object]
    training: Training
    termination: Mapping[str, object]
    fixed: Mapping[str, float]
    seed: int
    device: str
    slots: int = 1
    number: int = 0
    from_epoch: int = 0
    epoch_limit: int | None = None
    front: FrontSnapshot = field(default_factory=FrontSnapshot)

    def failed(self, error: str, fatal: bool = False) -> SegmentResult:
        """The result of this segment if it failed; see SegmentResult."""
        return SegmentResult(
            self.network, self.number, NetworkStatus.failed, error=error, fatal=fatal, device=self.device
        )

    def to_mapping(self) -> dict[str, object]:
        """Plain values; ``from_mapping`` returns an equal segment."""
        plain: dict[str, object] = {each.name: getattr(self, each.name) for each in fields(self)}
        return plain | {
            "architecture": self.architecture.to_json(),
            "training": self.training.model_dump(mode="json"),
            "front": asdict(self.front),
        }

    @classmethod
    def from_mapping(cls, plain: Mapping[str, Any]) -> Segment:
        """The segment that ``to_mapping`` wrote."""
        front = plain["front"]
        typed = {
            "architecture": Architecture.from_json(plain["architecture"]),
            "training": Training.model_validate(plain["training"]),
            "front": FrontSnapshot(front["version"], tuple(front["points"]), front["objectives"]),
        }
        return cls(**{**plain, **typed})

    def to_json(self) -> str:
        """One line."""
        return json.dumps(self.to_mapping())

    @classmethod
    def from_json(cls, text: str) -> Segment:
        """The segment that ``to_json`` wrote."""
        return cls.from_mapping(json.loads(text))


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
    status: NetworkStatus
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
        plain = json.loads(text)
        return cls(**{**plain, "status": NetworkStatus(plain["status"])})
