"""One layer of an architecture, and what it costs: plain data, with no torch in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

Shape = tuple[int, int, int]


@dataclass(frozen=True)
class Layer:
    """One layer.

    Attributes:
        op: name of the operation that it does.
        channels: of its output (classes for the linear layer).
        kernel, stride, padding: of convolutions and pooling, in pixels.
        bias: whether a convolution or linear layer adds one.
        phase: which phase of the genome it belongs to, None outside of phases.
        label: for people and pictures, such as ``node 2``.
        settings: further ones of its operation, such as ``{"rate": 0.2}``, as JSON can say them.
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
        """Plain values; ``Layer(**...)`` gives the same layer back."""
        values = asdict(self)
        if not self.settings:  # as it was before there were any
            del values["settings"]
        return values


@dataclass(frozen=True)
class Cost:
    """What one layer costs.

    Attributes:
        shape: of its output, (channels, height, width).
        flops: multiply-adds for one image, counted as in the published A4NN runs.
        parameters: trainable numbers.
    """

    shape: Shape
    flops: int
    parameters: int
