"""Training made up from a published run: a complete learning curve for any genome of its space.

The final error of a network, on a logarithmic scale, is a function of its architecture plus a deviation. The
function is a Gaussian process through the networks of the run; its kernel, exp(-distance), is rougher than
the one that the rule ``front`` supposes. Deviation and curve come from one of the networks of the run that
are most like it: how far the process misses that one when it is left out, and its curves, moved to the new
final error epoch by epoch as far as the errors of the run's networks move with their final ones. So noise,
outliers and what early epochs tell are those of the run.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from a4nn_core.penguin.observed import Observed, Past
from a4nn_core.penguin.slopes import ends
from a4nn_core.spaces.architecture import Architecture
from a4nn_core.spaces.features import architecture_features

Array = NDArray[np.float64]

NEAREST = 5
"""networks of the run of which one lends its curve"""
LENGTHS = (0.5, 1.0, 2.0, 4.0, 8.0)
"""of the kernel; the mean squared distance of two networks is 2"""
NOISE = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.4)
"""variance of the deviation, as a share of the function's"""


@dataclass(frozen=True)
class Trained:
    """A network at the end of its training.

    Attributes:
        whole: its architecture and its complete curves.
        expected: accuracy in percent that is expected of its architecture, without deviation.
    """

    whole: Observed
    expected: float


class Surrogate:
    """Trains networks without training.

    Args:
        run: whose networks were all trained to the end, with training accuracies.
        seed: of the deviations; a network trained twice under one seed has the same curves.

    Attributes:
        left_out: the logarithm of the final error of each network of the run, as the others tell it.
    """

    def __init__(self, run: Past, seed: int) -> None:
        self.run, self.seed = run, seed
        names = sorted({name for network in run.networks for name in network.features})
        raw = np.array([[n.features.get(name, 0.0) for name in names] for n in run.networks])
        kept = raw.std(axis=0) > 1e-9
        self._names = [name for name, differs in zip(names, kept, strict=True) if differs]
        self._centre = raw[:, kept].mean(axis=0)
        self._width = raw[:, kept].std(axis=0) * max(kept.sum(), 1) ** 0.5
        self._at = (raw[:, kept] - self._centre) / self._width
        self.final = ends(run.networks, run.measure)
        self._mean = float(self.final.mean())
        self._fit()
        self._validation = run.measure.log_error([n.validation for n in run.networks])
        self._training = run.measure.log_error([n.training for n in run.networks])
        away = self.final - self._mean
        self._moves = [away @ errors / (away @ away) for errors in (self._validation, self._training)]

    def _fit(self) -> None:
        """Length and noise under which each network is best told by the others."""
        distance = _distances(self._at, self._at)
        away = self.final - self._mean
        best = -np.inf
        for length in LENGTHS:
            for noise in NOISE:
                inverse = np.linalg.inv(np.exp(-distance / length) + noise * np.eye(len(away)))
                missed = inverse @ away / np.diag(inverse)
                size = float(np.mean(missed**2 * np.diag(inverse)))
                density = -0.5 * float(np.sum(np.log(size / np.diag(inverse)))) - 0.5 * len(away)
                if density > best:
                    best, self._length, self._weights = density, length, inverse @ away
                    self.left_out = self.final - missed

    def train(self, architecture: Architecture) -> Trained:
        """Curves of a network of the run's space."""
        features = architecture_features(architecture)
        at = np.array([features.get(name, 0.0) for name in self._names])
        distance = _distances(((at - self._centre) / self._width)[None], self._at)[0]
        expected = self._mean + float(np.exp(-distance / self._length) @ self._weights)
        rng = np.random.default_rng([self.seed, int(architecture.hash[:12], 16)])
        lender = int(rng.choice(np.argsort(distance, kind="stable")[:NEAREST]))
        move = expected - self.left_out[lender]  # what the lender deviates by, it lends
        validation, training = (
            self.run.measure.value(errors[lender] + slopes * move).tolist()
            for errors, slopes in zip((self._validation, self._training), self._moves, strict=True)
        )
        whole = Observed(features, tuple(validation), tuple(training))
        return Trained(whole, float(self.run.measure.value(expected)))


def _distances(first: Array, second: Array) -> Array:
    return np.asarray(np.linalg.norm(first[:, None] - second[None], axis=-1))
