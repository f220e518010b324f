"""The interface of a termination rule: a curve and its context in, a verdict out. No rule sees a clock."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from a4nn_core.component import Component, Registry
from a4nn_core.errors import BadInput
from a4nn_core.metrics import on_front
from a4nn_core.termination.former import penguin
from a4nn_core.termination.reasons import meaning
from a4nn_core.vocabulary import Action, Bounds, Curves, Direction, Schedule

if TYPE_CHECKING:
    from a4nn_core.penguin.base import Prediction

Evidence = Mapping[str, float | str | Sequence[float | None] | None]
"""The numbers that a verdict rests on, by name: JSON-serialisable."""


@dataclass(frozen=True)
class FrontSnapshot:
    """The Pareto front as it was when a segment was submitted.

    Attributes:
        version: number of generations (or, on a steady schedule, networks) it covers; 0 before the first.
        points: for each member a mapping of metric name to value.
        objectives: metric name to direction. A metric without one is minimised, except the monitored metric,
            whose direction the context has.
    """

    version: int = 0
    points: tuple[Mapping[str, float], ...] = ()
    objectives: Mapping[str, Direction] = field(default_factory=dict)

    @classmethod
    def of(
        cls, version: int, points: Sequence[Mapping[str, float]], objectives: Mapping[str, Direction]
    ) -> FrontSnapshot:
        """The snapshot of the points that are on their front.

        Args:
            version: see the class.
            points: metric name to value, every objective among them.
            objectives: metric name to direction.
        """
        stay = on_front(points, objectives)
        kept = tuple(point for point, stays in zip(points, stay, strict=True) if stays)
        return cls(version, kept, dict(objectives))


@dataclass(frozen=True)
class Learning:
    """What is known of a classifier beside its validation curve.

    Attributes:
        training: accuracy on the training images in percent, one value per epoch.
        chance: accuracy in percent of always predicting the most frequent class of the validation images.
        training_images, validation_images: numbers of images.
    """

    training: tuple[float, ...]
    chance: float
    training_images: int
    validation_images: int


@dataclass(frozen=True)
class Context:
    """What a rule may know beside the curve.

    Attributes:
        horizon: the last epoch of the budget, counted from 1.
        metric: name of the monitored metric.
        direction: whether greater or smaller values of it are better.
        bounds: the least and greatest value the metric can take, None where open.
        schedule: learning-rate schedule if known: ``annealed`` to about zero by the horizon, or ``constant``.
        curves: which weights were measured after the epochs, see ``Curves``.
        fixed: metric values known before training, such as ``{"flops": 7.1e8}``.
        front: the front snapshot that verdicts are judged against.
        learning: training accuracies of the network so far, None if not known.
    """

    horizon: int
    metric: str = "accuracy_percent"
    direction: Direction = Direction.maximise
    bounds: Bounds = (0.0, 100.0)
    schedule: Schedule | None = None
    curves: Curves = "as-trained"
    fixed: Mapping[str, float] = field(default_factory=dict)
    front: FrontSnapshot = field(default_factory=FrontSnapshot)
    learning: Learning | None = None


@dataclass(frozen=True)
class FitRecord:
    """One prediction after one epoch and its basis: a row of the table ``predictions``.

    Attributes:
        function: name of the parametric function, or of another basis of the prediction.
        expression: the function as text.
        parameters: fitted values by name; empty if the fit failed.
        predicted: value at the horizon; None without a prediction.
        low, high: ends of the 90 % interval; None without an interval.
        residual: root mean square residual of the fit in the unit of the metric; None if nothing was fitted.
        status: see ``a4nn_core.penguin.status``.
        microseconds: duration of the fit, or of the whole prediction if it is not a single fit.
    """

    function: str
    expression: str
    parameters: Mapping[str, float]
    predicted: float | None
    low: float | None
    high: float | None
    residual: float | None
    status: str
    microseconds: float

    @classmethod
    def of(cls, prediction: Prediction, microseconds: float) -> FitRecord:
        """The record of a prediction that took ``microseconds``."""
        fit = prediction.fit
        fitted = fit is not None and math.isfinite(fit.residual_rms)
        return cls(
            function=prediction.function,
            expression=prediction.expression,
            parameters=prediction.evidence,
            predicted=prediction.value,
            low=prediction.low,
            high=prediction.high,
            residual=fit.residual_rms if fit is not None and fitted else None,
            status=prediction.status,
            microseconds=fit.microseconds if fit is not None and fit.microseconds > 0 else microseconds,
        )


@dataclass(frozen=True)
class Verdict:
    """A rule's verdict after an epoch.

    Attributes:
        action: continue, pause (keep the checkpoint, may be resumed) or stop.
        reason: reason of the action: a ``Reason``, or short text of another package's rule; may be empty to
            continue.
        predicted: the rule's prediction of the monitored metric at the horizon, None without one.
        interval: low and high end of the prediction's interval, None without one.
        evidence: the numbers the verdict rests on.
        fits: the fits made for this verdict.

    Raises:
        BadInput: the action is not one of Action; its text will do.
    """

    action: Action
    reason: str = ""
    predicted: float | None = None
    interval: tuple[float, float] | None = None
    evidence: Evidence = field(default_factory=dict)
    fits: tuple[FitRecord, ...] = ()

    def __post_init__(self) -> None:
        if isinstance(self.action, Action):
            return
        try:
            object.__setattr__(self, "action", Action(self.action))
        except ValueError:
            raise BadInput(f"a verdict's action is {self.action!r}; known: {', '.join(Action)}") from None

    @property
    def meaning(self) -> str:
        """The reason as a message."""
        return meaning(self.reason)


class TerminationRule(Component):
    """Decides when to stop training a network. A rule has no state: it judges by the curve and the context
    alone, so that every verdict can be recomputed from the records. To add one, subclass it and name the
    class in the entry point group ``a4nn.termination``."""

    @abstractmethod
    def judge(self, curve: Sequence[float], context: Context) -> Verdict:
        """The verdict after the last epoch of the curve.

        Args:
            curve: the monitored metric, one value per epoch, from epoch 1.
            context: see Context.
        """


RULES: Registry[TerminationRule] = Registry(
    "termination rule",
    "a4nn.termination",
    {
        "none": "a4nn_core.termination.never:Never",
        "fixed": "a4nn_core.termination.fixed:Fixed",
        "patience": "a4nn_core.termination.patience:Patience",
        "converged": "a4nn_core.termination.converged:Converged",
        "interval": "a4nn_core.termination.interval:Interval",
        "front": "a4nn_core.termination.front:Front",
        "saturation": "a4nn_core.termination.saturation:Saturation",
        "median": "a4nn_core.termination.median:Median",
        "percentile": "a4nn_core.termination.percentile:Percentile",
        "dominance": "a4nn_core.termination.dominance:Dominance",
        "successive-halving": "a4nn_core.termination.successive_halving:SuccessiveHalving",
        "moasha": "a4nn_core.termination.moasha:Moasha",
        "layers": "a4nn_core.termination.layers:Layers",
        "any": "a4nn_core.termination.any_of:AnyOf",
        "all": "a4nn_core.termination.all_of:AllOf",
        "not-before": "a4nn_core.termination.not_before:NotBefore",
    },
    former={"penguin": penguin},
)
