"""Which weights and statistics of a network in training are measured, exported and kept.

After an epoch of few steps the running statistics of batch normalisation lag behind the weights, and the raw
weights of a high learning rate stand somewhere beside the valley that they wander along. A validation curve
of those (``as-trained``) is mostly an artefact. ``recalibrated`` takes the statistics anew from training
images (Wu and Johnson 2021, "Rethinking 'Batch' in BatchNorm", arXiv 2105.07576: precise statistics);
``averaged`` does so for an exponential moving average of the weights (Izmailov et al. 2018, "Averaging
weights leads to wider optima and better generalization", arXiv 1803.05407). Training itself is not touched:
its weights, statistics and random numbers stay what they are.

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

from a4nn_core.training.compute_plan import ComputePlan
from a4nn_core.training.loading import DeviceData
from a4nn_core.training.settings import EvaluationWay
from a4nn_core.training.steps import Computation

DECAY = 0.95
"""of the moving average at each step: it reaches back some twenty steps"""
WARM_UP = 10
"""The average's decay after ``n`` steps is at most (1 + n) / (WARM_UP + n), so that the first weights, which
are random, are soon forgotten (the schedule that TensorFlow's ExponentialMovingAverage made usual)."""
STATISTICS_IMAGES = 128
"""training images that statistics are taken anew from"""


class EvaluatedNetwork:
    """The network that is measured, beside the one that is trained.

    Args:
        trained: the network in training, on its device and laid out in memory as it is computed: its tensors
            are changed in place from here on.
        way: how the measured one follows from it.
        plan: of the computation.
        batch_size: of training.
        data: on the device.
        seed: of the choice of the images for the statistics; the choice is the same after every epoch.
        images: how many these are.

    Attributes:
        network: the module that is measured. With ``as-trained`` it is the trained one itself.
        computation: of that module.
        steps: that the average of the weights holds so far.
        decay: of the average at each step, once it is warm.
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
    ) -> None:
        self._trained = trained
        self._data = data
        self.steps = 0
        self.decay = DECAY
        self.network: nn.Module = trained
        if way != "as-trained":
            # where weights are not averaged they are shared; the statistics are its own
            shared = {} if way == "averaged" else {id(p): p for p in trained.parameters()}
            self.network = deepcopy(trained, shared)
        self.computation = Computation(self.network, plan, batch_size, data.device)
        # collected once: AveragedModel collects them at each step, which takes 1 % of an epoch of quick
        self._averaged = [p.detach() for p in self.network.parameters()] if way == "averaged" else []
        self._current = [p.detach() for p in trained.parameters()] if way == "averaged" else []
        self._chosen = _choose(data.train.labels, images, seed)

    def after_step(self) -> None:
        """Take the weights of a training step into the average."""
        if not self._averaged:
            return
        # the first weights are taken as they are
        decay = min(self.decay, (1 + self.steps) / (WARM_UP + self.steps)) if self.steps else 0.0
        average = get_ema_multi_avg_fn(decay)  # type: ignore[no-untyped-call]
        average(self._averaged, self._current, self.steps)
        self.steps += 1

    def refresh(self) -> None:
        """Take the statistics of batch normalisation anew; a network that has none is not computed."""
        if self.network is not self._trained:
            with self.computation.number_format():
                batches = (self.computation.laid_out(images) for images, _ in self._chosen_batches())
                take_statistics(self.network, batches)

    def accuracy_on_training(self) -> Tensor:
        """Share of the chosen training images that the measured network classifies right, a scalar on the
        device. Where it lies far below the accuracy that the training steps saw, the measurement is at
        fault and not the network."""
        self.network.eval()
        right = torch.zeros((), device=self._data.device)
        with torch.no_grad():
            for images, labels in self._chosen_batches():
                right += (self.computation(images).argmax(dim=1) == labels).sum()
        return right / len(self._chosen)

    def _chosen_batches(self) -> Iterator[tuple[Tensor, Tensor]]:
        # of the same size, as every batch counts the same in the statistics
        pieces = ceil(len(self._chosen) / self.computation.plan.evaluation_batch)
        for rows in self._chosen.tensor_split(pieces):
            yield from self._data.batches(self._data.train, len(rows), rows)


@torch.no_grad()
def take_statistics(network: nn.Module, batches: Iterable[Tensor]) -> None:
    """Set the statistics of batch normalisation to the mean over batches, which count the same. Without such
    layers nothing is computed.

    ``torch.optim.swa_utils.update_bn`` puts the whole network into training for that: dropout would distort
    the statistics and draw random numbers that belong to the training. Here only these layers are.

    Args:
        network: that is not trained; in evaluation mode afterwards.
        batches: images, shape (batch, channels, height, width).
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
    """Rows of training images with the classes in the proportions of the whole: fewer images do so.

    Args:
        labels: of all training images.
        images: how many to choose.
        seed: of the choice, which uses no random numbers of the training.
    """
    generator = torch.Generator().manual_seed(seed)
    mixed = torch.randperm(len(labels), generator=generator)
    if images >= len(labels):
        return mixed
    by_class = mixed[labels.cpu()[mixed].argsort(stable=True)]
    spread = torch.linspace(0, len(labels) - 1, images, dtype=torch.float64).round().long()
    return by_class[spread][torch.randperm(images, generator=generator)]
