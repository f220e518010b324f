"""One pass over data: training steps, evaluation. Results stay on the device until they are read."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from a4nn_core.spaces.build import Network
from a4nn_core.training.compute_plan import ComputePlan
from a4nn_core.training.goals import CLASSIFICATION, Answers, Goal, Restored
from a4nn_core.training.loading import DeviceData, DeviceSplit
from a4nn_core.training.panels import Panels


@dataclass
class Sums:
    """Sums over a pass, as tensors on the device: reading a number makes the program wait for the GPU.

    Attributes:
        loss: sum of the losses, scalar tensor.
        score: sum of the scores of the goal, scalar tensor; of a classifier the number of right answers.
        count: number of images in the pass.
        unit: what the mean score is multiplied by.
    """

    loss: Tensor
    score: Tensor
    count: int
    unit: float

    @classmethod
    def of(cls, count: int, device: torch.device, goal: Goal) -> Sums:
        """Zeros."""
        return cls(torch.zeros((), device=device), goal.zero(device), count, goal.unit)


def settle(passes: Sequence[Sums]) -> list[tuple[float, float]]:
    """(Mean loss, mean score) of several passes, waiting for the device only once; the score of a classifier
    is its accuracy in percent, that of a network that restores images a ratio in decibels."""
    values = torch.stack([value.double() for sums in passes for value in (sums.loss, sums.score)]).tolist()
    return [
        (loss / sums.count, sums.unit * score / sums.count)
        for sums, loss, score in zip(passes, values[::2], values[1::2], strict=True)
    ]


class Computation:
    """A network and how it is computed.

    Args:
        model: the network, on the device.
        plan: compute plan.
        batch_size: batch size of training; only for complete batches is a network compiled.
        device: device that it computes on.
        goal: what it is trained for.
    """

    def __init__(
        self,
        model: nn.Module,
        plan: ComputePlan,
        batch_size: int,
        device: torch.device,
        goal: Goal = CLASSIFICATION,
    ) -> None:
        self.plan = plan
        self.goal = goal
        self.device = device
        self.model = model
        self.objective = model.architecture.objective if isinstance(model, Network) else None
        if plan.channels_last:
            model.to(memory_format=torch.channels_last)
        self.sizes = {min(batch_size, plan.micro_batch), plan.evaluation_batch}
        self.compiled: Callable[[Tensor], Tensor] | None = (
            torch.compile(model, dynamic=False) if plan.compiled else None
        )

    def adopt(self, optimizer: Optimizer) -> None:
        """Give an optimiser's state the memory layout of the weights: checkpoints do not keep the layout, and
        updates are slow if layouts differ."""
        if self.plan.channels_last:
            for state in optimizer.state.values():
                for name, value in state.items():
                    if isinstance(value, Tensor) and value.dim() == 4:
                        state[name] = value.contiguous(memory_format=torch.channels_last)

    def laid_out(self, images: Tensor) -> Tensor:
        """Images, shape (batch, channels, height, width), in the memory layout of the network."""
        return images.contiguous(memory_format=torch.channels_last) if self.plan.channels_last else images

    def number_format(self) -> AbstractContextManager[object]:
        """Context in which operations compute in bfloat16 where the plan says so and it is safe."""
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.plan.bfloat16)

    def __call__(self, images: Tensor) -> Tensor:
        """Class scores, shape (batch, classes), or restored images, as float32."""
        images = self.laid_out(images)
        forward: Callable[[Tensor], Tensor] = self.model
        # a shape that occurs once per epoch is not worth compiling for
        if self.compiled is not None and len(images) in self.sizes:
            forward = self.compiled
        with self.number_format():
            scores: Tensor = forward(images)
        return scores.float()

    def learn(self, images: Tensor, truth: Tensor) -> tuple[Tensor, Tensor]:
        """The loss to minimise, a scalar, and the sum of the scores: none of a network that is trained for
        something else, which is asked after the epoch.

        Args:
            images: shape (batch, channels, height, width).
            truth: labels, shape (batch,), or expected images.
        """
        objective = self.objective
        if objective is None:
            outputs = self(images)
            loss = self.goal.loss(outputs, truth, "mean")
            return loss, self.goal.score(outputs.detach(), truth)
        assert isinstance(self.model, Network)
        with self.number_format():
            errors = self.model.value(self.laid_out(images), objective)
        return errors.float().mean(), self.goal.zero(self.device)


def train_epoch(
    computation: Computation,
    optimizer: Optimizer,
    data: DeviceData,
    batch_size: int,
    gradient_clip: float,
    augment: Callable[[Tensor], Tensor] | None,
    after_step: Callable[[], None],
    part: DeviceSplit | None = None,
) -> Sums:
    """One pass over the training images in a new random order.

    Args:
        computation: computation of the network.
        optimizer: optimiser of its weights.
        data: data set on the device.
        batch_size: number of images per step.
        gradient_clip: maximum norm of the gradient.
        augment: transform of batches, None for none.
        after_step: called after every step.
        part: images to train on, if others than the training images.
    """
    model = computation.model
    model.train()
    part = data.train if part is None else part
    sums = Sums.of(len(part), data.device, computation.goal)
    order = torch.randperm(len(part))
    for images, truth in data.batches(part, batch_size, order):
        if len(truth) == 1 and len(part) > 1:
            continue  # batch normalisation cannot learn from one image
        optimizer.zero_grad(set_to_none=True)
        seen = augment(images) if augment else images
        pieces = max(1, len(truth) // computation.plan.micro_batch)
        for some, its in zip(seen.tensor_split(pieces), truth.tensor_split(pieces), strict=True):
            loss, score = computation.learn(some, its)
            # the gradient of the mean over the batch; with one micro-batch the factor is exactly 1
            share = loss if pieces == 1 else loss * (len(its) / len(truth))
            share.backward()  # type: ignore[no-untyped-call]
            sums.loss += loss.detach() * len(its)
            sums.score += score
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
    answers: Answers | Restored | None = None,
    panels: Panels | None = None,
) -> Sums:
    """One pass over a part of the data, which changes nothing; ``answers`` collects it if given. With
    ``panels``, every image lacks one."""
    computation.model.eval()
    goal = computation.goal
    sums = Sums.of(len(part), data.device, goal)
    for images, truth in data.batches(part, computation.plan.evaluation_batch, panels=panels):
        outputs = computation(images)
        sums.loss += goal.loss(outputs, truth, "sum")
        sums.score += goal.score(outputs, truth)
        if answers is not None:
            answers.add(outputs, truth)
        heartbeat()
    return sums


class Stopwatch:
    """Times on the device. A GPU works asynchronously, so there the time of a mark is known only after
    waiting for the device."""

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
        """Seconds between consecutive marks; valid only after waiting for the device."""
        if self._on_gpu:
            return [a.elapsed_time(b) / 1000 for a, b in pairwise(self._events)]
        return [b - a for a, b in pairwise(self._times)]
