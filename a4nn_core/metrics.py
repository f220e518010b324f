"""What networks are compared by: every metric in one place, and the Pareto front over them.

A metric is known before training, as it follows from the architecture, or only after it. To add one, name a
``Metric`` in the entry point group ``a4nn.metrics``. It can then be an objective and, if it is known before
training, be bounded in ``[search.constraints]``; its value is recorded in ``networks.fitness``. Reading
records does not need that package: values and directions are recorded.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from a4nn_core.errors import A4NNError, BadInput
from a4nn_core.plugins import Catalogue
from a4nn_core.vocabulary import Direction, NetworkStatus, Task

if TYPE_CHECKING:
    from a4nn_core.spaces.architecture import Architecture

Row = Mapping[str, object]
R = TypeVar("R", bound=Row)


@dataclass(frozen=True)
class Measured:
    """What was measured while a network was trained: one value per epoch, from epoch 1.

    Attributes:
        accuracy_percent: accuracy on the validation images, in percent.
        loss: mean loss on the validation images, None where it was not finite.
        seconds: duration of the epoch.
        energy_joules: energy that the device used in the epoch, None where it was not measured.
        balanced_accuracy_percent: mean of the classes' recalls on the validation images after the most
            accurate epoch, in percent; None where it was not measured.
        missing_panel_accuracy_percent: accuracy after that epoch on validation images that lack a panel of
            the detector, in percent; None where it was not measured.
        psnr_db: of a network that restores images, mean peak signal-to-noise ratio of the validation images,
            in decibels.
        poisson_deviance: mean Poisson deviance of the validation images after the epoch with the best ratio;
            None where it was not measured.
    """

    accuracy_percent: tuple[float, ...]
    loss: tuple[float | None, ...] = ()
    seconds: tuple[float, ...] = ()
    energy_joules: tuple[float | None, ...] = ()
    balanced_accuracy_percent: float | None = None
    missing_panel_accuracy_percent: float | None = None
    psnr_db: tuple[float, ...] = ()
    poisson_deviance: float | None = None


class Reading(NamedTuple):
    """A value that was measured rather than worked out.

    Attributes:
        value: the value, in the metric's unit.
        spread: half the distance between the quartiles of its repetitions, in the same unit; None if it
            follows from the architecture.
    """

    value: float
    spread: float | None = None


@dataclass(frozen=True, kw_only=True)
class Metric:
    """One number by which networks are compared.

    Attributes:
        name: its name in experiments and records.
        meaning: a short description for people.
        unit: unit of its values, empty for a dimensionless number.
        direction: which values are usually the better ones; an experiment may say otherwise.
        bounds: the least and the greatest value it can take, None where open.
        task: what networks are trained for that have it; None if all have.
        of_architecture: computes its value for a network before training. Give this or ``of_training``.
        repeatable: whether ``of_architecture`` returns the same value each time. What is measured on a
            machine does not: a search reads it once for each architecture, logs it, and uses the logged value
            from then on, also when it is resumed. It may then return a ``Reading``.
        of_training: computes its value for a trained network; returns None where it was not measured.
        of_row: reads its value from the columns of a row of ``networks`` whose fitness lacks it, as an
            imported one may; returns None if the row has none. Only built-in metrics have it: reading records
            loads no code of other packages.

    Raises:
        ValueError: neither or both of ``of_architecture`` and ``of_training`` are given.
    """

    name: str
    meaning: str
    unit: str = ""
    direction: Direction = Direction.minimise
    bounds: tuple[float | None, float | None] = (None, None)
    task: Task | None = None
    of_architecture: Callable[[Architecture], float | Reading] | None = None
    repeatable: bool = True
    of_training: Callable[[Measured], float | None] | None = None
    of_row: Callable[[Row], float | None] | None = None

    def __post_init__(self) -> None:
        if (self.of_architecture is None) == (self.of_training is None):
            raise ValueError(f"metric {self.name!r} needs either of_architecture or of_training")

    @property
    def before_training(self) -> bool:
        """Whether it is known before a network is trained."""
        return self.of_architecture is not None

    @property
    def label(self) -> str:
        """Label for the axis of a figure: meaning and unit."""
        return f"{self.meaning} ({self.unit})" if self.unit else self.meaning

    def value(self, architecture: Architecture, measured: Measured | None = None) -> float | None:
        """Its value for one network, None where it is not known.

        Args:
            architecture: the network's architecture.
            measured: what was measured in training, None before training.

        Raises:
            BadInput: the function that computes it, which may be another package's, failed.
        """
        if self.of_architecture is not None:
            return self.read(architecture).value
        if self.of_training is None or measured is None:
            return None
        try:
            value = self.of_training(measured)
            return None if value is None else float(value)
        except Exception as error:
            raise self._failed(error) from error

    def read(self, architecture: Architecture) -> Reading:
        """Its value before training, with its spread if it is measured.

        Raises:
            BadInput: it is known only after training, or as ``value``.
        """
        if self.of_architecture is None:
            raise BadInput(f"metric {self.name!r} is known only after training")
        try:
            found = self.of_architecture(architecture)
            return found if isinstance(found, Reading) else Reading(float(found))
        except Exception as error:
            raise self._failed(error) from error

    def _failed(self, error: Exception) -> BadInput:
        reason = str(error) if isinstance(error, A4NNError) else f"{type(error).__name__}: {error}"
        return BadInput(f"metric {self.name!r} cannot be worked out: {reason}")


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) else None


def _column(name: str, divisor: float = 1.0) -> Callable[[Row], float | None]:
    def read(row: Row) -> float | None:
        value = _number(row.get(name))
        return None if value is None else value / divisor

    return read


def _error_of_row(row: Row) -> float | None:
    best = _number(row.get("best_accuracy_percent"))
    return None if best is None else 100.0 - best


def _least_loss(measured: Measured) -> float:
    return min((loss for loss in measured.loss if loss is not None), default=math.inf)


ERROR_PERCENT = Metric(
    name="error_percent",
    meaning="least validation error",
    unit="%",
    bounds=(0.0, 100.0),
    task=Task.classification,
    of_training=lambda measured: 100 - max(measured.accuracy_percent) if measured.accuracy_percent else None,
    of_row=_error_of_row,
)
ACCURACY_PERCENT = Metric(
    name="accuracy_percent",
    meaning="best validation accuracy",
    unit="%",
    direction=Direction.maximise,
    bounds=(0.0, 100.0),
    task=Task.classification,
    # the best that was measured; predicted values are recorded separately
    of_training=lambda measured: max(measured.accuracy_percent, default=None),
    of_row=_column("best_accuracy_percent"),
)
LOSS = Metric(name="loss", meaning="least validation loss", bounds=(0.0, None), of_training=_least_loss)
MFLOPS = Metric(
    name="mflops",
    meaning="multiply-adds for one image",
    unit="millions",
    bounds=(0.0, None),
    of_architecture=lambda architecture: architecture.flops / 1e6,
    of_row=_column("flops", 1e6),
)
PARAMETERS = Metric(
    name="parameters",
    meaning="trainable parameters",
    bounds=(0.0, None),
    of_architecture=lambda architecture: architecture.parameters,
    of_row=_column("parameters"),
)
GFLOPS = Metric(
    name="gflops",
    meaning="multiply-adds for one image",
    unit="billions",
    bounds=(0.0, None),
    of_architecture=lambda architecture: architecture.flops / 1e9,
    of_row=_column("flops", 1e9),
)
PEAK_MEMORY = Metric(
    name="peak_memory",
    meaning="memory to classify one image",
    unit="KiB",
    bounds=(0.0, None),
    of_architecture=lambda architecture: architecture.peak_memory_bytes / 1024,
)
BALANCED_ACCURACY_PERCENT = Metric(
    name="balanced_accuracy_percent",
    meaning="balanced validation accuracy, best epoch",
    unit="%",
    direction=Direction.maximise,
    bounds=(0.0, 100.0),
    task=Task.classification,
    of_training=lambda measured: measured.balanced_accuracy_percent,
    of_row=_column("balanced_accuracy_percent"),
)
MISSING_PANEL_ACCURACY_PERCENT = Metric(
    name="missing_panel_accuracy_percent",
    meaning="validation accuracy with a missing detector panel",
    unit="%",
    direction=Direction.maximise,
    bounds=(0.0, 100.0),
    task=Task.classification,
    of_training=lambda measured: measured.missing_panel_accuracy_percent,
    of_row=_column("missing_panel_accuracy_percent"),
)
PSNR_DB = Metric(
    name="psnr_db",
    meaning="best peak signal-to-noise ratio in validation",
    unit="dB",
    direction=Direction.maximise,
    bounds=(None, 100.0),
    task=Task.restoration,
    of_training=lambda measured: max(measured.psnr_db, default=None),
    of_row=_column("best_psnr_db"),
)
POISSON_DEVIANCE = Metric(
    name="poisson_deviance",
    meaning="Poisson deviance of restored validation images, best epoch",
    bounds=(0.0, None),
    task=Task.restoration,
    of_training=lambda measured: measured.poisson_deviance,
    of_row=_column("poisson_deviance"),
)

STANDARD = (ERROR_PERCENT, ACCURACY_PERCENT, PSNR_DB, POISSON_DEVIANCE, LOSS, MFLOPS, PARAMETERS)
"""Recorded for every trained network that has them, in this order; other metrics only if an experiment names
them."""
TRAINED = (NetworkStatus.completed, NetworkStatus.stopped)
"""Status of networks whose training led to a result."""
BUILTIN = {
    metric.name: metric
    for metric in (
        *(*STANDARD, GFLOPS, PEAK_MEMORY),
        *(BALANCED_ACCURACY_PERCENT, MISSING_PANEL_ACCURACY_PERCENT),
    )
}
ELSEWHERE = {"latency_ms": "a4nn_core.spaces.latency:LATENCY_MS"}
"""metrics of our own that this module, which knows no network, cannot define"""
BEFORE_TRAINING = (*(metric.name for metric in BUILTIN.values() if metric.before_training), *ELSEWHERE)
"""names of our own metrics that are known before training"""
ERROR_OF = {Task.classification: ERROR_PERCENT, Task.restoration: PSNR_DB}
"""what networks are compared by where an experiment does not say it"""
DEFAULT_OBJECTIVES = {metric.name: metric.direction for metric in (ERROR_PERCENT, MFLOPS)}
METRICS: Catalogue[Metric] = Catalogue(
    "metric", "a4nn.metrics", {**{name: f"{__name__}:{name.upper()}" for name in BUILTIN}, **ELSEWHERE}
)


def find_metric(name: str) -> Metric:
    """The metric that has this name.

    Raises:
        BadInput: there is none, or another package's entry point is not a metric of that name.
    """
    found = METRICS.find(name)
    if not isinstance(found, Metric) or found.name != name:
        what = f"the metric {found.name!r}" if isinstance(found, Metric) else repr(found)
        raise BadInput(f"the entry point {name!r} of {METRICS.group} names {what}, not a metric {name!r}")
    return found


def recorded(names: Iterable[str]) -> tuple[Metric, ...]:
    """The metrics that are recorded for every network: the standard ones, then those that are named.

    Raises:
        BadInput: as ``find_metric``.
    """
    return tuple(dict.fromkeys((*STANDARD, *(find_metric(name) for name in names))))


Evaluate = Callable[["Metric", "Architecture"], float | None]
"""Returns the value of a metric before training; a search gives one that remembers what was measured."""


def values(
    metrics: Iterable[Metric],
    architecture: Architecture,
    measured: Measured | None = None,
    before: Evaluate = Metric.value,
) -> dict[str, float]:
    """The metrics of a network, name to value; those that are not known are left out.

    Args:
        metrics: which.
        architecture: the network's architecture.
        measured: what was measured in training, None before training.
        before: returns the values of those that are known before training.

    Raises:
        BadInput: as ``Metric.value``.
    """
    found = {
        metric.name: before(metric, architecture)
        if metric.before_training
        else metric.value(architecture, measured)
        for metric in metrics
    }
    return {name: value for name, value in found.items() if value is not None}


def of_row(row: Row, name: str) -> float | None:
    """A metric from the records of a network: from its fitness, else from its columns; None if it has none.

    No code of other packages is loaded for it.

    Args:
        row: one row of ``networks``.
        name: name of the metric; any recorded name, even one that is not known here.
    """
    fitness = row.get("fitness")
    value = _number(fitness.get(name)) if isinstance(fitness, Mapping) else None
    if value is not None:
        return value
    metric = BUILTIN.get(name)
    return _number(row.get(name)) if metric is None or metric.of_row is None else metric.of_row(row)


# dominance


def dominates(point: Sequence[float], other: Sequence[float]) -> bool:
    """Whether a point is nowhere greater than another and somewhere less, every objective being minimised."""
    pairs = list(zip(point, other, strict=True))
    return all(mine <= its for mine, its in pairs) and any(mine < its for mine, its in pairs)


def nondominated(points: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which points no other point dominates, every objective being minimised.

    Equal points do not dominate each other, and one with a value that is not a number is never dominated.

    Args:
        points: shape (points, objectives).

    Returns:
        shape (points,).
    """
    keep = np.ones(len(points), dtype=bool)
    order = np.lexsort(points.T[::-1])
    order = order[~np.isnan(points[order]).any(axis=1)]
    if not len(order):
        return keep
    ordered = points[order]
    new = np.append(True, np.any(ordered[1:] != ordered[:-1], axis=1))
    distinct = ordered[new]
    front = _front_of_pairs(distinct) if points.shape[1] == 2 else _front_of_any(distinct)
    keep[order] = front[np.cumsum(new) - 1]
    return keep


