"""What a network will reach: from its architecture, its curves so far, and networks whose end is known.

The performance predictor of the literature on architecture search, for networks after any number of epochs,
0 among them. For each epoch it is a Gaussian process on the logarithm y of the final error:

    y = mean + offset + slopes (x1, x2) + f(features) + noise

where x1 and x2 are the logarithms of the least training and validation error so far (``slopes.py``), f is
smooth in the standardised features of the architecture, and the noise is Student's t, with the variance of
counting errors added, so that networks with few errors are the least certain ones on this scale. Offset,
slopes and f are learned from the finished networks of the run. Before the first epoch there are no x1 and
x2, and f is larger; unfinished networks then count by what is forecast for them.

**Earlier runs** make the mean: a process of the same form is fitted to them, each with an offset of its own,
and rho times its posterior mean, with its variance, goes into the model of this run (Kennedy and O'Hagan,
"Predicting the output from a complex computer code when fast approximations are available", Biometrika 87,
2000; the recursive form of Le Gratiet and Garnier, 2014). The rest, 1 - rho, is the line of ``TABLES``. rho,
the size of f and that of the noise are those of a small grid under which each of this run's networks is best
predicted from the others. 0 is one of the values of rho, so that earlier runs that mislead are let go.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from a4nn_core.penguin.base import check_horizon
from a4nn_core.penguin.gaussian import DEGREES, Posterior, ascend, regress, squared_exponential
from a4nn_core.penguin.measure import SUPPOSED, Kind, Measure
from a4nn_core.penguin.observed import Observed, Past
from a4nn_core.penguin.slopes import TABLES, Line, Slopes, ends, finished, greatest, inputs, knows_training
from a4nn_core.vocabulary import Curves

Array = NDArray[np.float64]

_DRAWS = stdtrit(DEGREES, (np.arange(40) + 0.5) / 40)
"""quantiles of the noise that stand for its whole distribution"""
_TAIL = 0.05
"""beyond each end of an interval"""

_OFFSET = 1.0
"""standard deviation of a run's offset"""
_TRAINING, _VALIDATION = 0.3, 0.1
"""standard deviations of the slopes: a share of the line's own, and absolute"""
_FEWEST = 5
"""networks from which the sizes of f and of the noise are learned, and rho"""
_MOST = 400
"""networks of earlier runs that are used"""

_NOISE = (0.18, 0.25, 0.35, 0.5, 0.7, 1.0, 1.4, 2.0, 2.8, 4.0)
"""times the noise of the line"""
_COUNTING = (0.1, 0.2, 0.4, 0.7, 1.0)
"""times the variance of counting errors"""
_RHO = (0.0, 0.3, 0.6, 0.9)


@dataclass(frozen=True)
class Forecast:
    """What a network will reach: a distribution, none of it below what was measured.

    Attributes:
        log_error: median of the logarithm of its final error.
        scale: of Student's t about it; 0 for a finished network.
        best: the best validation value so far; None before the first epoch.
        measure: what its values are: accuracies in percent, or ratios in decibels.
        finished: networks of this run that were trained to the end, of those it rests on.
        past: networks of earlier runs that it rests on.
        similarity: rho, from 0 (earlier runs tell nothing) to 1.
    """

    log_error: float
    scale: float
    best: float | None
    measure: Measure
    finished: int
    past: int
    similarity: float

    def quantile(self, share: float) -> float:
        """The value that it stays below with this probability, between 0 and 1."""
        return float(self._values(stdtrit(DEGREES, 1 - share)))

    @cached_property
    def value(self) -> float:
        """Median of what it reaches."""
        return self.quantile(0.5)

    @cached_property
    def interval(self) -> tuple[float, float]:
        """Ends of the 90 % interval of what it reaches."""
        return self.quantile(_TAIL), self.quantile(1 - _TAIL)

    def expected_improvement(self, threshold: float) -> float:
        """Mean of what it will exceed a value by; where it stays below, that is 0."""
        return float(np.maximum(self._values(_DRAWS) - threshold, 0.0).mean())

    def _values(self, draws: Array | float) -> Array:
        reached = self.measure.value(self.log_error + self.scale * draws)
        return np.maximum(reached, self.measure.floor if self.best is None else self.best)

    @property
    def evidence(self) -> dict[str, float]:
        """The numbers that it rests on, for the records."""
        return {"finished": self.finished, "past": self.past, "similarity": self.similarity}


