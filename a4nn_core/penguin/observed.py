"""Networks as a model of final accuracies sees them: features of the architecture and the curves so far."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from a4nn_core.vocabulary import Curves


@dataclass(frozen=True, slots=True)
class Observed:
    """What is known of one network.

    Attributes:
        features: numbers that describe its architecture, by name; a feature that it lacks counts as 0.
        accuracy: on the validation images in percent, one value per epoch, from epoch 1; empty before
            training.
        training: accuracy on the training images in percent, likewise; empty if it was not recorded.
    """

    features: Mapping[str, float]
    accuracy: tuple[float, ...] = ()
    training: tuple[float, ...] = ()

    @property
    def epochs(self) -> int:
        """Number of epochs it has been trained."""
        return len(self.accuracy)

    @property
    def best(self) -> float | None:
        """Best validation accuracy so far in percent; None before the first epoch."""
        return max(self.accuracy, default=None)


@dataclass(frozen=True, slots=True)
class Past:
    """An earlier run, from which a model may learn.

    Attributes:
        run: its id.
        horizon: epochs that a network was trained at most.
        images: number of validation images; None if it was not recorded.
        curves: which weights were measured after the epochs.
        networks: its networks, those that were ended early among them.
    """

    run: str
    horizon: int
    images: int | None
    curves: Curves
    networks: tuple[Observed, ...]