def nondominated_layers(points: NDArray[np.float64]) -> NDArray[np.int64]:
    """The number of the layer that each point is in, from 0: the front, the front of the others, and so on
    (non-dominated sorting; Goldberg 1989, Deb et al. 2002).

    Args:
        points: shape (points, objectives), every objective being minimised.

    Returns:
        shape (points,).
    """
    layers = np.zeros(len(points), dtype=np.int64)
    left = np.arange(len(points))
    while len(left):
        front = nondominated(points[left])
        left = left[~front]
        layers[left] += 1
    return layers


# Both take distinct points in lexicographic order, in which nothing is dominated by what comes after it.


def _front_of_pairs(points: NDArray[np.float64]) -> NDArray[np.bool_]:
    """For two objectives: a point is on the front if its second value is below those of all before it."""
    least = np.minimum.accumulate(points[:, 1])
    return np.append(True, points[1:, 1] < least[:-1])


def _front_of_any(points: NDArray[np.float64]) -> NDArray[np.bool_]:
    """For any number of objectives: one pass, comparing each point with the front so far."""
    keep = np.zeros(len(points), dtype=bool)
    front = np.empty_like(points)
    size = 0
    for index, point in enumerate(points):
        if not np.any(np.all(front[:size] <= point, axis=1)):
            keep[index] = True
            front[size] = point
            size += 1
    return keep


