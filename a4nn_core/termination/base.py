"""The interface of a termination rule: a curve and its context in, a verdict out. No rule sees a clock."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from a4nn_core.component import Component, Registry

if TYPE_CHECKING:
    from a4nn_core.penguin.law import Curves

Action = Literal["continue", "pause", "stop"]


@dataclass(frozen=True)
class FrontSnapshot:
    """The Pareto front as it was when a segment was submitted.

    Attributes:
        version: how many generations it holds; 0 is before the first.
        points: one mapping of metric name to value a member.
        objectives: metric name to ``minimise`` or ``maximise``. One that is not named is minimised, unless it
            is the monitored metric, whose direction the context gives.
    """

    version: int = 0
    points: tuple[Mapping[str, float], ...] = ()
    objectives: Mapping[str, Literal["minimise", "maximise"]] = field(default_factory=dict)


@dataclass(frozen=True)
class Learning:
    """What is known of a classifier beside its validation curve.

    Attributes:
        training: accuracy on the training images in percent, one value an epoch.
        chance: accuracy in percent of whoever always names the most frequent class of the validation images.
        training_images, validation_images: how many there are.
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
        direction: whether a greater or a smaller value of it is the better one.
        bounds: the least and greatest value the metric can take, None where open.
        schedule: what is known of the learning rate: it falls to about nothing by the horizon, or stays.
        curves: what was measured after the epochs, see ``Curves``.
        fixed: metric values known before training, such as ``{"flops": 7.1e8}``.
        front: the front snapshot that verdicts are judged against.
        learning: of the network so far, None where it is not known.
    """

    horizon: int
    metric: str = "accuracy_percent"
    direction: Literal["max", "min"] = "max"
    bounds: tuple[float | None, float | None] = (0.0, 100.0)
    schedule: Literal["annealed", "constant"] | None = None
    curves: Curves = "as-trained"
    fixed: Mapping[str, float] = field(default_factory=dict)
    front: FrontSnapshot = field(default_factory=FrontSnapshot)
    learning: Learning | None = None


@dataclass(frozen=True)
class FitRecord:
    """One fit of a parametric function after one epoch: a row of the table ``predictions``.

    Attributes:
        function: name of the parametric function, or of what else the prediction rests on.
        expression: it as text.
        parameters: fitted values by name; empty if the fit failed.
        predicted: value at the horizon; None if there is none.
        low, high: interval of the prediction, None where the rule gives none.
        residual: root mean square residual in the metric's unit; None if nothing was fitted.
        status: the fitter's word for how it ended.
        microseconds: what the fit cost.
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


@dataclass(frozen=True)
class Verdict:
    """What a rule says after an epoch.

    Attributes:
        action: go on, pause (keep the checkpoint, may be revived) or stop.
        reason: one word or two for the action, such as ``converged``.
        predicted: the rule's prediction of the monitored metric at the horizon, None if it has none.
        interval: low and high of the prediction, None if the rule gives none.
        evidence: the numbers the verdict rests on, JSON-serialisable.
        fits: the fits made for this verdict.
    """

    action: Action
    reason: str = ""
    predicted: float | None = None
    interval: tuple[float, float] | None = None
    evidence: Mapping[str, Any] = field(default_factory=dict)
    fits: tuple[FitRecord, ...] = ()


class TerminationRule(Component):
    """When to stop training a network. A rule keeps no state: the curve is all it judges by, so that every
    verdict can be recomputed from the records. To add one, subclass it and name the class in the entry
    point group ``a4nn.termination``."""

    @abstractmethod
    def judge(self, curve: Sequence[float], context: Context) -> Verdict:
        """The verdict after the last epoch of the curve.

        Args:
            curve: the monitored metric, one value an epoch, from epoch 1.
            context: see Context.
        """


RULES: Registry[TerminationRule] = Registry(
    "termination rule",
    "a4nn.termination",
    {
        "none": "a4nn_core.termination.never:Never",
        "penguin": "a4nn_core.termination.penguin:Penguin",
    },
)
