"""Which weights and statistics of a network in training are measured, exported and kept.

After an epoch of few steps the running statistics of batch normalisation lag behind the weights, and with a
high learning rate the raw weights oscillate around the valley of the loss that they move along. A validation
curve of those (``as-trained``) is mostly an artefact. ``recalibrated`` recomputes the statistics from
training images (Wu and Johnson 2021, "Rethinking 'Batch' in BatchNorm", arXiv 2105.07576: precise
statistics); ``averaged`` does so for an exponential moving average of the weights (Izmailov et al. 2018,
"Averaging weights leads to wider optima and better generalization", arXiv 1803.05407). Training itself is not
touched: its weights, statistics and random numbers stay what they are.

``docs/training.md`` has the figures that the constants below rest on.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from copy import deepcopy
from math import ceil

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.optim.swa_utils import get_ema_multi_avg_fn

from a4nn_core.spaces.fitted import fit
from a4nn_core.training.compute_plan import ComputePlan
from a4nn_core.training.goals import CLASSIFICATION, Goal
from a4nn_core.training.loading import DeviceData
from a4nn_core.training.settings import EvaluationWay
from a4nn_core.training.steps import Computation

DECAY = 0.95
"""decay of the moving average per step: it reaches back about twenty steps"""
WARM_UP = 10
"""The average's decay after ``n`` steps is at most (1 + n) / (WARM_UP + n), so that the first weights, which
are random, are soon forgotten (the schedule that TensorFlow's ExponentialMovingAverage made usual)."""
STATISTICS_IMAGES = 128
"""number of training images that statistics are recomputed from"""


class EvaluatedNetwork:
    """The network that is measured, beside the one that is trained.

    Args:
        trained: the network in training, on its device and in its final memory layout: its tensors must be
            changed only in place from here on.
        way: how the measured network follows from it: averaged, recalibrated or as-trained.
        plan: compute plan.
        batch_size: batch size of the training.
        data: data set on the device.
        seed: seed for choosing the images for the statistics; they are the same after every epoch.
        images: number of these images.
        goal: what the network is trained for.

    Attributes:
        network: the module that is measured. With ``as-trained`` it is the trained one itself.
        computation: computation of that module.
        steps: number of steps in the average of the weights so far.
        decay: decay of the average per step, after its warm-up.
    """

    def __init__(
        self,
        trained: nn.Module,
        way: EvaluationWay,
        plan: ComputePlan,
        batch_size: int,
        data: DeviceData,
        seed: int,
        images: int = STATISTICS_IMAGES,
        goal: Goal = CLASSIFICATION,
    ) -> None:
        self._trained = trained
        self._data = data
        self.steps = 0
        self.decay = DECAY
        self.network: nn.Module = trained
        if way != "as-trained":
            # weights that are not averaged are shared with the trained network; the statistics are not
            shared = {} if way == "averaged" else {id(p): p for p in trained.parameters()}
            self.network = deepcopy(trained, shared)
        self.computation = Computation(self.network, plan, batch_size, data.device, goal)
        # collected once: AveragedModel does it at each step, which takes 1 % of an epoch of the preset quick
        self._averaged = [p.detach() for p in self.network.parameters()] if way == "averaged" else []
        self._current = [p.detach() for p in trained.parameters()] if way == "averaged" else []
        self._chosen = _choose(data.train.labels, images, seed)

    def after_step(self) -> None:
        """Add the weights after a training step to the average."""
        if not self._averaged:
            return
        # the first weights are taken as they are
        decay = min(self.decay, (1 + self.steps) / (WARM_UP + self.steps)) if self.steps else 0.0
        average = get_ema_multi_avg_fn(decay)  # type: ignore[no-untyped-call]
        average(self._averaged, self._current, self.steps)
        self.steps += 1

    def refresh(self) -> None:
        """Recompute the statistics of batch normalisation, and let layers that learn by looking at the
        training images do so; without such layers nothing is computed."""
        data, computation = self._data, self.computation
        with computation.number_format():
            if self.network is not self._trained:
                batches = (computation.laid_out(images) for images, _ in self._chosen_batches())
                take_statistics(self.network, batches)
            fit(self.network, lambda: data.batches(data.train, computation.plan.evaluation_batch))

    def accuracy_on_training(self) -> Tensor:
        """Fraction of the chosen training images that the measured network classifies correctly, a scalar
        tensor on the device. If it is far below the accuracy during the training steps, the measurement is
        at fault and not the network."""
        self.network.eval()
        right = torch.zeros((), device=self._data.device)
        with torch.no_grad():
            for images, labels in self._chosen_batches():
                right += (self.computation(images).argmax(dim=1) == labels).sum()
        return right / len(self._chosen)

    def _chosen_batches(self) -> Iterator[tuple[Tensor, Tensor]]:
        # all of the same size, as every batch has the same weight in the statistics
        pieces = ceil(len(self._chosen) / self.computation.plan.evaluation_batch)
        for rows in self._chosen.tensor_split(pieces):
            yield from self._data.batches(self._data.train, len(rows), rows)


@torch.no_grad()
def take_statistics(network: nn.Module, batches: Iterable[Tensor]) -> None:
    """Set the statistics of batch normalisation to the mean over batches of equal weight. Without such layers
    nothing is computed.

    ``torch.optim.swa_utils.update_bn`` puts the whole network into training mode for that: dropout would
    distort the statistics and draw random numbers that belong to the training. Here only the batch
    normalisation layers are in training mode.

    Args:
        network: network whose statistics are set; in evaluation mode afterwards.
        batches: images, each of shape (batch, channels, height, width).
    """
    network.eval()
    layers = [module for module in network.modules() if isinstance(module, _BatchNorm)]
    if not layers:
        return
    momenta = [layer.momentum for layer in layers]
    for layer in layers:
        layer.reset_running_stats()
        layer.momentum = None  # a plain mean
        layer.train()
    for images in batches:
        network(images)
    for layer, momentum in zip(layers, momenta, strict=True):
        layer.momentum = momentum
        layer.eval()


def _choose(labels: Tensor, images: int, seed: int) -> Tensor:
    """Indices of training images, stratified by class, so that fewer images suffice.

    Args:
        labels: labels of all training images, shape (count,).
        images: number of images to choose.
        seed: seed of the choice, which draws no random numbers of the training.
    """
    generator = torch.Generator().manual_seed(seed)
    mixed = torch.randperm(len(labels), generator=generator)
    if images >= len(labels):
        return mixed
    by_class = mixed[labels.cpu()[mixed].argsort(stable=True)]
    spread = torch.linspace(0, len(labels) - 1, images, dtype=torch.float64).round().long()
    return by_class[spread][torch.randperm(images, generator=generator)]
