"""One pass over data: training steps, evaluation. Numbers stay on the device until somebody asks for them."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from a4nn_core.training.compute_plan import ComputePlan
from a4nn_core.training.loading import DeviceData, DeviceSplit


@dataclass
class Sums:
    """What a pass adds up, still on the device: asking for a number makes a GPU wait.

    Attributes:
        loss: sum of the cross entropies, scalar.
        correct: images classified right, scalar.
        count: images of the part.
    """

    loss: Tensor
    correct: Tensor
    count: int

    @classmethod
    def of(cls, count: int, device: torch.device) -> Sums:
        """Zeros."""
        return cls(torch.zeros((), device=device), torch.zeros((), dtype=torch.int64, device=device), count)


def settle(passes: Sequence[Sums]) -> list[tuple[float, float]]:
    """Mean loss and accuracy in percent of several passes, with one wait for the device."""
    values = torch.stack([value.double() for sums in passes for value in (sums.loss, sums.correct)]).tolist()
    return [
        (loss / sums.count, 100 * int(correct) / sums.count)
        for sums, loss, correct in zip(passes, values[::2], values[1::2], strict=True)
    ]


class Computation:
    """A network and how it is computed.

    Args:
        model: on the device.
        plan: how.
        batch_size: of training; only whole batches are compiled for.
        device: that it computes on.
    """

    def __init__(self, model: nn.Module, plan: ComputePlan, batch_size: int, device: torch.device) -> None:
        self.plan = plan
        self.device = device
        self.model = model
        if plan.channels_last:
            model.to(memory_format=torch.channels_last)
        self.sizes = {min(batch_size, plan.micro_batch), plan.evaluation_batch}
        self.compiled: Callable[[Tensor], Tensor] | None = (
            torch.compile(model, dynamic=False) if plan.compiled else None
        )

    def adopt(self, optimizer: Optimizer) -> None:
        """Lay an optimiser's state out as the weights are: checkpoints do not keep the layout, and updates
        of tensors that are laid out differently are slow."""
        if self.plan.channels_last:
            for state in optimizer.state.values():
                for name, value in state.items():
                    if isinstance(value, Tensor) and value.dim() == 4:
                        state[name] = value.contiguous(memory_format=torch.channels_last)

    def laid_out(self, images: Tensor) -> Tensor:
        """Images, shape (batch, channels, height, width), laid out in memory as the network wants them."""
        return images.contiguous(memory_format=torch.channels_last) if self.plan.channels_last else images

    def number_format(self) -> AbstractContextManager[object]:
        """Within, operations compute in bfloat16 where that is wanted and safe."""
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.plan.bfloat16)

    def __call__(self, images: Tensor) -> Tensor:
        """Class scores, shape (batch, classes), as float32."""
        images = self.laid_out(images)
        forward: Callable[[Tensor], Tensor] = self.model
        # a shape that comes once an epoch is not worth compiling for
        if self.compiled is not None and len(images) in self.sizes:
            forward = self.compiled
        with self.number_format():
            scores: Tensor = forward(images)
        return scores.float()


def train_epoch(
    computation: Computation,
    optimizer: Optimizer,
    data: DeviceData,
    batch_size: int,
    gradient_clip: float,
    augment: Callable[[Tensor], Tensor] | None,
    after_step: Callable[[], None],
) -> Sums:
    """One pass over the training images in a new random order.

    Args:
        computation: of the network.
        optimizer: of its weights.
        data: on the device.
        batch_size: images a step.
        gradient_clip: greatest norm of the gradient.
        augment: of batches, None for nothing.
        after_step: called after every step.
    """
    model = computation.model
    model.train()
    sums = Sums.of(len(data.train), data.device)
    order = torch.randperm(len(data.train))
    for images, labels in data.batches(data.train, batch_size, order):
        if len(labels) == 1 and len(data.train) > 1:
            continue  # batch normalisation cannot learn from one image
        optimizer.zero_grad(set_to_none=True)
        seen = augment(images) if augment else images
        pieces = max(1, len(labels) // computation.plan.micro_batch)
        for part, truth in zip(seen.tensor_split(pieces), labels.tensor_split(pieces), strict=True):
            scores = computation(part)
            loss = nn.functional.cross_entropy(scores, truth)
            # the gradient of the batch's mean; with one piece the factor is exactly 1 and changes no bit
            share = loss if pieces == 1 else loss * (len(truth) / len(labels))
            share.backward()  # type: ignore[no-untyped-call]
            sums.loss += loss.detach() * len(truth)
            sums.correct += (scores.detach().argmax(dim=1) == truth).sum()
        nn.utils.clip_grad_norm_(model.parameters(), gradient_clip)
        optimizer.step()
        after_step()
    return sums


@torch.no_grad()
def evaluate(
    computation: Computation,
    data: DeviceData,
    part: DeviceSplit,
    heartbeat: Callable[[], None] = lambda: None,
) -> Sums:
    """One pass over a part of the data, changing nothing."""
    computation.model.eval()
    sums = Sums.of(len(part), data.device)
    for images, labels in data.batches(part, computation.plan.evaluation_batch):
        scores = computation(images)
        sums.loss += nn.functional.cross_entropy(scores, labels, reduction="sum")
        sums.correct += (scores.argmax(dim=1) == labels).sum()
        heartbeat()
    return sums


class Stopwatch:
    """Times on the device. A GPU works on behind the program, so there the time of a mark is known only once
    somebody has waited for it."""

    def __init__(self, device: torch.device) -> None:
        self._on_gpu = device.type == "cuda"
        self._events: list[torch.cuda.Event] = []
        self._times: list[float] = []

    def mark(self) -> None:
        """Note this moment."""
        if self._on_gpu:
            event = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
            event.record()
            self._events.append(event)
        else:
            self._times.append(time.perf_counter())

    def seconds(self) -> list[float]:
        """Between neighbouring marks, once the device has been waited for."""
        if self._on_gpu:
            return [a.elapsed_time(b) / 1000 for a, b in pairwise(self._events)]
        return [b - a for a, b in pairwise(self._times)]
