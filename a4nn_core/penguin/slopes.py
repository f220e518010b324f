"""What the first epochs of a network say about its last: lines fitted to runs whose networks were trained on.

With y the logarithm of a network's final validation error, x1 that of its least training error after a share
of the epochs, and x2 that of its least validation error then,

    y = intercept + training x1 + validation x2 + noise.

In these units the slopes are alike for runs on different data, while the intercept is a run's own. The
training error is measured with the statistics of the batch, so it lacks the noise of validation curves of
weights as trained: early, it says nearly all. Later, the best validation error so far takes over.

``TABLES`` has the lines of this package, for runs without a prior; ``benchmarks/forecasts.py`` fits them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import astuple, dataclass

import numpy as np
from numpy.typing import NDArray

from a4nn_core.penguin.gaussian import DEGREES
from a4nn_core.penguin.measure import Kind, Measure
from a4nn_core.penguin.observed import Observed, Past

Array = NDArray[np.float64]

LEAST_VARIANCE = 1e-4
"""of the noise of a line"""


@dataclass(frozen=True)
class Line:
    """y = intercept + training x1 + validation x2 + noise.

    Attributes:
        intercept, training, validation: the coefficients.
        noise: scale of Student's t, without that of counting.
        counting: share of the variance of counting errors that shows: less than 1, as the networks of a run
            are measured on the same images, and late in training most errors have been counted before.
        x1, x2: what is usual, the place about which slopes are uncertain.
    """

    intercept: float
    training: float = 0.0
    validation: float = 0.0
    noise: float = 0.25
    counting: float = 1.0
    x1: float = 0.0
    x2: float = 0.0

    def variance(self, counting: Array, times: float = 1.0) -> Array:
        """Squared scale of so many times its noise and of counting errors with that variance, any shape."""
        return np.asarray((times * self.noise) ** 2 + self.counting * counting)

    def at(self, inputs: Array) -> Array:
        """y for the inputs x1, x2, shape (n, 2)."""
        return np.asarray(self.intercept + inputs @ np.array([self.training, self.validation]))


@dataclass(frozen=True)
class Slopes:
    """Lines after growing shares of the epochs.

    Attributes:
        fractions: the shares, growing.
        both: one line for each.
        alone: the same for networks whose training accuracy is not known; the slope ``training`` is 0.
    """

    fractions: tuple[float, ...]
    both: tuple[Line, ...]
    alone: tuple[Line, ...]

    def at(self, fraction: float, with_training: bool) -> Line:
        """The line after a share of the epochs, between its neighbours in the table."""
        lines = np.array([astuple(line) for line in (self.both if with_training else self.alone)])
        return Line(*(float(np.interp(fraction, self.fractions, column)) for column in lines.T))


def fit_slopes(runs: Sequence[Past], fractions: Sequence[float]) -> Slopes:
    """Lines fitted to the finished networks of runs, with an intercept for each run.

    Args:
        runs: of one kind of curves.
        fractions: shares of the epochs, growing.
    """
    return Slopes(
        tuple(fractions),
        tuple(_fit(runs, share, True) for share in fractions),
        tuple(_fit(runs, share, False) for share in fractions),
    )


def _fit(runs: Sequence[Past], fraction: float, with_training: bool) -> Line:
    rows, targets, counts, usual = [], [], [], []
    for place, run in enumerate(runs):
        epoch = max(1, round(fraction * run.horizon))
        whole = [
            n for n in run.networks if finished(n, run.horizon) and (knows_training(n) or not with_training)
        ]
        if not whole:
            continue
        x = inputs(whole, epoch, run.measure, with_training)
        mine = np.zeros((len(whole), len(runs)))
        mine[:, place] = 1.0
        y = ends(whole, run.measure)
        rows.append(np.column_stack([mine, x]))
        usual.append(np.median(x, axis=0))
        targets.append(y)
        counts.append(run.measure.sampling_variance(y))
    a, y, c = np.vstack(rows), np.concatenate(targets), np.concatenate(counts)
    coefficients, noise, counting = max(
        (_robust(a, y, share * c, share) for share in _COUNTING), key=lambda found: found[0]
    )[1:]
    intercepts = coefficients[:-2][a[:, :-2].any(axis=0)]
    x1, x2 = np.mean(usual, axis=0)
    values = (intercepts.mean(), *coefficients[-2:], noise, counting, x1, x2)
    return Line(*(round(float(value), 3) for value in values))


_COUNTING = (0.0, 0.1, 0.25, 0.5, 1.0)


def _robust(a: Array, y: Array, counted: Array, share: float) -> tuple[float, Array, float, float]:
    """Coefficients and noise of a line by iteratively reweighted least squares, with their log likelihood.

    Args:
        a: its terms, shape (n, m).
        y: shape (n,).
        counted: variance beside that of the noise, shape (n,).
        share: returned as it is.
    """
    variance, precision = 0.05, np.ones(len(y))
    little = 1e-3 * np.eye(a.shape[1])
    for _ in range(60):
        weight = precision / (variance + counted)
        b = np.linalg.solve(a.T @ (a * weight[:, None]) + little, a.T @ (weight * y))
        left = y - a @ b
        total = variance + counted
        precision = (DEGREES + 1) / (DEGREES + left**2 / total)
        # the likeliest variance where it is all there is; else a step towards it
        step = np.sum(precision * left**2 / total**2) / np.sum(1 / total)
        variance = max(float(variance * step), LEAST_VARIANCE)
    total = variance + counted
    likelihood = -0.5 * np.log(total) - (DEGREES + 1) / 2 * np.log1p(left**2 / (DEGREES * total))
    return float(likelihood.sum()), np.asarray(b), float(np.sqrt(variance)), share


def finished(network: Observed, horizon: int) -> bool:
    """Whether it was trained to the last epoch."""
    return network.epochs >= horizon


def knows_training(network: Observed) -> bool:
    """Whether its training accuracy was recorded after all its epochs."""
    return len(network.training) >= network.epochs


def ends(networks: Sequence[Observed], measure: Measure) -> Array:
    """y of networks: log errors of the best that they reached, shape (n,)."""
    return measure.log_error([greatest(network.validation) for network in networks])


def inputs(networks: Sequence[Observed], epoch: int, measure: Measure, with_training: bool) -> Array:
    """x1 and x2 of networks after an epoch, shape (n, 2); x1 is 0 where training is not to be used."""
    x = np.zeros((len(networks), 2))
    if with_training:
        x[:, 0] = measure.log_error([greatest(n.training[:epoch]) for n in networks])
    x[:, 1] = measure.log_error([greatest(n.validation[:epoch]) for n in networks])
    return x


def greatest(values: Sequence[float]) -> float:
    """The greatest of those that are finite; 0 without one."""
    return max((value for value in values if math.isfinite(value)), default=0.0)


# set by hand and not fitted: what a curve has reached, and a little more, less so late in training
_RESTORED = (
    Line(-0.3, 0.0, 1.0, 0.2, 0.1, 0.0, -6.0),
    Line(-0.15, 0.0, 1.0, 0.1, 0.1, 0.0, -6.0),
    Line(-0.08, 0.0, 1.0, 0.05, 0.1, 0.0, -6.0),
    Line(-0.03, 0.0, 1.0, 0.02, 0.0, 0.0, -6.0),
    Line(0.0, 0.0, 1.0, 0.01, 0.0, 0.0, -6.0),
)

# printed by `python benchmarks/forecasts.py --data FOLDER --fit`: as trained, fitted to the published runs;
# averaged, to the curves in tests/data
TABLES: dict[Kind, Slopes] = {
    "as-trained": Slopes(
        fractions=(0.04, 0.08, 0.12, 0.16, 0.24, 0.32, 0.4, 0.48, 0.56, 0.64, 0.72, 0.8, 0.88, 1.0),
        both=(
            Line(6.372, 5.687, 0.127, 0.195, 1.0, -2.139, -1.671),
            Line(2.349, 2.861, -0.051, 0.183, 1.0, -2.934, -2.238),
            Line(1.07, 2.173, -0.079, 0.166, 1.0, -3.344, -2.654),
            Line(0.426, 1.761, 0.018, 0.174, 1.0, -3.647, -3.017),
            Line(-0.288, 1.336, 0.073, 0.169, 1.0, -4.205, -3.7),
            Line(-0.548, 1.154, 0.084, 0.16, 1.0, -4.652, -4.072),
            Line(-0.949, 0.856, 0.174, 0.135, 1.0, -5.268, -4.583),
            Line(-1.264, 0.636, 0.26, 0.149, 1.0, -5.831, -4.846),
            Line(-1.372, 0.329, 0.512, 0.172, 0.5, -6.403, -5.589),
            Line(-1.096, 0.083, 0.803, 0.132, 0.5, -7.148, -5.924),
            Line(-0.77, -0.023, 0.96, 0.085, 0.5, -8.152, -6.21),
            Line(-0.444, -0.012, 0.965, 0.056, 0.1, -8.664, -6.393),
            Line(-0.115, -0.007, 0.993, 0.031, 0.0, -8.901, -6.499),
            Line(-0.0, 0.0, 1.0, 0.01, 0.0, -8.98, -6.508),
        ),
        alone=(
            Line(-4.676, 0.0, 0.795, 0.874, 0.0, 0.0, -1.671),
            Line(-4.275, 0.0, 0.756, 0.843, 0.0, 0.0, -2.238),
            Line(-2.84, 0.0, 1.076, 0.641, 1.0, 0.0, -2.654),
            Line(-1.811, 0.0, 1.306, 0.573, 1.0, 0.0, -3.017),
            Line(-1.387, 0.0, 1.212, 0.435, 1.0, 0.0, -3.7),
            Line(-1.162, 0.0, 1.166, 0.323, 1.0, 0.0, -4.072),
            Line(-1.0, 0.0, 1.111, 0.283, 1.0, 0.0, -4.583),
            Line(-1.0, 0.0, 1.049, 0.245, 1.0, 0.0, -4.846),
            Line(-1.04, 0.0, 0.958, 0.179, 1.0, 0.0, -5.589),
            Line(-0.907, 0.0, 0.939, 0.129, 0.5, 0.0, -5.924),
            Line(-0.866, 0.0, 0.912, 0.089, 0.5, 0.0, -6.21),
            Line(-0.48, 0.0, 0.943, 0.057, 0.1, 0.0, -6.393),
            Line(-0.117, 0.0, 0.984, 0.032, 0.0, 0.0, -6.499),
            Line(-0.0, 0.0, 1.0, 0.01, 0.0, 0.0, -6.508),
        ),
    ),
    "averaged": Slopes(
        fractions=(0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0),
        both=(
            Line(-3.013, 0.055, 0.061, 0.01, 0.25, -1.122, -1.836),
            Line(-2.87, 0.036, 0.117, 0.01, 0.25, -1.706, -2.192),
            Line(-2.557, -0.074, 0.313, 0.01, 0.25, -2.504, -2.606),
            Line(-2.2, -0.126, 0.474, 0.01, 0.25, -2.936, -2.864),
            Line(-1.37, -0.058, 0.665, 0.016, 0.1, -3.313, -3.014),
            Line(-0.902, -0.054, 0.799, 0.01, 0.1, -3.648, -3.112),
            Line(-0.331, -0.032, 0.946, 0.01, 0.1, -3.992, -3.159),
            Line(-0.042, -0.004, 0.996, 0.01, 0.0, -4.209, -3.174),
            Line(-0.009, -0.001, 0.999, 0.01, 0.0, -4.371, -3.189),
            Line(-0.0, 0.0, 1.0, 0.01, 0.0, -4.541, -3.196),
        ),
        alone=(
            Line(-3.014, 0.0, 0.094, 0.01, 0.25, 0.0, -1.836),
            Line(-2.884, 0.0, 0.139, 0.01, 0.25, 0.0, -2.192),
            Line(-2.513, 0.0, 0.259, 0.01, 0.25, 0.0, -2.606),
            Line(-2.091, 0.0, 0.383, 0.01, 0.25, 0.0, -2.864),
            Line(-1.283, 0.0, 0.63, 0.017, 0.1, 0.0, -3.014),
            Line(-0.789, 0.0, 0.772, 0.01, 0.1, 0.0, -3.112),
            Line(-0.236, 0.0, 0.935, 0.01, 0.1, 0.0, -3.159),
            Line(-0.024, 0.0, 0.996, 0.01, 0.0, 0.0, -3.174),
            Line(-0.005, 0.0, 0.999, 0.01, 0.0, 0.0, -3.189),
            Line(-0.0, 0.0, 1.0, 0.01, 0.0, 0.0, -3.196),
        ),
    ),
    "restored": Slopes(
        fractions=(0.1, 0.25, 0.5, 0.75, 1.0),
        both=_RESTORED,
        alone=_RESTORED,
    ),
}
