"""The error law: the distance to the best possible value shrinks as a power of time.

With e(k) the distance, in percent of the metric's range, between the best value of k epochs and the best
value that the metric can take, the law predicts for the last epoch n

    log e(n) = log e(k) - g L,    L = log(n / k),    log g = b0 + b1 log e(k) + b2 log L.

Curves trained with an annealed learning rate rise in their last epochs by more than any function fitted to
their first ones says; how much more depends mostly on how far they still are from the best possible value. As
b1 is negative, the law keeps the order of networks compared after the same epoch: its rank correlation with
the truth is that of the best value so far. Its interval (``Band``) depends on more of the curve.

The coefficients in ``LAW`` and ``BAND`` are fitted by ``benchmarks/prediction.py`` to public learning curves,
each source counting the same. That script also judges the law on sources left out of the fit;
``docs/benchmarks.md`` has its tables.

All these curves are of weights as training left them. Measured on averaged weights with statistics
recomputed for them, a curve rises early and little by the end, and has no noise that annealing takes away.
Such curves have coefficients of their own (``AVERAGED_LAW``, ``AVERAGED_BAND``), fitted by
``benchmarks/own_curves.py`` to runs of this project. There b1 is 1: the larger the error, the faster it
shrinks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from a4nn_core.vocabulary import Curves

FLOOR = 0.01
"""Percent of the range added to every error, so that a perfect value has a logarithm."""

FEWEST_PEERS = 8
"""Finished networks of a run that are needed to learn from them."""

FLATTEST = 0.01
"""Least slope of the line through the finished networks: above 0, so that it keeps the order of networks."""


@dataclass(frozen=True)
class ErrorLaw:
    """The coefficients b0, b1, b2 of the law."""

    level: float
    slope: float
    time: float

    def predict(self, error: ArrayLike, ahead: ArrayLike) -> NDArray[np.float64]:
        """The logarithm of the error at the last epoch.

        Args:
            error: log e(k), any shape.
            ahead: L = log(n / k), above 0, of a shape that broadcasts with it.
        """
        e, length = np.asarray(error, dtype=np.float64), np.asarray(ahead, dtype=np.float64)
        exponent = self.level + self.slope * e + self.time * np.log(length)
        rate = np.minimum(np.exp(np.clip(exponent, -6.0, 2.0)), 4.0)
        return np.asarray(e - rate * length)


@dataclass(frozen=True)
class Traits:
    """What the interval of a curve depends on, all from the curve itself, on the scale of log e.

    Attributes:
        error: log e(k).
        rate: how fast it fell so far: minus its slope against log time since a quarter of the epochs.
        noise: by how much log e grows when the metric falls back as far as one epoch in five of the newer
            half fell below the best value of its time. Noise of a high learning rate is what annealing takes
            away.
    """

    error: float
    rate: float
    noise: float


def traits_of(values: ArrayLike, scale: tuple[float, float]) -> Traits:
    """The traits of a curve.

    Args:
        values: one per epoch, at least one, finite.
        scale: the worst and the best value of the metric, as in ``log_error``.
    """
    worst, ideal = scale
    sign = 1.0 if ideal > worst else -1.0
    up = sign * np.asarray(values, dtype=np.float64)
    best, epochs = np.maximum.accumulate(up), len(up)
    error = float(log_error(sign * best[-1], scale))
    rate = noise = 0.0
    if epochs > 1:
        quarter = max(1, epochs // 4)
        rate = (float(log_error(sign * best[quarter - 1], scale)) - error) / float(np.log(epochs / quarter))
        fallen = float(np.quantile((best - up)[max(1, (epochs + 1) // 2) :], 0.8))
        noise = float(log_error(sign * max(best[-1] - fallen, sign * worst), scale)) - error
    return Traits(error, rate, noise)


@dataclass(frozen=True)
class Band:
    """The ends of the interval: log e(n) - log e(k), each a sum of

        1,  L,  L / (1 + e(k)),  L rate,  noise

    with these coefficients. ``low`` is the smaller error. They are linear quantiles (8 and 92 %) over all
    sources: on a source left out of the fit, their coverage is near 90 %.

    Attributes:
        low, high: the five coefficients of either end.
        fall: where nothing says that the learning rate falls, the error at the end can at least be so much
            greater: the 90 % quantile of the worst source.
    """

    low: tuple[float, float, float, float, float]
    high: tuple[float, float, float, float, float]
    fall: float

    def of(self, traits: Traits, ahead: float, annealed: bool) -> tuple[float, float]:
        """What to add to log e(k) for the better and the worse end of the interval.

        Args:
            traits: the traits of the curve.
            ahead: L = log(n / k).
            annealed: whether the learning rate is known to fall to about nothing by the last epoch.
        """
        terms = np.array(
            [1.0, ahead, ahead / (1 + float(np.exp(traits.error))), ahead * traits.rate, traits.noise]
        )
        low, high = (float(np.dot(c, terms)) for c in (self.low, self.high))
        return low, high if annealed else max(high, self.fall)


def log_error(values: ArrayLike, scale: tuple[float, float]) -> NDArray[np.float64]:
    """log e of values of the metric.

    Args:
        values: any shape.
        scale: the worst and the best value that the metric can take; the best may be the smaller one.
    """
    worst, ideal = scale
    share = (ideal - np.asarray(values, dtype=np.float64)) / (ideal - worst)
    return np.asarray(np.log(np.maximum(100.0 * share, 0.0) + FLOOR))


def value_of(error: ArrayLike, scale: tuple[float, float]) -> NDArray[np.float64]:
    """The inverse of ``log_error``, continued below the floor so that unequal values never become equal."""
    worst, ideal = scale
    raised = np.exp(np.asarray(error, dtype=np.float64))
    percent = np.where(raised > 2 * FLOOR, raised - FLOOR, raised**2 / (4 * FLOOR))
    return np.asarray(ideal - np.minimum(percent / 100.0, 1.0) * (ideal - worst))


@dataclass(frozen=True)
class Peers:
    """What the finished networks of a run imply: log e(n) = offset + slope log e(k), and their scatter.

    Attributes:
        slope, offset: by least squares about the medians, the slope between ``FLATTEST`` and 1. A slope near
            0 predicts the median of their final values, a slope of 1 the median ratio of their errors.
        low, high: 5 and 95 % quantiles of their residuals from the line, widened for their small number.
        count: how many networks the line was fitted to.
    """

    slope: float
    offset: float
    low: float
    high: float
    count: int


def learn_from(finished: Sequence[Sequence[float]], epochs: int, scale: tuple[float, float]) -> Peers | None:
    """The line of the finished networks of a run; None if fewer than ``FEWEST_PEERS`` can be used.

    Args:
        finished: whole curves, one value per epoch. Those with values that are not finite are left out.
        epochs: for how many epochs the network to be judged has been trained.
        scale: the worst and the best value of the metric, as in ``log_error``.
    """
    usable = [np.asarray(c, dtype=np.float64) for c in finished if len(c) > epochs]
    usable = [c for c in usable if np.isfinite(c).all()]
    if len(usable) < FEWEST_PEERS:
        return None
    best = np.max if scale[1] > scale[0] else np.min
    then = log_error([best(c[:epochs]) for c in usable], scale)
    final = log_error([c[-1] for c in usable], scale)
    dx, dy = then - np.median(then), final - np.median(final)
    spread = float(np.sum(dx * dx))
    slope = float(np.clip(np.sum(dx * dy) / spread, FLATTEST, 1.0)) if spread > 1e-12 else FLATTEST
    rest = final - slope * then
    offset = float(np.median(rest))
    # the quantile of a value to come from few seen: the share grows by 1 + 1 / count (split conformal)
    count = len(usable)
    share = min(0.95 * (1 + 1 / count), 1.0)
    low, high = (float(q) for q in np.quantile(rest - offset, [1 - share, share]))
    widen = 1 + 2 / count
    return Peers(slope, offset, min(low, 0.0) * widen, max(high, 0.0) * widen, count)


# printed by `python benchmarks/prediction.py --data FOLDER --fit`
LAW = ErrorLaw(1.577, -1.029, 0.836)
BAND = Band((0.084, -0.936, -3.71, -0.308, 0.031), (0.096, -0.075, 0.847, -0.428, 0.117), 0.114)
# printed by `python benchmarks/own_curves.py --fit`
AVERAGED_LAW = ErrorLaw(-3.947, 1.0, 1.378)
AVERAGED_BAND = Band((-0.093, -1.301, 7.966, -0.705, 0.031), (0.074, -0.974, 6.624, -0.229, 0.796), 0.222)

COEFFICIENTS: dict[Curves, tuple[ErrorLaw, Band]] = {
    "as-trained": (LAW, BAND),
    "averaged": (AVERAGED_LAW, AVERAGED_BAND),
}
