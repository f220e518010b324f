"""Networks as a model of what they will reach sees them: features of the architecture, curves so far."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from a4nn_core.penguin.measure import Kind, Measure
from a4nn_core.vocabulary import Curves


@dataclass(frozen=True, slots=True)
class Observed:
    """What is known of one network.

    Attributes:
        features: numbers that describe its architecture, by name; a feature that it lacks counts as 0.
        validation: what was measured on the validation images (an accuracy in percent, or a ratio in
            decibels), one value per epoch, from epoch 1; empty before training.
        training: the same on the training images; empty if it was not recorded.
    """

    features: Mapping[str, float]
    validation: tuple[float, ...] = ()
    training: tuple[float, ...] = ()

    @property
    def epochs(self) -> int:
        """Number of epochs it has been trained."""
        return len(self.validation)

    @property
    def best(self) -> float | None:
        """The best value on the validation images so far; None before the first epoch."""
        return max(self.validation, default=None)


@dataclass(frozen=True, slots=True)
class Past:
    """An earlier run, from which a model may learn.

    Attributes:
        run: its id.
        horizon: epochs that a network was trained at most.
        measure: what its curves measure, and how precisely.
        curves: which weights were measured after the epochs.
        networks: its networks, those that were ended early among them.
    """

    run: str
    horizon: int
    measure: Measure
    curves: Curves
    networks: tuple[Observed, ...]

    @property
    def kind(self) -> Kind:
        """The kind of its curves."""
        return self.measure.kind(self.curves)