@dataclass(frozen=True)
class JointForecast:
    """The final errors of several networks that have not been trained.

    Attributes:
        log_error: medians of their logarithms, shape (n,).
        covariance: of the logarithms, without noise, shape (n, n).
        noise: squared scale of the noise of each, if it were measured, shape (n,).
    """

    log_error: Array
    covariance: Array
    noise: Array

    @property
    def deviation(self) -> Array:
        """Standard deviations of the logarithms, shape (n,)."""
        return np.asarray(np.sqrt(np.maximum(np.diag(self.covariance), 0.0)))

    def as_if(self, known: int) -> JointForecast:
        """What would be forecast if one of the networks were measured, and as forecast.

        A "kriging believer" (Ginsbourger, Le Riche and Carraro, 2010): no median moves, but those that hang
        together with it become more certain.
        """
        column = self.covariance[:, known]
        covariance = self.covariance - np.outer(column, column) / (column[known] + self.noise[known])
        return replace(self, covariance=covariance)


@dataclass(frozen=True)
class _Smoothness:
    """Standard deviations that f may have; the usual one, and how far they scatter about it."""

    grid: tuple[float, ...]
    usual: float
    spread: float

    def penalty(self, deviation: float) -> float:
        return 0.5 * ((deviation - self.usual) / self.spread) ** 2


_BEFORE = _Smoothness((0.1, 0.2, 0.3, 0.5, 0.8, 1.2), 0.5, 0.5)
_AFTER = _Smoothness((0.0, 0.1, 0.2, 0.4), 0.1, 0.2)


@dataclass(frozen=True)
class _Rows:
    """Networks whose end is known, or forecast.

    Attributes:
        networks: n of them.
        x: x1 and x2, shape (n, 2).
        y: logarithms of final errors, shape (n,).
        counting: variance of y by counting errors, shape (n,).
        variance: of y beside that, where it is a forecast, shape (n,).
        run: place of the run of each, shape (n,).
    """

    networks: tuple[Observed, ...]
    x: Array
    y: Array
    counting: Array
    variance: Array
    run: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.networks)


class _Features:
    """Features of networks, standardised; those in which the known networks do not differ are left out."""

    def __init__(self, known: Sequence[Observed]) -> None:
        names = sorted({name for network in known for name in network.features})
        values = np.array([[n.features.get(name, 0.0) for name in names] for n in known])
        values = values.reshape(len(known), len(names))
        width = values.std(axis=0) if len(known) else np.zeros(len(names))
        differ = width > 1e-9
        self.names = [name for name, kept in zip(names, differ, strict=True) if kept]
        self.centre, self.width = values[:, differ].mean(axis=0) if len(known) else np.empty(0), width[differ]

    def of(self, networks: Sequence[Observed]) -> Array:
        """Shape (n, d), so that the mean squared distance of two known networks is 2."""
        values = np.array([[n.features.get(name, 0.0) for name in self.names] for n in networks])
        values = values.reshape(len(networks), len(self.names))
        return np.asarray((values - self.centre) / (self.width * max(len(self.names), 1) ** 0.5))


