"""A segment: the unit of work. It is sent to workers as JSON and parsed into typed objects there."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from a4nn_core.assessment import Fidelity
from a4nn_core.spaces.architecture import Architecture
from a4nn_core.termination.base import FrontSnapshot
from a4nn_core.training.settings import Training
from a4nn_core.vocabulary import NetworkStatus

ALIVE = ".\n"
"""line that a worker prints when it has made progress, at most once per second"""
SLOT_VARIABLE = "A4NN_SLOT"
"""environment variable with the name of the device slot that a worker is pinned to"""


@dataclass(frozen=True)
class Inheritance:
    """Where the weights that a network begins with come from.

    Attributes:
        network: number of the network that they are taken from.
        checkpoint: its checkpoint, relative to the commons.
        sha256: SHA-256 of that file, hexadecimal.
        architecture: its architecture.
        morph: as for ``taken``.
    """

    network: int
    checkpoint: str
    sha256: str
    architecture: Architecture
    morph: bool = False

    def to_mapping(self) -> dict[str, object]:
        """JSON values; ``from_mapping`` returns an equal object."""
        return {**vars(self), "architecture": self.architecture.to_json()}

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any]) -> Inheritance:
        """What ``to_mapping`` wrote."""
        return cls(**{**values, "architecture": Architecture.from_json(values["architecture"])})


@dataclass(frozen=True)
class Segment:
    """Train one network from its last checkpoint until a verdict or an epoch limit.

    Attributes:
        commons, run_id, network: folder of the commons, id of the run and number of the network.
        generation: generation of the network, for logs.
        architecture: architecture of the network.
        data, termination: tables of the experiment. The parts are made only where they are needed: only a
            machine that trains must have the packages they come from.
        training: training settings.
        fixed: metric values known before training, such as ``{"mflops": 7.1}``.
        seed: seed of this network's weights, shuffling and augmentation.
        device: device to train on, such as ``cpu`` or ``cuda:0``.
        slots: number of networks that share the device; 0 if not known.
        number: number of this segment among those of the network, from 0.
        from_epoch: number of epochs the network had been trained when the segment was submitted.
        epoch_limit: last epoch to train in this segment, None for the whole budget.
        front: front snapshot to judge against.
        map_key: key of the data in the cache from which all processes of a machine map them; empty if each
            loads its own.
        inheritance: where the weights come from that the network begins with; None for fresh ones.
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
    map_key: str = ""
    inheritance: Inheritance | None = None

    def failed(self, error: str, fatal: bool = False) -> SegmentResult:
        """The result of this segment if it failed; see SegmentResult."""
        return SegmentResult(
            self.network, self.number, NetworkStatus.failed, error=error, fatal=fatal, device=self.device
        )

    def to_mapping(self) -> dict[str, object]:
        """The segment as JSON values; ``from_mapping`` returns an equal segment."""
        values: dict[str, object] = {each.name: getattr(self, each.name) for each in fields(self)}
        return values | {
            "architecture": self.architecture.to_json(),
            "training": self.training.model_dump(mode="json"),
            "front": asdict(self.front),
            "inheritance": self.inheritance and self.inheritance.to_mapping(),
        }

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any]) -> Segment:
        """The segment that ``to_mapping`` wrote."""
        front, inheritance = values["front"], values.get("inheritance")
        typed = {
            "architecture": Architecture.from_json(values["architecture"]),
            "training": Training.model_validate(values["training"]),
            "front": FrontSnapshot(front["version"], tuple(front["points"]), front["objectives"]),
            "inheritance": inheritance and Inheritance.from_mapping(inheritance),
        }
        return cls(**{**values, **typed})

    def to_json(self) -> str:
        """One line."""
        return json.dumps(self.to_mapping())

    @classmethod
    def from_json(cls, text: str) -> Segment:
        """The segment that ``to_json`` wrote."""
        return cls.from_mapping(json.loads(text))


@dataclass(frozen=True)
class SegmentResult:
    """How a segment ended. Its epochs are in the network's journal.

    Attributes:
        network, number: numbers of the network and of the segment.
        status: ``completed`` (whole budget), ``stopped`` (a verdict ended it early), ``paused`` (its epoch
            limit or a verdict ended it; training can continue from the checkpoint) or ``failed``.
        error: error message if it failed.
        fatal: whether the cause is not the network but its environment, such as a full disk: the run must
            end, and the network continues when the run is resumed.
        test_accuracy_percent: test accuracy of the best checkpoint; only when the network's training has
            ended.
        test_fidelity: the same of a network that restores images.
        device: name of the device it ran on.
        cut: whether it was paused before its epoch limit, as its run was about to end.
    """

    network: int
    number: int
    status: NetworkStatus
    error: str | None = None
    fatal: bool = False
    test_accuracy_percent: float | None = None
    test_fidelity: Fidelity | None = None
    device: str = ""
    cut: bool = False

    def to_json(self) -> str:
        """One line."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> SegmentResult:
        """The result that ``to_json`` wrote."""
        values = json.loads(text)
        fidelity = values.get("test_fidelity")
        typed = {
            "status": NetworkStatus(values["status"]),
            "test_fidelity": None if fidelity is None else Fidelity(**fidelity),
        }
        return cls(**{**values, **typed})
