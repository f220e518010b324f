"""One layer of an architecture, and its cost: data without torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

Shape = tuple[int, int, int]


@dataclass(frozen=True)
class Layer:
    """One layer.

    Attributes:
        op: name of its operation.
        channels: channels of its output (the number of classes for the linear layer).
        kernel, stride, padding: those of convolutions and pooling, in pixels.
        bias: whether a convolution or linear layer adds a bias.
        phase: number of the phase of the genome it belongs to, None outside of phases.
        label: name for people and pictures, such as ``node 2``.
        settings: further settings of its operation as JSON values, such as ``{"rate": 0.2}``.
    """

    op: str
    channels: int
    kernel: int = 1
    stride: int = 1
    padding: int = 0
    bias: bool = False
    phase: int | None = None
    label: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict, hash=False)

    def to_json(self) -> dict[str, Any]:
        """The layer as JSON values; ``Layer(**...)`` returns an equal layer."""
        values = asdict(self)
        if not self.settings:  # so that hashes and records from before this field stay the same
            del values["settings"]
        return values


@dataclass(frozen=True)
class Cost:
    """Output shape and cost of one layer.

    Attributes:
        shape: shape of its output, (channels, height, width).
        flops: multiply-adds for one image, counted as in the published A4NN runs.
        parameters: number of trainable parameters.
    """

    shape: Shape
    flops: int
    parameters: int
