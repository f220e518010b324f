"""What networks are trained for: to name classes, or to restore images. A goal says what they lose by a wrong
answer, and how good answers are."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, Literal

import torch
from torch import Tensor, nn

from a4nn_core.assessment import Assessment, Fidelity, assess
from a4nn_core.spaces.build import Network
from a4nn_core.training.settings import Loss
from a4nn_core.vocabulary import Task

LEAST_PHOTONS = 1e-4
"""restored values below this count as this in the Poisson deviance, which would be infinite at 0"""
MOST_DECIBELS = 100.0
"""of an image that is restored exactly, whose ratio would be infinite"""
Reduction = Literal["mean", "sum"]


class Goal(ABC):
    """What networks are trained for.

    Attributes:
        unit: what the mean score of an image is multiplied by in records.
    """

    unit: float

    @abstractmethod
    def loss(self, outputs: Tensor, truth: Tensor, reduction: Reduction) -> Tensor:
        """The loss of images, its mean or its sum over them, a scalar.

        Args:
            outputs: outputs of the network, float32, shape (batch, ...).
            truth: what they should be.
            reduction: mean or sum.
        """

    @abstractmethod
    def score(self, outputs: Tensor, truth: Tensor) -> Tensor:
        """How good outputs are, summed over the images, a scalar."""

    @abstractmethod
    def zero(self, device: torch.device) -> Tensor:
        """The sum of no scores."""

    @abstractmethod
    def answers(self) -> Answers | Restored:
        """A new collection of the outputs of a pass."""


class Classification(Goal):
    """To name the class of an image: cross entropy, and 1 for each right answer."""

    unit = 100.0

    def loss(self, outputs: Tensor, truth: Tensor, reduction: Reduction) -> Tensor:
        return nn.functional.cross_entropy(outputs, truth, reduction=reduction)

    def score(self, outputs: Tensor, truth: Tensor) -> Tensor:
        return (outputs.argmax(dim=1) == truth).sum()

    def zero(self, device: torch.device) -> Tensor:
        return torch.zeros((), dtype=torch.int64, device=device)

    def answers(self) -> Answers:
        return Answers()


class Restoration(Goal):
    """To restore images: squared error or Poisson deviance, each in a scale of the data set, and the peak
    signal-to-noise ratio in decibels.

    Args:
        what: the loss.
        peak: value that decibels are relative to.
        scale: standard deviation of the expected values of the training images: squared errors are measured
            in its square, so that they are of the same size in every data set.
    """

    unit = 1.0

    def __init__(self, what: Loss, peak: float, scale: float) -> None:
        self.what = what
        self.peak = peak
        self.scale = scale

    def loss(self, outputs: Tensor, truth: Tensor, reduction: Reduction) -> Tensor:
        if self.what == "squared-error":
            each = squared_errors(outputs, truth) / self.scale**2
        else:
            each = poisson_deviances(outputs, truth) / truth[0].numel()
        return each.mean() if reduction == "mean" else each.sum()

    def score(self, outputs: Tensor, truth: Tensor) -> Tensor:
        return decibels(squared_errors(outputs, truth), self.peak).sum()

    def zero(self, device: torch.device) -> Tensor:
        return torch.zeros((), device=device)

    def answers(self) -> Restored:
        return Restored(self.peak)


CLASSIFICATION = Classification()


def squared_errors(restored: Tensor, expected: Tensor) -> Tensor:
    """Mean over the pixels of the squared difference, shape (batch,).

    Args:
        restored, expected: images, shape (batch, channels, height, width).
    """
    return (restored - expected).square().mean(dim=(1, 2, 3))


def decibels(errors: Tensor, peak: float) -> Tensor:
    """Peak signal-to-noise ratio, ``10 log10(peak^2 / error)``, at most ``MOST_DECIBELS``.

    Args:
        errors: mean squared errors of images, shape (batch,).
        peak: greatest value of the signal.
    """
    least = peak**2 * 10 ** (-MOST_DECIBELS / 10)
    return 10 * torch.log10(peak**2 / errors.clamp(min=least))


def poisson_deviances(restored: Tensor, expected: Tensor) -> Tensor:
    """How much less likely photons of the expected intensity are under the restored one than under their own:
    ``2 sum(m log(m / r) - m + r)``, summed over the pixels of an image, shape (batch,). It is twice the
    Kullback-Leibler divergence of the Poisson distributions, which no restored image can make negative.

    Args:
        restored, expected: expected photons, shape (batch, channels, height, width).
    """
    floored = restored.clamp(min=LEAST_PHOTONS)
    terms = torch.xlogy(expected, expected) - torch.xlogy(expected, floored) - expected + floored
    return 2 * terms.sum(dim=(1, 2, 3))


def take_units(network: nn.Module, scale: float, mean: Tensor) -> None:
    """Give the images that a network makes the units of a data set; of a classifier nothing changes.

    Args:
        network: the network.
        scale: standard deviation of the expected values.
        mean: mean expected image, shape (channels, height, width).
    """
    if isinstance(network, Network) and network.architecture.task is Task.restoration:
        head: Any = network.layers[-1]
        head.take_units(scale, mean)


class Answers:
    """A network's answers to the images of a pass. They stay on the device until they are assessed, so a pass
    that collects them computes nothing more."""

    def __init__(self) -> None:
        self._scores: list[Tensor] = []
        self._labels: list[Tensor] = []

    def add(self, scores: Tensor, labels: Tensor) -> None:
        """Add a batch: class scores, shape (batch, classes), and true classes, shape (batch,)."""
        self._scores.append(scores)
        self._labels.append(labels)

    def assess(self) -> Assessment:
        """What the answers say beside the accuracy."""
        scores = torch.cat(self._scores)
        named = scores.argmax(dim=1).cpu().numpy()
        # on the CPU: not every device has double precision
        shares = scores.cpu().double().softmax(dim=1)
        return assess(shares.numpy(), named, torch.cat(self._labels).cpu().numpy())


class Restored:
    """How near the restored images of a pass come to the expected ones, image by image, on the device.

    Args:
        peak: value that decibels are relative to.
    """

    def __init__(self, peak: float) -> None:
        self._peak = peak
        self._errors: list[Tensor] = []
        self._deviances: list[Tensor] = []

    def add(self, restored: Tensor, expected: Tensor) -> None:
        """Add a batch of images."""
        self._errors.append(squared_errors(restored, expected))
        self._deviances.append(poisson_deviances(restored, expected))

    def fidelity(self) -> Fidelity:
        """The means over all images, with the standard error of the first."""
        each: Any = decibels(torch.cat(self._errors), self._peak).cpu().double().numpy()
        deviances: Any = torch.cat(self._deviances).cpu().double().numpy()
        return Fidelity.of(each, deviances)
