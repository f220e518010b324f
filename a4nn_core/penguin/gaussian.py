"""Gaussian process regression with heavy-tailed noise of known relative size (NumPy and SciPy).

The noise of an observation is Student's t with four degrees of freedom: a Gaussian whose precision is itself
drawn from a gamma distribution. A few rounds of iteratively reweighted least squares find the precisions, so
that a network that behaves unlike all others hardly moves the model (Lange, Little and Taylor, "Robust
statistical modeling using the t distribution", JASA 84, 1989).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cholesky, solve_triangular
from scipy.linalg.lapack import dpotri

Array = NDArray[np.float64]

DEGREES = 4.0
"""degrees of freedom of the noise"""
ROUNDS = 3
"""of reweighting"""


@dataclass(frozen=True)
class Posterior:
    """What observations tell about a function.

    Attributes:
        lower: Cholesky factor of their covariance, shape (n, n).
        weights: the covariance's inverse times the observations, shape (n,).
        log_left_out: sum of the logarithms of the density of each observation, as predicted from the others,
            up to a constant: what to choose the sizes of kernel and noise by. (The evidence, maximised
            together with the precisions, takes the noise for smaller than it is.)
    """

    lower: Array
    weights: Array
    log_left_out: float

    def predict(self, cross: Array, own: Array) -> tuple[Array, Array]:
        """Mean and covariance of the function at other places, shapes (m,) and (m, m).

        Args:
            cross: covariance of the function there with that at the observed places, shape (m, n).
            own: its prior covariance there, shape (m, m).
        """
        mean, explained = self.explain(cross)
        return mean, own - explained.T @ explained

    def explain(self, cross: Array) -> tuple[Array, Array]:
        """Mean of the function at other places, shape (m,), and a matrix (n, m) whose columns' inner products
        are by how much the observations lessen the covariances between them.

        Args:
            cross: see ``predict``.
        """
        if not len(self.weights):
            return np.zeros(len(cross)), np.zeros((0, len(cross)))
        explained = solve_triangular(self.lower, cross.T, lower=True, check_finite=False)
        return cross @ self.weights, explained


def regress(kernel: Array, observed: Array, noise: Array) -> Posterior:
    """The posterior of a function with mean 0.

    Args:
        kernel: its covariance at the observed places, shape (n, n).
        observed: the observations, shape (n,).
        noise: squared scale of the noise of each, above 0, shape (n,).
    """
    n = len(observed)
    if not n:
        return Posterior(np.empty((0, 0)), np.empty(0), 0.0)
    precision, covariance, diagonal = np.ones(n), kernel.copy(), np.diag_indices(n)
    own = kernel[diagonal]
    for turn in range(ROUNDS):
        covariance[diagonal] = own + noise / precision
        lower = cholesky(covariance, lower=True, check_finite=False)
        half = solve_triangular(lower, observed, lower=True, check_finite=False)
        weights = solve_triangular(lower, half, lower=True, trans="T", check_finite=False)
        if turn < ROUNDS - 1:
            # what the function leaves of an observation is its noise times its weight
            left = weights * noise / precision
            precision = (DEGREES + 1) / (DEGREES + left**2 / noise)
    return Posterior(lower, weights, _left_out(lower, weights, noise, precision))


def _left_out(lower: Array, weights: Array, noise: Array, precision: Array) -> float:
    """See Posterior; needs no further fit (Sundararajan and Keerthi, Neural Computation 13, 2001)."""
    inverse = dpotri(lower, lower=1)[0].diagonal()
    scale = np.maximum(1 / inverse - noise / precision, 0.0) + noise
    error = weights / inverse
    density = np.log(scale) + (DEGREES + 1) * np.log1p(error**2 / (DEGREES * scale))
    return float(-0.5 * density.sum())


def squared_exponential(first: Array, second: Array, length: float) -> Array:
    """The kernel exp(-d^2 / (2 length^2)) between the rows of two matrices, shape (n, m)."""
    squares = (first**2).sum(axis=1)[:, None] + (second**2).sum(axis=1) - 2 * first @ second.T
    return np.asarray(np.exp(-np.maximum(squares, 0.0) / (2 * length**2)))


def ascend(
    grid: Mapping[str, Sequence[float]],
    start: Mapping[str, float],
    value: Callable[[Mapping[str, float]], float],
) -> dict[str, float]:
    """The best point of a grid, by steps to better neighbours along one axis at a time.

    Args:
        grid: axis name to its values, in order.
        start: one value of every axis.
        value: what to maximise.
    """
    known: dict[tuple[int, ...], float] = {}
    names = list(grid)

    def at(place: tuple[int, ...]) -> float:
        if place not in known:
            known[place] = value({name: grid[name][i] for name, i in zip(names, place, strict=True)})
        return known[place]

    best = tuple(list(grid[name]).index(start[name]) for name in names)
    moved = True
    while moved:
        moved = False
        for axis, name in enumerate(names):
            for step in (-1, 1):
                while 0 <= best[axis] + step < len(grid[name]):
                    there = (*best[:axis], best[axis] + step, *best[axis + 1 :])
                    if at(there) <= at(best):
                        break
                    best, moved = there, True
    return {name: grid[name][i] for name, i in zip(names, best, strict=True)}
