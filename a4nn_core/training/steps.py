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

from a4nn_core.assessment import Assessment, assess
from a4nn_core.spaces.build import Network
from a4nn_core.training.compute_plan import ComputePlan
from a4nn_core.training.loading import DeviceData, DeviceSplit
from a4nn_core.training.panels import Panels


@dataclass
class Sums:
    """Sums over a pass, as tensors on the device: reading a number makes the program wait for the GPU.

    Attributes:
        loss: sum of the cross entropies, scalar tensor.
        correct: number of images classified correctly, scalar tensor.
        count: number of images in the pass.
    """

    loss: Tensor
    correct: Tensor
    count: int

    @classmethod
    def of(cls, count: int, device: torch.device) -> Sums:
        """Zeros."""
        return cls(torch.zeros((), device=device), torch.zeros((), dtype=torch.int64, device=device), count)


def settle(passes: Sequence[Sums]) -> list[tuple[float, float]]:
    """(Mean loss, accuracy in percent) of several passes, waiting for the device only once."""
    values = torch.stack([value.double() for sums in passes for value in (sums.loss, sums.correct)]).tolist()
    return [
        (loss / sums.count, 100 * int(correct) / sums.count)
        for sums, loss, correct in zip(passes, values[::2], values[1::2], strict=True)
    ]


class Answers:
    """A network's answers to the images of a pass. They stay on the device until they are assessed, so a pass
    that collects them computes nothing more."""

    def __init__(self) -> None:
        self._scores: list[Tensor] = []
        self._named: list[Tensor] = []

    def add(self, scores: Tensor, named: Tensor) -> None:
        """Add a batch: class scores, shape (batch, classes), and the class named, shape (batch,)."""
        self._scores.append(scores)
        self._named.append(named)

    def assess(self, labels: Tensor) -> Assessment:
        """What the answers say beside the accuracy.

        Args:
            labels: true classes of all images of the pass, shape (count,).
        """
        # on the CPU: not every device has double precision
        shares = torch.cat(self._scores).cpu().double().softmax(dim=1)
        return assess(shares.numpy(), torch.cat(self._named).cpu().numpy(), labels.cpu().numpy())


class Computation:
    """A network and how it is computed.

    Args:
        model: the network, on the device.
        plan: compute plan.
        batch_size: batch size of training; only for complete batches is a network compiled.
        device: device that it computes on.
    """

    def __init__(self, model: nn.Module, plan: ComputePlan, batch_size: int, device: torch.device) -> None:
        self.plan = plan
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
        """Class scores, shape (batch, classes), as float32."""
        images = self.laid_out(images)
        forward: Callable[[Tensor], Tensor] = self.model
        # a shape that occurs once per epoch is not worth compiling for
        if self.compiled is not None and len(images) in self.sizes:
            forward = self.compiled
        with self.number_format():
            scores: Tensor = forward(images)
        return scores.float()

    def learn(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """The loss to minimise, a scalar, and how many images were classified correctly: none of a network
        that is trained for something else, which is asked after the epoch.

        Args:
            images: shape (batch, channels, height, width).
            labels: shape (batch,).
        """
        objective = self.objective
        if objective is None:
            scores = self(images)
            loss = nn.functional.cross_entropy(scores, labels)
            return loss, (scores.detach().argmax(dim=1) == labels).sum()
        assert isinstance(self.model, Network)
        with self.number_format():
            errors = self.model.value(self.laid_out(images), objective)
        return errors.float().mean(), torch.zeros((), dtype=torch.int64, device=self.device)


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
    sums = Sums.of(len(part), data.device)
    order = torch.randperm(len(part))
    for images, labels in data.batches(part, batch_size, order):
        if len(labels) == 1 and len(part) > 1:
            continue  # batch normalisation cannot learn from one image
        optimizer.zero_grad(set_to_none=True)
        seen = augment(images) if augment else images
        pieces = max(1, len(labels) // computation.plan.micro_batch)
        for some, truth in zip(seen.tensor_split(pieces), labels.tensor_split(pieces), strict=True):
            loss, correct = computation.learn(some, truth)
            # the gradient of the mean over the batch; with one micro-batch the factor is exactly 1
            share = loss if pieces == 1 else loss * (len(truth) / len(labels))
            share.backward()  # type: ignore[no-untyped-call]
            sums.loss += loss.detach() * len(truth)
            sums.correct += correct
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
    answers: Answers | None = None,
    panels: Panels | None = None,
) -> Sums:
    """One pass over a part of the data, which changes nothing; ``answers`` collects it if given. With
    ``panels``, every image lacks one."""
    computation.model.eval()
    sums = Sums.of(len(part), data.device)
    for images, labels in data.batches(part, computation.plan.evaluation_batch, panels=panels):
        scores = computation(images)
        named = scores.argmax(dim=1)
        sums.loss += nn.functional.cross_entropy(scores, labels, reduction="sum")
        sums.correct += (named == labels).sum()
        if answers is not None:
            answers.add(scores, named)
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