def signs(objectives: Mapping[str, str]) -> NDArray[np.float64]:
    """What each objective is multiplied by, so that smaller is better. Shape (objectives,)."""
    return np.array([_direction(direction).sign for direction in objectives.values()])


def _direction(text: str) -> Direction:
    """A recorded direction. Any other text, as other programs may have written it, means minimise."""
    try:
        return Direction(text)
    except ValueError:
        return Direction.minimise


def on_front(points: Sequence[Mapping[str, float]], objectives: Mapping[str, str]) -> list[bool]:
    """Which points are on their Pareto front.

    Args:
        points: metric name to value, every objective among them.
        objectives: metric name to direction.
    """
    return [] if not points else nondominated(_table(points, objectives)).tolist()


def _table(points: Sequence[Mapping[str, float]], objectives: Mapping[str, str]) -> NDArray[np.float64]:
    """The objectives of points, all to be minimised. Shape (points, objectives)."""
    return np.array([[point[name] for name in objectives] for point in points]) * signs(objectives)


DECIDING = (
    *("network", "status", "equal_to", "fitness", "best_accuracy_percent", "flops", "parameters"),
    *("best_psnr_db", "poisson_deviance"),
)
"""columns of ``networks`` that the front is found from, beside those that an objective is named after"""


def front_rows(rows: Iterable[R], objectives: Mapping[str, str]) -> list[R]:
    """The rows of the networks on the Pareto front, sorted by the first objective, best first.

    Args:
        rows: rows of ``networks`` of one run. Networks that failed, were not trained, are equal to another,
            or lack an objective are left out.
        objectives: metric name to direction.
    """
    points, candidates = [], []
    for row in rows:
        if row.get("status") not in TRAINED or row.get("equal_to") is not None:
            continue
        point = {name: value for name in objectives if (value := of_row(row, name)) is not None}
        if len(point) == len(objectives):
            points.append(point)
            candidates.append(row)
    if not points:
        return []
    table = _table(points, objectives)
    found = [(tuple(table[i]), candidates[i]) for i in np.flatnonzero(nondominated(table))]
    return [row for _, row in sorted(found, key=lambda entry: (entry[0], entry[1]["network"]))]