class _Process:
    """The Gaussian process for networks after one number of epochs, fitted to those whose end is known.

    Args:
        rows: what is known.
        line: the mean without earlier runs.
        smoothness: what f may be.
        earlier: the process of earlier runs; None without any.
    """

    def __init__(
        self,
        rows: _Rows,
        line: Line,
        smoothness: _Smoothness,
        earlier: _Process | None = None,
    ) -> None:
        self.rows, self.line, self.earlier = rows, line, earlier
        self.features = _Features(rows.networks)
        self.centre = np.median(rows.x, axis=0) if len(rows) else np.array([line.x1, line.x2])
        self.deviations = np.array([_TRAINING * abs(line.training), _VALIDATION if line.validation else 0.0])
        self._at = self.features.of(rows.networks)
        alike = squared_exponential(self._at, self._at, 1.0)
        c = (rows.x - self.centre) * self.deviations
        rest = _OFFSET**2 * (rows.run[:, None] == rows.run) + c @ c.T
        known = line.at(rows.x)
        self._told = earlier.tell(rows.networks, rows.x) if earlier else None
        told, shared = np.zeros(len(rows)), np.zeros((len(rows), len(rows)))
        if earlier is not None and self._told is not None:
            told, shared = self._told.mean, earlier.covariance(self._told, self._told)

        def fitted(sizes: Mapping[str, float]) -> Posterior:
            rho = sizes["rho"]
            counting = sizes["counting"] * rows.counting
            noise = line.variance(counting, sizes["noise"]) + rows.variance
            observed = rows.y - (1 - rho) * known - rho * told
            return regress(rest + sizes["smooth"] ** 2 * alike + rho**2 * shared, observed, noise)

        def plausible(sizes: Mapping[str, float]) -> float:
            unusual = smoothness.penalty(sizes["smooth"])
            unusual += 0.5 * (np.log([sizes["noise"], sizes["counting"]]) ** 2 / 0.5).sum()
            return fitted(sizes).log_left_out - float(unusual)

        sizes = {"smooth": smoothness.usual, "noise": 1.0, "counting": 1.0}
        sizes["rho"] = _RHO[-1] if earlier else 0.0
        if len(rows) >= _FEWEST:
            grid = {"smooth": smoothness.grid, "noise": _NOISE, "counting": _COUNTING}
            grid["rho"] = _RHO if earlier else (0.0,)
            sizes = ascend(grid, sizes, plausible)
        self.smooth, self.rho = sizes["smooth"], sizes["rho"]
        self.noise, self.counting = sizes["noise"], sizes["counting"]
        self.posterior = fitted(sizes)

    def predict(self, networks: Sequence[Observed], x: Array) -> tuple[Array, Array]:
        """Mean and covariance of y without noise, shapes (n,) and (n, n), for networks of run 0."""
        at, c = self._place(networks, x)
        cross = self._cross(at, c) + _OFFSET**2 * (self.rows.run == 0)
        own = self.smooth**2 * squared_exponential(at, at, 1.0) + c @ c.T + _OFFSET**2
        known = (1 - self.rho) * self.line.at(x)
        if self.earlier is not None and self._told is not None:
            told = self.earlier.tell(networks, x)
            cross += self.rho**2 * self.earlier.covariance(told, self._told)
            own += self.rho**2 * self.earlier.covariance(told, told)
            known += self.rho * told.mean
        mean, covariance = self.posterior.predict(cross, own)
        return known + mean, covariance

    def tell(self, networks: Sequence[Observed], x: Array) -> _Told:
        """What is known of networks of another run, but for its offset."""
        at, c = self._place(networks, x)
        mean, explained = self.posterior.explain(self._cross(at, c))
        return _Told(at, c, self.line.at(x) + mean, explained)

    def covariance(self, one: _Told, other: _Told) -> Array:
        """Of y, without offset and noise, between networks of another run, shape (n, m)."""
        prior = self.smooth**2 * squared_exponential(one.at, other.at, 1.0) + one.c @ other.c.T
        return np.asarray(prior - one.explained.T @ other.explained)

    def _place(self, networks: Sequence[Observed], x: Array) -> tuple[Array, Array]:
        return self.features.of(networks), (x - self.centre) * self.deviations

    def _cross(self, at: Array, c: Array) -> Array:
        """Covariance with the known networks, without offset."""
        known = (self.rows.x - self.centre) * self.deviations
        return np.asarray(self.smooth**2 * squared_exponential(at, self._at, 1.0) + c @ known.T)


