"""How the steps of one network are computed: number format, memory layout, compiled or not, micro-batches.

All of it follows from the settings, the architecture and the kind of device, never from a clock, so that a
network that is started again is computed as it was before. Two things can go wrong with a plan, and each
leads once to a weaker one: running out of memory to smaller micro-batches, a failing compiler to none.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

from a4nn_core.commons import JournalEpoch
from a4nn_core.spaces.architecture import Architecture, Shape
from a4nn_core.training.compiling import pays
from a4nn_core.training.memory import smaller_micro_batch
from a4nn_core.training.settings import Training
from a4nn_core.vocabulary import Task

_EVALUATION_VALUES = 2**24
"""input values of an evaluation batch on a GPU: about a thousand images of 127 x 127 pixels"""


@dataclass(frozen=True)
class ComputePlan:
    """How steps are computed.

    Attributes:
        micro_batch: number of images computed at once; the gradient of a batch is accumulated over its
            micro-batches. Statistics of batch normalisation are then those of a micro-batch.
        evaluation_batch: number of images evaluated at once.
        bfloat16: whether to compute in bfloat16 where that is safe (autocast), with weights in float32.
        channels_last: whether channels vary fastest in memory, the layout that cuDNN's and oneDNN's
            convolutions prefer: on a CPU, small networks train 1.3 to 1.6 times faster with it.
        compiled: whether the network is compiled.
    """

    micro_batch: int
    evaluation_batch: int = 500
    bfloat16: bool = False
    channels_last: bool = False
    compiled: bool = False

    @classmethod
    def choose(
        cls,
        settings: Training,
        architecture: Architecture,
        shape: Shape,
        images: int,
        device: torch.device,
    ) -> ComputePlan:
        """The usual plan for a network.

        Args:
            settings: training settings.
            architecture: architecture of the network.
            shape: shape of an image, (channels, height, width).
            images: number of training images.
            device: device that it trains on.
        """
        channels, height, width = shape
        on_gpu = device.type == "cuda"
        bfloat16 = settings.precision == "bfloat16" or (
            settings.precision == "auto"
            and on_gpu
            # its 8 bits would be a floor below every restored image
            and architecture.task is Task.classification
            and torch.cuda.is_bf16_supported()
        )
        large = min(8192, max(1, _EVALUATION_VALUES // (channels * height * width)))
        return cls(
            micro_batch=settings.images_a_step(images),
            evaluation_batch=large if on_gpu else 500,
            bfloat16=bfloat16,
            channels_last=device.type in ("cpu", "cuda"),
            compiled=pays(settings, architecture, images, device.type),
        )

    def with_changes(self, journal: Sequence[JournalEpoch]) -> ComputePlan:
        """This plan, or the weaker one that a network's journal records."""
        changes: Mapping[str, Any] = (journal[-1].computing or {}) if journal else {}
        return replace(self, **changes)

    def smaller(self) -> ComputePlan | None:
        """The plan to try after running out of memory; None if there is none."""
        micro = smaller_micro_batch(self.micro_batch)
        if micro == self.micro_batch:
            return None
        return replace(self, micro_batch=micro, evaluation_batch=min(self.evaluation_batch, micro))

    def changed(self, usual: ComputePlan) -> dict[str, int | bool]:
        """The settings in which this plan differs from the usual one."""
        return {name: value for name, value in self.__dict__.items() if value != getattr(usual, name)}