@dataclass(frozen=True)
class _Told:
    """What a process knows of n networks of another run.

    Attributes:
        at, c: where they are, in features and inputs.
        mean: of y, shape (n,).
        explained: see Posterior.explain.
    """

    at: Array
    c: Array
    mean: Array
    explained: Array


class EarlierRuns:
    """What earlier runs know, for any number of epochs; fitted when it is first asked for.

    Args:
        past: the runs.
        slopes: what was learned about curves before, by their kind.
    """

    def __init__(self, past: Sequence[Past], slopes: Mapping[Kind, Slopes] = TABLES) -> None:
        self.slopes = {**TABLES, **slopes}
        self.runs = [
            PerformancePredictor(run.networks, run.horizon, run.measure, run.curves, slopes=slopes)
            for run in past
        ]
        self._processes: dict[tuple[float, Kind | None, bool], _Process | None] = {}

    def process(self, fraction: float, kind: Kind, with_training: bool) -> _Process | None:
        """The process after a share of the epochs; None if no network of such curves was finished."""
        key = (fraction, kind if fraction else None, with_training)
        if key not in self._processes:
            self._processes[key] = self._fitted(*key)
        return self._processes[key]

    def _fitted(self, fraction: float, kind: Kind | None, with_training: bool) -> _Process | None:
        parts = [
            run.known(max(1, round(fraction * run.horizon)) if fraction else 0, with_training, place)
            for place, run in enumerate(self.runs)
            if kind in (None, run.kind)
        ]
        rows = _joined(parts)
        if not len(rows):
            return None
        line = self.slopes[kind].at(fraction, with_training) if kind else Line(0.0)
        left = rows.y - line.at(rows.x)
        levels = [float(np.median(left[rows.run == run])) for run in sorted(set(rows.run.tolist()))]
        line = replace(line, intercept=line.intercept + float(np.mean(levels)))
        return _Process(rows, line, _AFTER if kind else _BEFORE)


def _joined(parts: Sequence[_Rows]) -> _Rows:
    """All of them, or as many as are used, taken evenly."""
    networks = tuple(network for part in parts for network in part.networks)
    kept = np.unique(np.linspace(0, len(networks) - 1, min(len(networks), _MOST)).round().astype(int))
    if not len(networks):
        none = np.empty(0)
        return _Rows((), np.empty((0, 2)), none, none, none, np.empty(0, dtype=np.int64))
    x, y, counting, variance, run = (
        np.concatenate([getattr(part, name) for part in parts])[kept]
        for name in ("x", "y", "counting", "variance", "run")
    )
    return _Rows(tuple(networks[i] for i in kept), x, y, counting, variance, run)


class PerformancePredictor:
    """Forecasts of what networks will reach.

    Args:
        networks: of this run, in any order; those from which it learns, finished or not.
        horizon: the last epoch of the budget.
        measure: what their curves measure, and how precisely.
        curves: which weights were measured after the epochs.
        past: earlier runs to learn from; as ``EarlierRuns`` they are fitted but once for many predictors.
        slopes: what was learned about curves before, by their kind; others are those of this package.

    Raises:
        BadInput: the horizon is below 1.
    """

    def __init__(
        self,
        networks: Sequence[Observed],
        horizon: int,
        measure: Measure = SUPPOSED,
        curves: Curves = "as-trained",
        past: Sequence[Past] | EarlierRuns = (),
        slopes: Mapping[Kind, Slopes] = TABLES,
    ) -> None:
        check_horizon(horizon)
        self.horizon, self.measure = horizon, measure
        self.kind = measure.kind(curves)
        self.earlier = past if isinstance(past, EarlierRuns) else EarlierRuns(past, slopes)
        self.slopes = {**TABLES, **slopes}[self.kind]
        self.networks = tuple(networks)
        self._processes: dict[tuple[int, bool], _Process] = {}

    def predict(self, networks: Sequence[Observed]) -> list[Forecast]:
        """A forecast for each network, in order, whatever its number of epochs."""
        found: list[Forecast | None] = [None] * len(networks)
        groups: dict[tuple[int, bool], list[int]] = {}
        for place, network in enumerate(networks):
            epochs = min(network.epochs, self.horizon)
            groups.setdefault((epochs, epochs > 0 and knows_training(network)), []).append(place)
        for (epoch, with_training), places in groups.items():
            group = [networks[place] for place in places]
            forecast = self._measured if epoch == self.horizon else self._forecast
            for place, one in zip(places, forecast(group, epoch, with_training), strict=True):
                found[place] = one
        return [one for one in found if one is not None]

    def before_training(self, networks: Sequence[Observed]) -> JointForecast:
        """Forecast of several networks before their first epoch, and of how they hang together."""
        process = self._process(0, False)
        mean, covariance = process.predict(networks, np.zeros((len(networks), 2)))
        return JointForecast(mean, covariance, self._noise(process, mean))

    def _measured(self, group: Sequence[Observed], epoch: int, with_training: bool) -> list[Forecast]:  # noqa: ARG002
        measure = self.measure
        return [
            Forecast(float(at), 0.0, greatest(n.validation), measure, 1, 0, 0.0)
            for n, at in zip(group, ends(group, measure), strict=True)
        ]

    def _forecast(self, group: Sequence[Observed], epoch: int, with_training: bool) -> list[Forecast]:
        process = self._process(epoch, with_training)
        x = inputs(group, epoch, self.measure, with_training) if epoch else np.zeros((len(group), 2))
        mean, covariance = process.predict(group, x)
        scale = np.sqrt(np.maximum(np.diag(covariance), 0.0) + self._noise(process, mean))
        past = len(process.earlier.rows) if process.earlier else 0
        return [
            Forecast(
                float(at),
                float(wide),
                greatest(network.validation) if epoch else None,
                self.measure,
                len(process.rows),
                past,
                process.rho,
            )
            for network, at, wide in zip(group, mean, scale, strict=True)
        ]

    def _noise(self, process: _Process, mean: Array) -> Array:
        """Squared scale of the noise of measurements with these means, shape (n,)."""
        counting = process.counting * self.measure.sampling_variance(mean)
        return process.line.variance(counting, process.noise)

    def _process(self, epoch: int, with_training: bool) -> _Process:
        key = epoch, with_training
        if key not in self._processes:
            fraction = epoch / self.horizon
            self._processes[key] = _Process(
                self.known(epoch, with_training),
                self.slopes.at(fraction, with_training) if epoch else Line(self.measure.usual),
                _AFTER if epoch else _BEFORE,
                self.earlier.process(fraction, self.kind, with_training),
            )
        return self._processes[key]

    def known(self, epoch: int, with_training: bool, run: int = 0) -> _Rows:
        """The networks from which to learn about networks after an epoch, as those of run number ``run``:
        the finished ones; before the first epoch also those with some epochs, by what is forecast for them.
        """
        whole = [
            n for n in self.networks if finished(n, self.horizon) and (knows_training(n) or not with_training)
        ]
        y = ends(whole, self.measure)
        counting = self.measure.sampling_variance(y)
        begun = [n for n in self.networks if not epoch and 0 < n.epochs < self.horizon]
        forecasts = self.predict(begun)
        y = np.append(y, [f.log_error for f in forecasts])
        counting = np.append(counting, np.zeros(len(begun)))  # the scale of a forecast has it
        variance = np.append(np.zeros(len(whole)), [f.scale**2 for f in forecasts])
        networks = (*whole, *begun)
        x = inputs(networks, epoch, self.measure, with_training) if epoch else np.zeros((len(networks), 2))
        return _Rows(networks, x, y, counting, variance, np.full(len(networks), run))
